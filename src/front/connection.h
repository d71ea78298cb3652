/* What we know of a connection while the HTTP library has it: its socket and its deadline. */
#pragma once

#include <stdbool.h>

#include "base/ip_address.h"
#include "front/deadline.h"

struct exchange;

struct connection {
    int descriptor; /* the library's */
    struct ip_address
        peer;      /* who is connected, or who a trusted proxy has said it is in front of the connection */
    bool is_admin; /* by the administrators' own address */
    struct deadline deadline;
    bool is_newcomer;          /* without a request so far */
    struct exchange *exchange; /* the request that is going on */
    bool lingers; /* in the middle of a head, or refused: bytes may be on their way that nobody will read */
};
