/* How a viewer of a batch joins: with a snapshot, or with what it missed, and not at all when the batch is
 * over. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hub/frames.h"
#include "hub/hub_state.h"

#define JOIN_AGAIN_MS 1000

const char *hub_batch_id(const struct topic *topic, size_t *ret_length)
{
    *ret_length = topic->name_length - strlen(BATCH_CHANNEL_PREFIX);
    return topic->name + strlen(BATCH_CHANNEL_PREFIX);
}

/* Sends the state a batch viewer joins with and makes it live, or ends it if the batch is over. */
static void join_with(struct hub *hub, struct subscriber *subscriber, struct buffer *out, bool over)
{
    if (!hub_send_built(hub, subscriber, out))
        return;
    if (over)
        hub_finish(hub, subscriber);
    else
        hub_go_live(hub, subscriber);
}

/* The end of a batch ends its stream: what came behind belongs to another run. */
static bool cut_at_end(struct replay *replay)
{
    for (size_t i = 0; i < replay->count; i++) {
        if (replay->messages[i]->kind == PAYLOAD_TERMINAL) {
            replay->count = i + 1;
            return true;
        }
    }
    return false;
}

/* True when there was something to replay; the subscriber is live, finished or gone then. */
static bool replay_batch(struct hub *hub, struct subscriber *subscriber)
{
    struct replay replay;
    struct buffer out = { 0 };
    out.failed = !hub_collect_replay(subscriber, &replay);
    if (replay.count == 0 && !out.failed)
        return false;
    bool over = cut_at_end(&replay);
    hub_append_greeting(hub, subscriber, &out);
    hub_append_replay(hub, subscriber, &replay, false, GAP_TRIMMED, &out);
    free(replay.messages);
    join_with(hub, subscriber, &out, over);
    return true;
}

/*
 * Whether the state that was read has come by messages, too, since the subscriber asked: then each of them
 * tells it better than the snapshot, which says only how they ended.
 */
static bool is_told_by_messages(const struct subscriber *subscriber, enum snapshot_status status,
                                const struct snapshot *snapshot)
{
    const struct topic *topic = subscriber->first.topic;
    const struct ring *ring = &topic->ring;
    if (subscriber->join != JOIN_FRESH ||
        (ring->floor > subscriber->sequence && ring->floor > topic->confirmed_sequence))
        return false;
    uint32_t begin = ring_after(ring, subscriber->sequence);
    for (uint32_t i = ring->count; status == SNAPSHOT_FOUND && i > begin; i--) {
        const struct message *message = ring_get(ring, i - 1);
        if (message->kind != PAYLOAD_OPAQUE)
            return message->payload_length == snapshot->length &&
                   memcmp(message_payload(message), snapshot->bytes, snapshot->length) == 0;
    }
    return status == SNAPSHOT_ABSENT;
}

/* Who had caught up when it asked for the snapshot has not any more when the ring has lost what came since:
 * it is told, and joins with the snapshot. */
static void check_caught_up(struct hub *hub, struct subscriber *subscriber, struct buffer *out)
{
    enum gap_reason reason;
    if (subscriber->join != JOIN_CAUGHT_UP || hub_rings_cover(subscriber, &reason))
        return;
    hub_append_gap(hub, subscriber, SNAPSHOT_OWED, reason, NULL, out);
    subscriber->join = JOIN_AFTER_GAP;
}

/* What is no JSON object is in no snapshot: what came of it while this one was read goes out before it. */
static void append_opaque(struct hub *hub, const struct subscriber *subscriber, struct buffer *out)
{
    const struct ring *ring = &subscriber->first.topic->ring;
    for (uint32_t i = ring_after(ring, subscriber->sequence); i < ring->count; i++) {
        const struct message *message = ring_get(ring, i);
        if (message->kind != PAYLOAD_OPAQUE)
            continue;
        frames_append_message(out, STREAM_BATCH, hub->epoch, message);
        hub->metrics->sse_events++;
    }
}

