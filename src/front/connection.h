/* What we know of a connection while the HTTP library has it: its socket and its deadline. */
#pragma once

#include <stdbool.h>

#include "front/deadline.h"

struct connection {
    int descriptor; /* the library's */
    struct deadline deadline;
    bool lingers; /* in the middle of a head, or refused: bytes may be on their way that nobody will read */
};
