#include "base/clock.h"
#include "hub/frames.h"
#include "hub/hub_state.h"

struct topic *hub_find_topic(struct hub *hub, enum topic_kind kind, const char *name, size_t length)
{
    return map_get(hub->topics[kind], name, length);
}

static void subscribe(struct hub *hub, struct topic *topic)
{
    bool again = hub->syncing && topic->was_confirmed;
    if (!hub->feed_up && topic->kind != TOPIC_STREAM)
        return;
    if (hub->source.subscribe(hub->source.context, topic->kind, topic->name, topic->name_length, again))
        topic->state = TOPIC_SUBSCRIBING;
    else
        hub->subscribe_again = true;
}

static void forget_topic(struct hub *hub, struct topic *topic)
{
    map_remove(hub->topics[topic->kind], topic->name, topic->name_length);
    topic_destroy(topic);
}

static void leave_topic(struct hub *hub, struct topic *topic)
{
    if (topic->state == TOPIC_CONFIRMED)
        hub->source.unsubscribe(hub->source.context, topic->kind, topic->name, topic->name_length);
    forget_topic(hub, topic);
}

/* The feed takes up again what it could not; whoever reads streams has to be asked. */
static bool is_asked_for(struct hub *hub, struct topic *topic)
{
    if (topic->state == TOPIC_UNSUBSCRIBED)
        subscribe(hub, topic); /* new, or refused before; or the feed is down and this does nothing */
    return topic->kind != TOPIC_STREAM || topic->state != TOPIC_UNSUBSCRIBED;
}

struct topic *hub_want_topic(struct hub *hub, enum topic_kind kind, const char *name, size_t length)
{
    struct topic *topic = hub_find_topic(hub, kind, name, length);
    if (topic)
        return is_asked_for(hub, topic) ? topic : NULL;
    topic = topic_create(hub, kind, name, length);
    if (!topic)
        return NULL;
    if (!map_put(hub->topics[kind], topic->name, length, topic)) {
        topic_destroy(topic);
        return NULL;
    }
    if (!is_asked_for(hub, topic)) {
        forget_topic(hub, topic);
        return NULL;
    }
    return topic;
}

/* Called when a member has left, or has not come: the subscription lingers, for a client that is back in a
 * moment. */
void hub_topic_left(struct hub *hub, struct topic *topic)
{
    if (topic->member_count > 0 || list_linked(&topic->lingering))
        return;
    topic->idle_since_ms = clock_now_ms();
    list_append(&hub->lingering_topics, &topic->lingering);
}

void hub_sweep_topics(struct hub *hub)
{
    uint64_t now_ms = clock_now_ms();
    struct list *node = hub->lingering_topics.next;
    while (node != &hub->lingering_topics) {
        struct topic *topic = LIST_OWNER(node, struct topic, lingering);
        node = node->next;
        if (now_ms - topic->idle_since_ms < hub->options.linger_ms)
            return; /* the rest has been idle for less */
        if (topic->state == TOPIC_SUBSCRIBING || topic->is_awaited)
            continue; /* unsubscribed when it is confirmed: see topic.h */
        leave_topic(hub, topic);
    }
}

/* --- the feed comes and goes --- */

void hub_feed_down(struct hub *hub)
{
    if (!hub->syncing)
        hub_release_held(hub); /* it came before the loss */
    hub_visit_listed(hub);
    hub->feed_up = false;
    hub->syncing = false;
    for (unsigned slot = 0; slot < HEARTBEAT_SLOTS; slot++) {
        struct heartbeat_slot *clients = &hub->heartbeat.slots[slot];
        for (uint32_t i = 0; i < clients->count; i++)
            hub_cancel_snapshot(hub,
                                clients->subscribers[i]); /* one read behind the new subscription is needed */
    }
    for (size_t kind = 0; kind < FEED_TOPIC_KINDS; kind++) {
        size_t cursor = 0;
        struct topic *topic;
        while ((topic = map_next(hub->topics[kind], &cursor)) != NULL) {
            topic->state = TOPIC_UNSUBSCRIBED;
            topic->is_awaited = false;
            topic_discard_turn(topic);
        }
    }
}