static void on_snapshot(void *context, enum snapshot_status status, const struct snapshot *snapshot)
{
    struct subscriber *subscriber = context;
    struct topic *topic = subscriber->first.topic;
    struct hub *hub = topic->hub;
    subscriber->awaits_snapshot = false;
    if (subscriber->state != SUBSCRIBER_WAITING || topic->state != TOPIC_CONFIRMED || hub->syncing)
        return; /* Redis was lost meanwhile: it is tried again when all is subscribed */
    if (status == SNAPSHOT_UNAVAILABLE) {
        hub_join_waiting_in(hub, JOIN_AGAIN_MS);
        return;
    }
    /* What the turn has so far is older than the snapshot: out with it to the others first. */
    hub_flush_topic(hub, topic);
    struct buffer out = { 0 };
    check_caught_up(hub, subscriber, &out);
    if (is_told_by_messages(subscriber, status, snapshot))
        subscriber->join = JOIN_CAUGHT_UP;
    if (subscriber->join == JOIN_CAUGHT_UP && replay_batch(hub, subscriber))
        return;
    bool over = status == SNAPSHOT_FOUND && snapshot->kind == PAYLOAD_TERMINAL;
    append_opaque(hub, subscriber, &out);
    if (subscriber->join != JOIN_CAUGHT_UP && status == SNAPSHOT_FOUND) {
        frames_append_progress(&out, hub->epoch, hub->sequence, snapshot->bytes, snapshot->length,
                               snapshot->kind);
        hub->metrics->sse_events++;
    } else if (over) {
        frames_append_complete(&out, hub->epoch, subscriber->sequence, snapshot->bytes, snapshot->length);
    } else if (subscriber->join == JOIN_AFTER_GAP) {
        hub_append_place(hub, subscriber, &out); /* there is none: nothing is owed any more */
    }
    join_with(hub, subscriber, &out, over);
    hub_watch_joined(hub, subscriber, snapshot, subscriber->join != JOIN_CAUGHT_UP);
}

void hub_cancel_snapshot(struct hub *hub, struct subscriber *subscriber)
{
    if (!subscriber->awaits_snapshot)
        return;
    subscriber->awaits_snapshot = false;
    size_t length;
    const char *id = hub_batch_id(subscriber->first.topic, &length);
    snapshot_cache_cancel(hub->cache, id, length, subscriber);
}

void hub_join_batch(struct hub *hub, struct subscriber *subscriber)
{
    struct topic *topic = subscriber->first.topic;
    enum gap_reason reason = GAP_REASONS;
    /* Who had caught up waits for its snapshot still: Redis may have been lost since. */
    if (subscriber->join == JOIN_CAUGHT_UP)
        subscriber->join = JOIN_REPLAY;
    if (subscriber->join == JOIN_REPLAY && hub_rings_cover(subscriber, &reason)) {
        hub_flush_topic(hub, topic);
        if (replay_batch(hub, subscriber))
            return;
        subscriber->join = JOIN_CAUGHT_UP;
    } else if (subscriber->join == JOIN_RESTART) {
        reason = GAP_RESTART;
    } else if (subscriber->join == JOIN_UNKNOWN) {
        reason = GAP_UNKNOWN_ID;
    }
    struct buffer out = { 0 };
    hub_append_greeting(hub, subscriber, &out);
    if (reason != GAP_REASONS && subscriber->join != JOIN_CAUGHT_UP) {
        hub_append_gap(hub, subscriber, SNAPSHOT_OWED, reason, NULL, &out);
        subscriber->join = JOIN_AFTER_GAP;
    }
    if (!hub_send_built(hub, subscriber, &out))
        return;
    size_t length;
    const char *id = hub_batch_id(topic, &length);
    subscriber->awaits_snapshot = true;
    if (!snapshot_cache_read(hub->cache, id, length, topic->confirmed_sequence, true, clock_now_ms(),
                             on_snapshot, subscriber)) {
        subscriber->awaits_snapshot = false;
        hub_let_go(hub, subscriber);
    }
}
