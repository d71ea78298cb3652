/* An event loop as the gateway needs it. */
#pragma once

#include <event2/event.h>

/* NULL when memory or descriptors are short. */
struct event_base *event_loop_create(void);
