#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hub/frames.h"
#include "hub/hub_state.h"

/* --- from Redis to frames --- */

static void on_chunk_done(void *context, const struct chunk *chunk)
{
    struct metrics *metrics = context;
    histogram_observe(&metrics->sse_latency, clock_now_ns() - chunk->received_ns, chunk->messages);
}

/* The turn's chunk with the message as its last, framed when the first subscriber asks for it. NULL when
 * memory is short. */
static struct chunk *frame(struct hub *hub, struct topic *topic, unsigned variant,
                           const struct message *message)
{
    struct chunk *chunk = topic_turn_chunk(topic, variant, message->received_ns);
    if (!chunk || (chunk->messages > 0 && topic->turn_sequence[variant] == message->sequence))
        return chunk;
    size_t begin = chunk->bytes.size;
    frames_append_message(&chunk->bytes, variant, hub->epoch, message);
    if (chunk->bytes.failed)
        return NULL;
    chunk->messages++;
    chunk->done = on_chunk_done;
    chunk->done_context = hub->metrics;
    topic->turn_last[variant] = begin;
    topic->turn_sequence[variant] = message->sequence;
    hub_topic_has_more(hub, topic, chunk);
    return chunk;
}

/* Memory is short and a message is lost to everybody live: they go, and are told of the gap when they come
 * back. */
static void lose_members(struct hub *hub, struct topic *topic, uint64_t sequence)
{
    topic_discard_turn(topic);
    ring_clear(&topic->ring, sequence, GAP_TRIMMED);
    topic->ring.floor_entry = topic->last_entry;
    for (size_t list = MEMBERS_JOINED; list < MEMBER_LISTS; list++) {
        struct members *members = &topic->members[list];
        while (members->count > 0)
            hub_let_go(hub, members->items[members->count - 1]->subscriber);
    }
}

/* The id of the client's next event goes out before the bare frame that all such clients share. */
static enum delivery_result queue_id_line(struct hub *hub, struct subscriber *subscriber)
{
    if (!hub->ids)
        hub->ids = chunk_create();
    if (!hub->ids)
        return DELIVERY_GONE;
    struct buffer *lines = &hub->ids->bytes;
    struct gzip_part part = { 0 };
    size_t begin = subscriber->compressed ? gzip_open_stored(lines) : lines->size;
    hub_append_id_line(hub, subscriber, subscriber->sequence, lines);
    if (subscriber->compressed)
        part = gzip_close_stored(lines, begin);
    if (lines->failed)
        return DELIVERY_GONE;
    return subscriber_queue(subscriber, &hub->delivery, hub->ids, begin, lines->size, &part);
}

/* What clients of several topics are given of one message, made when the first of them needs it. */
struct several_frames {
    struct chunk *coded[FRAME_VARIANTS];
};

static enum delivery_result queue_frame(struct hub *hub, struct membership *membership, unsigned variant,
                                        struct chunk *chunk, struct several_frames *frames)
{
    struct subscriber *subscriber = membership->subscriber;
    size_t begin = membership->topic->turn_last[variant];
    if (!subscriber->compressed)
        return subscriber_queue(subscriber, &hub->delivery, chunk, begin, chunk->bytes.size, NULL);
    struct chunk **coded = &frames->coded[variant];
    if (!*coded)
        *coded = chunk_create_coded(hub->delivery.gzip, chunk->bytes.data + begin, chunk->bytes.size - begin);
    if (!*coded)
        return DELIVERY_GONE;
    return subscriber_queue(subscriber, &hub->delivery, *coded, 0, (*coded)->bytes.size, &(*coded)->part);
}

static bool give_to_several(struct hub *hub, struct membership *membership, const struct message *message,
                            struct several_frames *frames)
{
    struct subscriber *subscriber = membership->subscriber;
    struct topic *topic = membership->topic;
    unsigned variant = subscriber->composite ? FRAME_BARE(subscriber->format) : subscriber->format;
    struct chunk *chunk = frame(hub, topic, variant, message);
    if (!chunk)
        return false;
    subscriber->sequence = message->sequence;
    membership->position = message->entry;
    enum delivery_result result = subscriber->composite ? queue_id_line(hub, subscriber) : DELIVERY_DONE;
    if (result == DELIVERY_DONE)
        result = queue_frame(hub, membership, variant, chunk, frames);
    if (result != DELIVERY_DONE) {
        hub_failed(hub, subscriber, result);
        return true;
    }
    hub->metrics->sse_events++;
    hub_list(hub, subscriber);
    return true;
}

static bool frame_for_several(struct hub *hub, struct topic *topic, const struct message *message)
{
    struct members *several = &topic->members[MEMBERS_SEVERAL];
    struct several_frames frames = { 0 };
    bool framed = true;
    for (uint32_t i = several->count; framed && i-- > 0;) {
        struct membership *membership = several->items[i];
        const struct subscriber *subscriber = membership->subscriber;
        if (subscriber->sequence >= message->sequence)
            continue; /* has it by another of its topics */
        if (hub->syncing && subscriber->has_channels)
            continue; /* is told of the gap first; this comes with its join */
        framed = give_to_several(hub, membership, message, &frames);
    }
    for (unsigned variant = 0; variant < FRAME_VARIANTS; variant++)
        chunk_release(frames.coded[variant]);
    return framed;
}

static bool frame_for_members(struct hub *hub, struct topic *topic, const struct message *message)
{
    for (unsigned format = 0; format < STREAM_FORMATS; format++) {
        /* While syncing, batches wait for the snapshot that their join gives them. */
        if (topic->members[MEMBERS_SINGLE + format].count == 0 || (hub->syncing && format == STREAM_BATCH))
            continue;
        if (!frame(hub, topic, format, message))
            return false;
        if (format == STREAM_BATCH)
            topic->turn_terminal = message->kind == PAYLOAD_TERMINAL;
    }
    return frame_for_several(hub, topic, message);
}

