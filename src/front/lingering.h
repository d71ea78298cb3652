/*
 * Closing without losing the answer. When a socket is closed with unread bytes, the kernel sends a reset, and
 * a client that is still sending its too large body may never see the 413. So the last copy of such a socket
 * goes here: it is shut down for writing, and what still comes is read and thrown away until the client
 * closes, or for a short while.
 */
#pragma once

#include <event2/event.h>

struct lingering;

struct lingering *lingering_create(struct event_base *base);

/* Closes all that linger. */
void lingering_destroy(struct lingering *lingering);

/* Takes a duplicate of `descriptor`; a no-op where there are too many already or memory is short. */
void lingering_take(struct lingering *lingering, int descriptor);
