/* What we know of a connection while the HTTP library has it: its socket and its deadline. */
#pragma once

#include <stdbool.h>

#include "front/deadline.h"

struct connection {
    int descriptor; /* the library's */
    struct deadline deadline;
    bool lingers; /* its last answer came before it had sent everything */
};
