#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hub/frames.h"
#include "hub/hub_state.h"
#include "wire/sse.h"

#define CATCH_UP_AGAIN_MS 100

/* --- what a subscriber is sent before it is live --- */

void hub_append_greeting(struct hub *hub, struct subscriber *subscriber, struct buffer *out)
{
    if (!subscriber->greeted)
        sse_append_retry(out, hub_retry_ms(hub));
    subscriber->greeted = true;
}

/* Sends and frees what was built; false when the subscriber is gone by that. */
bool hub_send_built(struct hub *hub, struct subscriber *subscriber, struct buffer *out)
{
    enum delivery_result result = DELIVERY_DONE;
    if (out->failed)
        result = DELIVERY_GONE;
    else if (out->size > 0)
        result = subscriber_send_bytes(subscriber, &hub->delivery, out->data, out->size);
    buffer_free(out);
    if (result != DELIVERY_DONE)
        hub_failed(hub, subscriber, result);
    return result == DELIVERY_DONE;
}

void hub_greet(struct hub *hub, struct subscriber *subscriber)
{
    if (subscriber->greeted)
        return;
    struct buffer out = { 0 };
    hub_append_greeting(hub, subscriber, &out);
    if (subscriber->join == JOIN_FRESH && subscriber->has_channels)
        subscriber->join = JOIN_MISSED;
    hub_send_built(hub, subscriber, &out);
}

void hub_go_live(struct hub *hub, struct subscriber *subscriber)
{
    for (size_t i = 0; i < subscriber->topic_count; i++) {
        enum member_list list = subscriber->topic_count == 1
                                    ? (enum member_list)(MEMBERS_SINGLE + subscriber->format)
                                    : MEMBERS_SEVERAL;
        if (!topic_move(subscriber_membership(subscriber, i), list)) {
            hub_let_go(hub, subscriber);
            return;
        }
    }
    subscriber->sequence = hub->sequence;
    subscriber->state = SUBSCRIBER_LIVE;
}

static void go_waiting(struct hub *hub, struct subscriber *subscriber, enum join_kind join, uint64_t sequence)
{
    for (size_t i = 0; i < subscriber->topic_count; i++) {
        if (!topic_move(subscriber_membership(subscriber, i), MEMBERS_WAITING)) {
            hub_let_go(hub, subscriber);
            return;
        }
    }
    subscriber->state = SUBSCRIBER_WAITING;
    subscriber->join = (uint8_t)join;
    subscriber->sequence = sequence;
}

void hub_announce_gap(struct hub *hub, struct subscriber *subscriber, struct chunk *gap)
{
    bool is_of_batch = subscriber->format == STREAM_BATCH;
    if (subscriber->composite || is_of_batch) {
        struct buffer out = { 0 };
        hub_append_gap(hub, subscriber, is_of_batch ? SNAPSHOT_OWED : hub->sync_sequence, GAP_REDIS_RECONNECT,
                       NULL, &out);
        if (!hub_send_built(hub, subscriber, &out))
            return;
    } else {
        hub->metrics->gaps[GAP_REDIS_RECONNECT]++;
        enum delivery_result result = subscriber_send(subscriber, &hub->delivery, gap, 0, gap->bytes.size);
        if (result != DELIVERY_DONE) {
            hub_failed(hub, subscriber, result);
            return;
        }
    }
    if (is_of_batch || subscriber->topic_count > 1)
        go_waiting(hub, subscriber, JOIN_AFTER_GAP, hub->sync_sequence);
}

/* True when the subscriber must be told that it may have missed something of its channels. */
bool hub_find_gap(struct subscriber *subscriber, enum gap_reason *ret_reason)
{
    switch ((enum join_kind)subscriber->join) {
    case JOIN_FRESH:
    case JOIN_CAUGHT_UP:
        return false;
    case JOIN_AFTER_GAP:
        *ret_reason = GAP_TRIMMED;
        return hub_rings_trimmed(subscriber);
    case JOIN_MISSED:
        *ret_reason = GAP_REDIS_RECONNECT;
        return true;
    case JOIN_RESTART:
        *ret_reason = GAP_RESTART;
        return true;
    case JOIN_UNKNOWN:
        *ret_reason = GAP_UNKNOWN_ID;
        return true;
    case JOIN_REPLAY:
        return !hub_rings_cover(subscriber, ret_reason);
    }
    return false;
}

void hub_append_place(struct hub *hub, struct subscriber *subscriber, struct buffer *out)
{
    hub_append_id_line(hub, subscriber, hub->sequence, out);
    buffer_append_byte(out, '\n');
}

static void join_plain(struct hub *hub, struct subscriber *subscriber)
{
    struct buffer out = { 0 };
    struct replay replay = { 0 };
    enum gap_reason reason = GAP_REASONS;
    hub_append_greeting(hub, subscriber, &out);
    bool gap = hub_find_gap(subscriber, &reason);
    if (!hub_has_place(subscriber))
        subscriber->sequence = hub->sequence;
    out.failed |= !hub_collect_replay(subscriber, &replay);
    hub_append_replay(hub, subscriber, &replay, gap, reason, &out);
    /* A gap's id may be older: who is cut now has been told of it, and missed nothing more. */
    if (replay.count == 0 && (!gap || subscriber->sequence < hub->sequence))
        hub_append_place(hub, subscriber, &out);
    free(replay.messages);
    if (hub_send_built(hub, subscriber, &out))
        hub_go_live(hub, subscriber);
}

/* --- from WAITING to LIVE --- */

/* It comes back with an id that another hub gave it, and has more than this one has been told. */
static void catch_up(struct hub *hub)
{
    if (!hub->catching_up)
        hub->catching_up = hub->source.catch_up(hub->source.context);
    if (!hub->catching_up)
        hub_join_waiting_in(hub, CATCH_UP_AGAIN_MS);
}

void hub_try_join(struct hub *hub, struct subscriber *subscriber)
{
    if (subscriber->state != SUBSCRIBER_WAITING || subscriber->descriptor < 0 || subscriber->awaits_snapshot)
        return;
    if (subscriber->has_channels && !hub->feed_up) {
        hub_greet(hub, subscriber);
        return;
    }
    if (subscriber->has_channels && hub->syncing)
        return;
    for (size_t i = 0; i < subscriber->topic_count; i++)
        if (subscriber_membership(subscriber, i)->topic->state != TOPIC_CONFIRMED)
            return;
    if (subscriber->join == JOIN_REPLAY && subscriber->sequence > hub->sequence) {
        catch_up(hub);
        return;
    }
    if (subscriber->format == STREAM_BATCH) {
        hub_join_batch(hub, subscriber);
        return;
    }
    if (subscriber->streams_tag != 0 && !hub_streams_ready(hub, subscriber))
        return;
    if (subscriber->topic_count == 1)
        hub_flush_topic(hub, subscriber->first.topic);
    join_plain(hub, subscriber);
}

void hub_join_waiting_in(struct hub *hub, uint64_t wait_ms)
{
    uint64_t at_ms = clock_now_ms() + wait_ms;
    if (hub->join_again_ms == 0 || at_ms < hub->join_again_ms)
        hub->join_again_ms = at_ms;
}

void hub_join_waiting(struct hub *hub)
{
    for (unsigned slot = 0; slot < HEARTBEAT_SLOTS; slot++) {
        struct heartbeat_slot *clients = &hub->heartbeat.slots[slot];
        for (uint32_t i = clients->count; i-- > 0;)
            if (i < clients->count)
                hub_try_join(hub, clients->subscribers[i]);
    }
}