/* Tells everybody who was live that something may have been missed. */
static void announce_gap(struct hub *hub)
{
    struct chunk *gap = chunk_create();
    struct cursor cursor = { .epoch = hub->epoch, .sequence = hub->sync_sequence };
    char id[CURSOR_LENGTH_MAX];
    if (gap)
        frames_append_gap(&gap->bytes, id, cursor_format(&cursor, id), GAP_REDIS_RECONNECT, NULL);
    for (unsigned slot = 0; slot < HEARTBEAT_SLOTS; slot++) {
        struct heartbeat_slot *clients = &hub->heartbeat.slots[slot];
        for (uint32_t i = clients->count; i-- > 0;) {
            struct subscriber *subscriber = clients->subscribers[i];
            if (subscriber->state != SUBSCRIBER_LIVE || !subscriber->has_channels)
                continue;
            if (!gap || gap->bytes.failed)
                hub_let_go(hub, subscriber); /* it comes back and is told then */
            else
                hub_announce_gap(hub, subscriber, gap);
        }
    }
    chunk_release(gap);
}

/* Everything is subscribed again: first the gap, for everybody, then whatever has come since. */
static void finish_sync(struct hub *hub)
{
    hub->syncing = false;
    hub->delivery.now_ms = clock_now_ms();
    announce_gap(hub);
    hub_join_waiting(hub);
}

static void count_down(struct hub *hub)
{
    if (--hub->sync_pending == 0)
        finish_sync(hub);
}

/* Confirmed or refused. Other topics may be at any time: those that other hubs had subscribed before. */
static void settle(struct hub *hub, struct topic *topic)
{
    if (!topic->is_awaited)
        return;
    topic->is_awaited = false;
    count_down(hub);
}

void hub_feed_up(struct hub *hub)
{
    hub->feed_up = true;
    hub->syncing = true;
    hub->sync_sequence = hub->sequence;
    hub->sync_pending = 1; /* held until all are asked for */
    for (size_t kind = 0; kind < FEED_TOPIC_KINDS; kind++) {
        size_t cursor = 0;
        struct topic *topic;
        while ((topic = map_next(hub->topics[kind], &cursor)) != NULL) {
            /* Now, or again soon: hub_subscribe_again(). What nobody listens to, too: when only events were
             * lost it is subscribed still, or about to be, and only what is confirmed can be left. */
            subscribe(hub, topic);
            if (topic->member_count == 0)
                continue;
            topic->is_awaited = true;
            hub->sync_pending++;
        }
    }
    count_down(hub);
}

void hub_put_off(struct hub *hub, struct topic *topic)
{
    if (topic->state != TOPIC_SUBSCRIBING)
        return;
    topic->state = TOPIC_UNSUBSCRIBED;
    hub->subscribe_again = true;
}

void hub_subscribe_again(struct hub *hub)
{
    if (!hub->subscribe_again)
        return;
    hub->subscribe_again = false;
    for (size_t kind = 0; kind < TOPIC_KINDS; kind++) {
        size_t cursor = 0;
        struct topic *topic;
        while ((topic = map_next(hub->topics[kind], &cursor)) != NULL)
            if (topic->state == TOPIC_UNSUBSCRIBED && (topic->member_count > 0 || topic->is_awaited))
                subscribe(hub, topic);
    }
}

static void join_members(struct hub *hub, struct topic *topic)
{
    struct members *waiting = &topic->members[MEMBERS_WAITING];
    for (uint32_t i = waiting->count; i-- > 0;)
        if (i < waiting->count)
            hub_try_join(hub, waiting->items[i]->subscriber);
}

/* What other hubs of the process have been told of the topic since it was subscribed is there for clients
 * that come back. */
static void take_over_kept(struct hub *hub, struct topic *topic, const struct hub_event *event)
{
    ring_clear(&topic->ring, event->floor, event->floor_reason);
    for (size_t i = 0; i < event->kept_count; i++) {
        ring_append(&topic->ring, event->kept[i], hub->options.replay_messages, hub->options.replay_bytes);
        /* The snapshot may be among it: the key says only what was SET. */
        if (topic->is_batch && event->kept[i]->sequence > event->key_floor)
            hub_refresh_snapshot(hub, event->kept[i]);
    }
}

