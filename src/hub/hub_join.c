#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hub/frames.h"
#include "hub/hub_state.h"
#include "wire/sse.h"

#define JOIN_AGAIN_MS 1000

/* --- what a subscriber is sent before it is live --- */

static void append_greeting(struct hub *hub, struct subscriber *subscriber, struct buffer *out)
{
    if (!subscriber->greeted)
        sse_append_retry(out, hub_retry_ms(hub));
    subscriber->greeted = true;
}

static void append_gap(struct hub *hub, struct buffer *out, uint64_t sequence, enum gap_reason reason)
{
    hub->metrics->gaps[reason]++;
    frames_append_gap(out, hub->epoch, sequence, reason);
}

/* Sends and frees what was built; false when the subscriber is gone by that. */
static bool send_built(struct hub *hub, struct subscriber *subscriber, struct buffer *out)
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
    append_greeting(hub, subscriber, &out);
    if (subscriber->join == JOIN_FRESH)
        subscriber->join = JOIN_MISSED;
    send_built(hub, subscriber, &out);
}

static void go_live(struct hub *hub, struct subscriber *subscriber)
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
    hub->metrics->gaps[GAP_REDIS_RECONNECT]++;
    enum delivery_result result = subscriber_send(subscriber, &hub->delivery, gap, 0, gap->bytes.size);
    if (result != DELIVERY_DONE)
        hub_failed(hub, subscriber, result);
    else if (subscriber->format == STREAM_BATCH || subscriber->topic_count > 1)
        go_waiting(hub, subscriber, JOIN_AFTER_GAP, hub->sync_sequence);
}

/* --- replay from the rings --- */

/* True when the rings hold all the subscriber missed; else *ret_reason says why not. */
static bool rings_cover(struct subscriber *subscriber, enum gap_reason *ret_reason)
{
    bool covered = true;
    *ret_reason = GAP_TRIMMED;
    for (size_t i = 0; i < subscriber->topic_count; i++) {
        const struct ring *ring = &subscriber_membership(subscriber, i)->topic->ring;
        if (subscriber->sequence >= ring->floor)
            continue;
        covered = false;
        if (ring->floor_reason == GAP_REDIS_RECONNECT)
            *ret_reason = GAP_REDIS_RECONNECT;
    }
    return covered;
}