/* Once, whatever the number of topics it comes by. */
void hub_refresh_snapshot(struct hub *hub, const struct message *message)
{
    if (!message_is_of_batch(message) || message->sequence == hub->live_sequence)
        return;
    hub->live_sequence = message->sequence;
    size_t length;
    const char *id = message_batch_id(message, &length);
    /* As old as it is: it may have been kept for this hub. */
    snapshot_cache_live(hub->cache, id, length, message_payload(message), message->payload_length,
                        message->kind, message->sequence, message->received_ns / CLOCK_NS_PER_MS);
}

void hub_message(struct hub *hub, struct topic *topic, struct message *message)
{
    if (message && !hub->syncing)
        hub_admit_joined(hub, topic, message);
    if (!message || !frame_for_members(hub, topic, message)) {
        lose_members(hub, topic, hub->sequence);
        return;
    }
    ring_append(&topic->ring, message, hub->options.replay_messages, hub->options.replay_bytes);
    if (topic->turn_terminal && !hub->syncing)
        hub_flush_topic(hub, topic);
    hub_refresh_snapshot(hub, message);
}

void hub_entry(struct hub *hub, struct topic *topic, struct entry_id id, struct message *message)
{
    if (topic->state != TOPIC_CONFIRMED || entry_id_compare(id, topic->last_entry) <= 0)
        return;
    topic->last_entry = id;
    if (!message || !frame_for_members(hub, topic, message))
        lose_members(hub, topic, hub->sequence);
    else
        ring_append(&topic->ring, message, hub->options.replay_messages, hub->options.replay_bytes);
}

/* --- from frames to sockets --- */

/* `gap`, then only the newest of the turn's messages: what a slow viewer of a batch is left with. */
static struct chunk *conflated_chunk(struct hub *hub, struct topic *topic, const struct chunk *chunk)
{
    struct chunk *newest = chunk_create();
    if (!newest)
        return NULL;
    size_t begin = topic->turn_last[STREAM_BATCH];
    struct cursor before = { .epoch = hub->epoch, .sequence = topic->turn_sequence[STREAM_BATCH] - 1 };
    char id[CURSOR_LENGTH_MAX];
    frames_append_gap(&newest->bytes, id, cursor_format(&before, id), GAP_SLOW_CONSUMER, NULL);
    buffer_append(&newest->bytes, chunk->bytes.data + begin, chunk->bytes.size - begin);
    if (newest->bytes.failed) {
        chunk_release(newest);
        return NULL;
    }
    return newest;
}

static enum delivery_result send_conflated(struct hub *hub, struct subscriber *subscriber,
                                           struct chunk *newest)
{
    hub->metrics->slow_clients[SLOW_CONFLATED]++;
    hub->metrics->gaps[GAP_SLOW_CONSUMER]++;
    subscriber_conflate(subscriber, &hub->delivery);
    return subscriber_send(subscriber, &hub->delivery, newest, 0, newest->bytes.size);
}

static void flush_format(struct hub *hub, struct topic *topic, enum stream_format format, struct chunk *chunk)
{
    bool conflating = format == STREAM_BATCH && hub->options.batch_slow_policy == SLOW_POLICY_LATEST;
    bool over = format == STREAM_BATCH && topic->turn_terminal;
    struct chunk *newest = NULL;
    struct members *members = &topic->members[MEMBERS_SINGLE + format];
    for (uint32_t i = members->count; i-- > 0;) {
        struct subscriber *subscriber = members->items[i]->subscriber;
        bool slow = conflating && subscriber_has_backlog(subscriber);
        if (slow && !newest)
            newest = conflated_chunk(hub, topic, chunk);
        enum delivery_result result;
        if (slow)
            result = newest ? send_conflated(hub, subscriber, newest) : DELIVERY_GONE;
        else
            result = subscriber_send(subscriber, &hub->delivery, chunk, 0, chunk->bytes.size);
        hub->metrics->sse_events += slow ? 1 : chunk->messages;
        if (result != DELIVERY_DONE)
            hub_failed(hub, subscriber, result);
        else if (over)
            hub_finish(hub, subscriber);
    }
    chunk_release(newest);
}

void hub_flush_topic(struct hub *hub, struct topic *topic)
{
    list_remove(&topic->dirty);
    for (unsigned variant = 0; variant < FRAME_VARIANTS; variant++) {
        struct chunk *chunk = topic->turn[variant];
        if (!chunk)
            continue;
        topic->turn[variant] = NULL;
        topic->flushed_ms = hub->delivery.now_ms;
        if (variant < STREAM_FORMATS)
            flush_format(hub, topic, (enum stream_format)variant, chunk);
        chunk_release(chunk);
    }
    topic->turn_terminal = false;
}

void hub_turn_end(struct hub *hub)
{
    hub->delivery.now_ms = clock_now_ms();
    struct list *node = hub->dirty_topics.next;
    while (node != &hub->dirty_topics) {
        struct topic *topic = LIST_OWNER(node, struct topic, dirty);
        node = node->next;
        /* While syncing, nothing of the feed goes out before the gap does. */
        if ((!hub->syncing || topic->kind == TOPIC_STREAM) && !hub_hold_topic(hub, topic))
            hub_flush_topic(hub, topic);
    }
    hub_hold_listed(hub);
    hub_visit_listed(hub);
    chunk_release(hub->ids);
    hub->ids = NULL;
}
