/* What the dispatcher tells, one event after the other. */
#include "base/clock.h"
#include "hub/dispatcher.h"
#include "hub/hub_state.h"

static void invalidated(struct hub *hub, const struct hub_event *event)
{
    snapshot_cache_invalidated(hub->cache, event->name, event->name_length, event->sequence);
    if (event->name)
        hub_refresh_joined(hub, event->name, event->name_length);
}

/* Everything may have changed unseen. */
static void lost(struct hub *hub, bool feed_up)
{
    hub->catching_up = false;
    hub_feed_down(hub);
    hub_streams_lost(hub);
    if (feed_up)
        hub_feed_up(hub);
}

static struct topic *topic_of(struct hub *hub, const struct hub_event *event)
{
    if (!event->name || event->kind == HUB_INVALIDATED)
        return NULL;
    return hub_find_topic(hub, event->topic_kind, event->name, event->name_length);
}

void hub_apply(struct hub *hub, const struct hub_event *event)
{
    hub->sequence = event->sequence;
    struct topic *topic = topic_of(hub, event);
    bool is_wanted = topic != NULL; /* not just left */
    switch (event->kind) {
    case HUB_FEED_UP:
        hub_feed_up(hub);
        break;
    case HUB_FEED_DOWN:
        hub_feed_down(hub);
        break;
    case HUB_CONFIRMED:
        if (is_wanted)
            hub_confirmed(hub, topic, event);
        break;
    case HUB_REFUSED:
        if (is_wanted)
            hub_refused(hub, topic, event->problem);
        break;
    case HUB_PUT_OFF:
        if (is_wanted)
            hub_put_off(hub, topic);
        break;
    case HUB_MESSAGE:
        if (is_wanted)
            hub_message(hub, topic, event->message);
        else if (event->message)
            hub_refresh_snapshot(hub, event->message); /* others who listen may ask this cache */
        break;
    case HUB_LIVE:
        hub_refresh_snapshot(hub, event->message);
        break;
    case HUB_WATCHED:
        /* The groups' wish may have been taken back: what comes behind its answer is not told then. */
        if (is_wanted && event->interests & INTEREST_HUB)
            hub_watched(hub, topic, event->entry);
        break;
    case HUB_ENTRY:
        if (is_wanted)
            hub_entry(hub, topic, event->entry, event->message);
        break;
    case HUB_STREAM_BROKEN:
        if (is_wanted)
            hub_stream_broken(hub, topic, event->floor_reason, event->entry);
        break;
    case HUB_FENCE:
        snapshot_cache_fenced(hub->cache, event->token, event->sequence, clock_now_ms());
        break;
    case HUB_INVALIDATED:
        invalidated(hub, event);
        break;
    case HUB_CAUGHT_UP:
        hub->catching_up = false;
        hub_join_waiting(hub);
        break;
    case HUB_LOST:
        lost(hub, event->feed_up);
        break;
    }
}
