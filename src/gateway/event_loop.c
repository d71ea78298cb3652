#include "gateway/event_loop.h"

#include <stddef.h>

struct event_base *event_loop_create(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;
    /* Never EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST: it confuses duplicated descriptors, and streams are handed
     * over by dup. No locks: a loop is touched by its own thread only. */
    if (config && event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) == 0 &&
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
        base = event_base_new_with_config(config);
    if (config)
        event_config_free(config);
    return base;
}
