#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hub/frames.h"
#include "hub/hub_state.h"
#include "wire/sse.h"

#define JOIN_AGAIN_MS 1000

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
    if (subscriber->composite) {
        struct buffer out = { 0 };
        hub_append_gap(hub, subscriber, hub->sync_sequence, GAP_REDIS_RECONNECT, NULL, &out);
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
    if (subscriber->format == STREAM_BATCH || subscriber->topic_count > 1)
        go_waiting(hub, subscriber, JOIN_AFTER_GAP, hub->sync_sequence);
}

/* --- replay from the rings --- */

/* True when the rings hold all the subscriber missed of its channels; else *ret_reason says why not. */
bool hub_rings_cover(struct subscriber *subscriber, enum gap_reason *ret_reason)
{
    bool covered = true;
    *ret_reason = GAP_TRIMMED;
    for (size_t i = 0; i < subscriber->topic_count; i++) {
        const struct topic *topic = subscriber_membership(subscriber, i)->topic;
        const struct ring *ring = &topic->ring;
        if (topic->kind == TOPIC_STREAM || subscriber->sequence >= ring->floor)
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

/* The first message of the topic's ring that the subscriber is to be given. */
static uint32_t replay_from(struct subscriber *subscriber, const struct membership *membership)
{
    const struct ring *ring = &membership->topic->ring;
    if (membership->topic->kind == TOPIC_STREAM)
        return ring_after_entry(ring, membership->position);
    bool wants_channels = subscriber->join == JOIN_REPLAY || subscriber->join == JOIN_AFTER_GAP ||
                          subscriber->join == JOIN_CAUGHT_UP;
    return wants_channels ? ring_after(ring, subscriber->sequence) : ring->count;
}

/* Collects what all the subscriber's rings hold for it. False when memory is short. */
static bool collect_replay(struct subscriber *subscriber, struct replay *ret_replay)
{
    *ret_replay = (struct replay){ 0 };
    size_t total = 0;
    for (size_t i = 0; i < subscriber->topic_count; i++) {
        const struct membership *membership = subscriber_membership(subscriber, i);
        total += membership->topic->ring.count - replay_from(subscriber, membership);
    }
    if (total == 0)
        return true;
    const struct message **messages = calloc(total, sizeof *messages);
    if (!messages)
        return false;
    size_t count = 0;
    for (size_t i = 0; i < subscriber->topic_count; i++) {
        const struct membership *membership = subscriber_membership(subscriber, i);
        const struct ring *ring = &membership->topic->ring;
        for (uint32_t at = replay_from(subscriber, membership); at < ring->count; at++)
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

/* Where to start so that what is sent stays within a client's backlog bound: 0 when all fits. Entries are
 * never left out. */
static size_t replay_start(const struct hub *hub, const struct replay *replay)
{
    size_t bytes = 0;
    size_t start = replay->count;
    while (start > 0) {
        const struct message *message = replay->messages[start - 1];
        bytes += message->payload_length;
        if (bytes > hub->options.backlog_bytes_max && !message_is_entry(message))
            break;
        start--;
    }
    return start;
}

static struct membership *membership_of_entry(struct subscriber *subscriber, const struct message *message)
{
    for (size_t i = 0; i < subscriber->topic_count; i++) {
        struct membership *membership = subscriber_membership(subscriber, i);
        const struct topic *topic = membership->topic;
        if (topic->kind == TOPIC_STREAM && topic->name_length == message->channel_length &&
            memcmp(topic->name, message_channel(message), topic->name_length) == 0)
            return membership;
    }
    return NULL;
}

static void append_message(struct hub *hub, struct subscriber *subscriber, const struct message *message,
                           struct buffer *out)
{
    struct membership *membership =
        message_is_entry(message) ? membership_of_entry(subscriber, message) : NULL;
    if (membership)
        membership->position = message->entry;
    if (!subscriber->composite) {
        frames_append_message(out, subscriber->format, hub->epoch, message);
        return;
    }
    /* An entry may be older than what it has of its channels: its id must not take it back there. */
    if (message->sequence > subscriber->sequence)
        subscriber->sequence = message->sequence;
    hub_append_id_line(hub, subscriber, subscriber->sequence, out);
    frames_append_message(out, FRAME_BARE(subscriber->format), hub->epoch, message);
}

/* Appends the replay; the gap first, if there is one. Counts what was replayed. */
static void append_replay(struct hub *hub, struct subscriber *subscriber, const struct replay *replay,
                          bool gap, enum gap_reason reason, struct buffer *out)
{
    size_t start = replay_start(hub, replay);
    if (gap || start > 0)
        hub_append_gap(hub, subscriber, subscriber->sequence, gap ? reason : GAP_TRIMMED, NULL, out);
    for (size_t i = start; i < replay->count; i++)
        append_message(hub, subscriber, replay->messages[i], out);
    hub->metrics->sse_events += replay->count - start;
}

/* True when the subscriber must be told that it may have missed something of its channels. */
bool hub_find_gap(struct subscriber *subscriber, enum gap_reason *ret_reason)
{
    switch ((enum join_kind)subscriber->join) {
    case JOIN_FRESH:
    case JOIN_AFTER_GAP:
    case JOIN_CAUGHT_UP:
        return false;
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

/* A block with only an id: who is cut before the first event comes back to this place. */
static void append_place(struct hub *hub, struct subscriber *subscriber, struct buffer *out)
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
    if (subscriber->join != JOIN_REPLAY && subscriber->join != JOIN_AFTER_GAP)
        subscriber->sequence = hub->sequence;
    out.failed |= !collect_replay(subscriber, &replay);
    append_replay(hub, subscriber, &replay, gap, reason, &out);
    if (!gap && replay.count == 0)
        append_place(hub, subscriber, &out);
    free(replay.messages);
    if (hub_send_built(hub, subscriber, &out))
        hub_go_live(hub, subscriber);
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
    out.failed = !collect_replay(subscriber, &replay);
    if (replay.count == 0 && !out.failed)
        return false;
    bool over = cut_at_end(&replay);
    hub_append_greeting(hub, subscriber, &out);
    append_replay(hub, subscriber, &replay, false, GAP_TRIMMED, &out);
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
    if (is_told_by_messages(subscriber, status, snapshot))
        subscriber->join = JOIN_CAUGHT_UP;
    if (subscriber->join == JOIN_CAUGHT_UP && replay_batch(hub, subscriber))
        return;
    struct buffer out = { 0 };
    bool over = status == SNAPSHOT_FOUND && snapshot->kind == PAYLOAD_TERMINAL;
    append_opaque(hub, subscriber, &out);
    if (subscriber->join != JOIN_CAUGHT_UP && status == SNAPSHOT_FOUND) {
        frames_append_progress(&out, hub->epoch, hub->sequence, snapshot->bytes, snapshot->length,
                               snapshot->kind);
        hub->metrics->sse_events++;
    } else if (over) {
        frames_append_complete(&out, hub->epoch, subscriber->sequence, snapshot->bytes, snapshot->length);
    }
    join_with(hub, subscriber, &out, over);
    hub_watch_joined(hub, subscriber, snapshot);
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
        hub_append_gap(hub, subscriber, hub->sequence, reason, NULL, &out);
        subscriber->join = JOIN_AFTER_GAP;
    }
    if (!hub_send_built(hub, subscriber, &out))
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
    if (subscriber->has_channels && !hub->feed_up) {
        hub_greet(hub, subscriber);
        return;
    }
    if (subscriber->has_channels && hub->syncing)
        return;
    for (size_t i = 0; i < subscriber->topic_count; i++)
        if (subscriber_membership(subscriber, i)->topic->state != TOPIC_CONFIRMED)
            return;
    if (subscriber->format == STREAM_BATCH) {
        join_batch(hub, subscriber);
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
