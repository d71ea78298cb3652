/* What clients missed, as far as the rings of their topics still have it. */
#include <stdlib.h>
#include <string.h>

#include "hub/frames.h"
#include "hub/hub_state.h"

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

/* What a topic missed before it was confirmed again belongs to the gap that the subscriber was told of. */
bool hub_rings_trimmed(struct subscriber *subscriber)
{
    for (size_t i = 0; i < subscriber->topic_count; i++) {
        const struct topic *topic = subscriber_membership(subscriber, i)->topic;
        const struct ring *ring = &topic->ring;
        if (topic->kind != TOPIC_STREAM && ring->floor_reason == GAP_TRIMMED &&
            ring->floor > subscriber->sequence && ring->floor > topic->confirmed_sequence)
            return true;
    }
    return false;
}

static int compare_sequence(const void *left, const void *right)
{
    const struct message *a = *(const struct message *const *)left;
    const struct message *b = *(const struct message *const *)right;
    return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

bool hub_has_place(const struct subscriber *subscriber)
{
    return subscriber->join == JOIN_REPLAY || subscriber->join == JOIN_AFTER_GAP ||
           subscriber->join == JOIN_CAUGHT_UP || subscriber->join == JOIN_MISSED;
}

/* The first message of the topic's ring that the subscriber is to be given. */
static uint32_t replay_from(struct subscriber *subscriber, const struct membership *membership)
{
    const struct ring *ring = &membership->topic->ring;
    if (membership->topic->kind == TOPIC_STREAM)
        return ring_after_entry(ring, membership->position);
    return hub_has_place(subscriber) ? ring_after(ring, subscriber->sequence) : ring->count;
}

/* Collects what all the subscriber's rings hold for it. False when memory is short. */
bool hub_collect_replay(struct subscriber *subscriber, struct replay *ret_replay)
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
void hub_append_replay(struct hub *hub, struct subscriber *subscriber, const struct replay *replay, bool gap,
                       enum gap_reason reason, struct buffer *out)
{
    size_t start = replay_start(hub, replay);
    if (gap || start > 0)
        hub_append_gap(hub, subscriber, subscriber->sequence, gap ? reason : GAP_TRIMMED, NULL, out);
    for (size_t i = start; i < replay->count; i++)
        append_message(hub, subscriber, replay->messages[i], out);
    hub->metrics->sse_events += replay->count - start;
}
