/*
 * Coalescing: with coalesce_ms, whoever has been quiet for so long is sent a message at once, and what
 * follows sooner is held until that time is over and goes out together. This is so for each topic, and for
 * each client of several topics by itself. One timer does for the hub: when it fires, all that is held goes
 * out.
 *
 *   dirty ──▶ flushed                     quiet, large, or coalesce_ms is 0
 *     └─────▶ held ──▶ flushed            by the timer, a join, a terminal message, the end of feed or hub
 *
 * Whatever may not be overtaken flushes its topic first, held or not (hub_flush_topic).
 */
#include "base/clock.h"
#include "hub/backlog.h"
#include "hub/hub_state.h"

/* More makes sending no cheaper. */
#define HELD_BYTES_MAX (64u << 10)

static void on_hold_over(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct hub *hub = context;
    hub->delivery.now_ms = clock_now_ms();
    hub_release_held(hub);
    hub_visit_listed(hub);
}

bool hub_start_hold(struct hub *hub)
{
    hub->hold_timer = evtimer_new(hub->base, on_hold_over, hub);
    return hub->hold_timer != NULL;
}

void hub_stop_hold(struct hub *hub)
{
    hub_release_held(hub);
    if (hub->hold_timer)
        event_free(hub->hold_timer);
    hub->hold_timer = NULL;
}

/* Whether what was last sent to at `last_ms` may wait; the timer is set for it then. */
static bool may_wait(struct hub *hub, uint64_t last_ms)
{
    uint64_t until_ms = last_ms + hub->options.coalesce_ms;
    if (hub->draining || until_ms <= hub->delivery.now_ms)
        return false;
    if (hub->hold_until_ms != 0 && hub->hold_until_ms <= until_ms)
        return true;
    struct timeval wait = { .tv_usec = (suseconds_t)(until_ms - hub->delivery.now_ms) * 1000 };
    wait.tv_sec = wait.tv_usec / 1000000;
    wait.tv_usec %= 1000000;
    if (event_add(hub->hold_timer, &wait) != 0)
        return false;
    hub->hold_until_ms = until_ms;
    return true;
}

void hub_topic_has_more(struct hub *hub, struct topic *topic, const struct chunk *chunk)
{
    if (list_linked(&topic->dirty) && chunk->bytes.size < HELD_BYTES_MAX)
        return; /* in this turn, or held already */
    list_remove(&topic->dirty);
    list_append(&hub->dirty_topics, &topic->dirty);
}

bool hub_hold_topic(struct hub *hub, struct topic *topic)
{
    for (unsigned variant = 0; variant < FRAME_VARIANTS; variant++)
        if (topic->turn[variant] && topic->turn[variant]->bytes.size >= HELD_BYTES_MAX)
            return false;
    if (!may_wait(hub, topic->flushed_ms))
        return false;
    list_remove(&topic->dirty);
    list_append(&hub->held_topics, &topic->dirty);
    return true;
}

void hub_hold_listed(struct hub *hub)
{
    struct subscriber **link = &hub->listed;
    while (hub->options.coalesce_ms > 0 && *link) {
        struct subscriber *subscriber = *link;
        bool held = subscriber->state == SUBSCRIBER_LIVE && !subscriber->polled &&
                    subscriber_has_backlog(subscriber) &&
                    backlog_bytes(subscriber->backlog) < HELD_BYTES_MAX &&
                    may_wait(hub, subscriber->written_ms);
        if (!held) {
            link = &subscriber->next_listed;
            continue;
        }
        *link = subscriber->next_listed;
        subscriber->next_listed = hub->held;
        hub->held = subscriber;
    }
}

void hub_release_held(struct hub *hub)
{
    struct list *node;
    while ((node = list_first(&hub->held_topics)) != NULL)
        hub_flush_topic(hub, LIST_OWNER(node, struct topic, dirty));
    while (hub->held) {
        struct subscriber *subscriber = hub->held;
        hub->held = subscriber->next_listed;
        subscriber->next_listed = hub->listed;
        hub->listed = subscriber;
    }
    hub->hold_until_ms = 0;
    if (hub->hold_timer)
        event_del(hub->hold_timer);
}