void hub_confirmed(struct hub *hub, struct topic *topic, const struct hub_event *event)
{
    if (topic->state != TOPIC_SUBSCRIBING)
        return;
    topic->state = TOPIC_CONFIRMED;
    topic->confirmed_sequence = hub->sequence;
    take_over_kept(hub, topic, event);
    topic->was_confirmed = true;
    settle(hub, topic);
    join_members(hub, topic);
}

void hub_refused(struct hub *hub, struct topic *topic, const char *problem)
{
    /* A stream's key can be overwritten by something else later. */
    if (topic->state != TOPIC_SUBSCRIBING && topic->kind != TOPIC_STREAM)
        return;
    log_event(hub->log, LOG_LEVEL_WARN, "subscription refused by redis",
              (const struct log_field[]){ LOG_BYTES("topic", topic->name, topic->name_length),
                                          LOG_TEXT("problem", problem) },
              2);
    topic->state = TOPIC_UNSUBSCRIBED;
    hub_flush_topic(hub, topic);
    for (size_t list = 0; list < MEMBER_LISTS; list++) {
        struct members *members = &topic->members[list];
        for (uint32_t i = members->count; i-- > 0;) {
            if (i >= members->count)
                continue;
            struct subscriber *subscriber = members->items[i]->subscriber;
            if (subscriber->descriptor < 0)
                subscriber->refused = true; /* the front still holds it */
            else
                hub_dismiss(hub, subscriber, problem);
        }
    }
    settle(hub, topic);
}

/* --- streams --- */

struct history *hub_history(struct hub *hub)
{
    return hub->history;
}

void hub_watched(struct hub *hub, struct topic *topic, struct entry_id last)
{
    if (topic->state != TOPIC_SUBSCRIBING)
        return;
    topic->state = TOPIC_CONFIRMED;
    ring_clear(&topic->ring, hub->sequence, GAP_TRIMMED); /* of a key that was refused before */
    topic->last_entry = last;
    topic->ring.floor_entry = last;
    join_members(hub, topic);
}

/* Everybody who listens is told, and stands at `last` from now on. */
void hub_stream_broken(struct hub *hub, struct topic *topic, enum gap_reason reason, struct entry_id last)
{
    if (topic->state != TOPIC_CONFIRMED)
        return;
    hub_flush_topic(hub, topic);
    ring_clear(&topic->ring, hub->sequence, reason);
    topic->ring.floor_entry = last;
    topic->last_entry = last;
    struct stream_gap gap = { .stream = topic->name, .length = topic->name_length };
    const struct members *waiting = &topic->members[MEMBERS_WAITING];
    for (uint32_t i = 0; i < waiting->count; i++)
        waiting->items[i]->proved = false;
    for (size_t list = MEMBERS_JOINED; list < MEMBER_LISTS; list++) {
        struct members *members = &topic->members[list];
        for (uint32_t i = members->count; i-- > 0;) {
            struct membership *membership = members->items[i];
            membership->position = last;
            struct buffer out = { 0 };
            hub_append_gap(hub, membership->subscriber, membership->subscriber->sequence, reason, &gap, &out);
            hub_send_built(hub, membership->subscriber, &out);
        }
    }
}

/* What the tail brought has been lost on its way: who listens comes back and is given it from history. */
void hub_streams_lost(struct hub *hub)
{
    size_t cursor = 0;
    struct topic *topic;
    while ((topic = map_next(hub->topics[TOPIC_STREAM], &cursor)) != NULL) {
        for (size_t list = 0; list < MEMBER_LISTS; list++) {
            struct members *members = &topic->members[list];
            for (uint32_t i = members->count; i-- > 0;)
                if (i < members->count && members->items[i]->subscriber->descriptor >= 0)
                    hub_let_go(hub, members->items[i]->subscriber);
        }
        topic_discard_turn(topic);
        topic->state = TOPIC_UNSUBSCRIBED;
        subscribe(hub, topic); /* who has left in this moment, too: only what is confirmed can be left */
    }
}