static int compare_sequence(const void *left, const void *right)
{
    const struct message *a = *(const struct message *const *)left;
    const struct message *b = *(const struct message *const *)right;
    return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

struct replay {
    const struct message **messages; /* in sequence, each once */
    size_t count;
};

/* Collects what all the subscriber's rings hold above its sequence. False when memory is short. */
static bool collect_replay(struct subscriber *subscriber, struct replay *ret_replay)
{
    *ret_replay = (struct replay){ 0 };
    size_t total = 0;
    for (size_t i = 0; i < subscriber->topic_count; i++) {
        const struct ring *ring = &subscriber_membership(subscriber, i)->topic->ring;
        total += ring->count - ring_after(ring, subscriber->sequence);
    }
    if (total == 0)
        return true;
    const struct message **messages = calloc(total, sizeof *messages);
    if (!messages)
        return false;
    size_t count = 0;
    for (size_t i = 0; i < subscriber->topic_count; i++) {
        const struct ring *ring = &subscriber_membership(subscriber, i)->topic->ring;
        for (uint32_t at = ring_after(ring, subscriber->sequence); at < ring->count; at++)
            messages[count++] = ring_get(ring, at);
    }
    qsort(messages, count, sizeof *messages, compare_sequence);
    size_t unique = 0;
    for (size_t i = 0; i < count; i++)
        if (unique == 0 || messages[unique - 1]->sequence != messages[i]->sequence)
            messages[unique++] = messages[i];
    *ret_replay = (struct replay){ .messages = messages, .count = unique };
    return true;
}

/* Where to start so that what is sent stays within a client's backlog bound: 0 when all fits. */
static size_t replay_start(const struct hub *hub, const struct replay *replay)
{
    size_t bytes = 0;
    size_t start = replay->count;
    while (start > 0 && bytes + replay->messages[start - 1]->payload_length <= hub->options.backlog_bytes_max)
        bytes += replay->messages[--start]->payload_length;
    return start;
}

/* Appends the replay; the gap first, if there is one. Counts what was replayed. */
static void append_replay(struct hub *hub, struct subscriber *subscriber, const struct replay *replay,
                          bool gap, enum gap_reason reason, struct buffer *out)
{
    size_t start = replay_start(hub, replay);
    if (gap || start > 0)
        append_gap(hub, out, subscriber->sequence, gap ? reason : GAP_TRIMMED);
    for (size_t i = start; i < replay->count; i++)
        frames_append_message(out, subscriber->format, hub->epoch, replay->messages[i]);
    hub->metrics->sse_events += replay->count - start;
}

static void join_plain(struct hub *hub, struct subscriber *subscriber)
{
    struct buffer out = { 0 };
    struct replay replay = { 0 };
    enum gap_reason reason = GAP_REASONS;
    append_greeting(hub, subscriber, &out);
    switch ((enum join_kind)subscriber->join) {
    case JOIN_FRESH:
    case JOIN_CAUGHT_UP:
        break;
    case JOIN_MISSED:
        append_gap(hub, &out, hub->sequence, GAP_REDIS_RECONNECT);
        break;
    case JOIN_RESTART:
        append_gap(hub, &out, hub->sequence, GAP_RESTART);
        break;
    case JOIN_UNKNOWN:
        append_gap(hub, &out, hub->sequence, GAP_UNKNOWN_ID);
        break;
    case JOIN_REPLAY:
    case JOIN_AFTER_GAP: {
        bool gap = subscriber->join == JOIN_REPLAY && !rings_cover(subscriber, &reason);
        out.failed |= !collect_replay(subscriber, &replay);
        append_replay(hub, subscriber, &replay, gap, reason, &out);
        break;
    }
    }
    free(replay.messages);
    if (send_built(hub, subscriber, &out))
        go_live(hub, subscriber);
}

/* --- batches --- */

static const char *batch_id(const struct topic *topic, size_t *ret_length)
{
    *ret_length = topic->name_length - strlen(BATCH_CHANNEL_PREFIX);
    return topic->name + strlen(BATCH_CHANNEL_PREFIX);
}

/* Sends the state a batch viewer joins with and makes it live, or ends it if the batch is over. */
static void join_with(struct hub *hub, struct subscriber *subscriber, struct buffer *out, bool over)
{
    if (!send_built(hub, subscriber, out))
        return;
    if (over)
        hub_finish(hub, subscriber);
    else
        go_live(hub, subscriber);
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
    out.failed = !collect_replay(subscriber, &replay);
    if (replay.count == 0 && !out.failed)
        return false;
    bool over = cut_at_end(&replay);
    append_greeting(hub, subscriber, &out);
    append_replay(hub, subscriber, &replay, false, GAP_TRIMMED, &out);
    free(replay.messages);
    join_with(hub, subscriber, &out, over);
    return true;
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
        hub->join_again_ms = clock_now_ms() + JOIN_AGAIN_MS;
        return;
    }
    /* What the turn has so far is older than the snapshot: out with it to the others first. */
    hub_flush_topic(hub, topic);
    if (subscriber->join == JOIN_CAUGHT_UP && replay_batch(hub, subscriber))
        return;
    struct buffer out = { 0 };
    bool over = status == SNAPSHOT_FOUND && snapshot->kind == PAYLOAD_TERMINAL;
    if (subscriber->join != JOIN_CAUGHT_UP && status == SNAPSHOT_FOUND) {
        frames_append_progress(&out, hub->epoch, hub->sequence, snapshot->bytes, snapshot->length,
                               snapshot->kind);
        hub->metrics->sse_events++;
    } else if (over) {
        frames_append_complete(&out, hub->epoch, subscriber->sequence, snapshot->bytes, snapshot->length);
    }
    join_with(hub, subscriber, &out, over);
}

void hub_cancel_snapshot(struct hub *hub, struct subscriber *subscriber)
{
    if (!subscriber->awaits_snapshot)
        return;
    subscriber->awaits_snapshot = false;
    size_t length;
    const char *id = batch_id(subscriber->first.topic, &length);
    snapshot_cache_cancel(hub->cache, id, length, subscriber);
}

static void join_batch(struct hub *hub, struct subscriber *subscriber)
{
    struct topic *topic = subscriber->first.topic;
    enum gap_reason reason = GAP_REASONS;
    if (subscriber->join == JOIN_REPLAY && rings_cover(subscriber, &reason)) {
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
    append_greeting(hub, subscriber, &out);
    if (reason != GAP_REASONS && subscriber->join != JOIN_CAUGHT_UP) {
        append_gap(hub, &out, hub->sequence, reason);
        subscriber->join = JOIN_AFTER_GAP;
    }
    if (!send_built(hub, subscriber, &out))
        return;
    size_t length;
    const char *id = batch_id(topic, &length);
    subscriber->awaits_snapshot = true;
    if (!snapshot_cache_read(hub->cache, id, length, topic->confirmed_sequence, true, clock_now_ms(),
                             on_snapshot, subscriber)) {
        subscriber->awaits_snapshot = false;
        hub_let_go(hub, subscriber);
    }
}

/* --- from WAITING to LIVE --- */

void hub_try_join(struct hub *hub, struct subscriber *subscriber)
{
    if (subscriber->state != SUBSCRIBER_WAITING || subscriber->descriptor < 0 || subscriber->awaits_snapshot)
        return;
    if (!hub->feed_up) {
        hub_greet(hub, subscriber);
        return;
    }
    if (hub->syncing)
        return;
    for (size_t i = 0; i < subscriber->topic_count; i++)
        if (subscriber_membership(subscriber, i)->topic->state != TOPIC_CONFIRMED)
            return;
    if (subscriber->format == STREAM_BATCH) {
        join_batch(hub, subscriber);
        return;
    }
    if (subscriber->topic_count == 1)
        hub_flush_topic(hub, subscriber->first.topic);
    join_plain(hub, subscriber);
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
