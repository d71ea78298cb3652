/*
 * Viewers of a batch between their snapshot and their first message.
 *
 * A worker SETs and PUBLISHes the same state, in this order or the other, and a viewer's snapshot may have
 * been read between the two. Either way the viewer must be told of each state once:
 *
 *   SET, read, PUBLISH ... the message repeats the snapshot: it is not sent again (hub_admit_joined)
 *   PUBLISH, read, SET ... the message was missed, and no other may follow: Redis tells of the SET,
 *                          and the snapshot is read again (hub_refresh_joined)
 *
 * Who comes back and has missed nothing was not sent the snapshot, so to him no message repeats it.
 *
 * Where Redis cannot be asked at that moment, or what it tracks for us was lost, all of them are read again.
 */
#include <string.h>

#include "base/clock.h"
#include "hub/hub_state.h"

#define REFRESH_AGAIN_MS 1000

static bool is_newest_message(const struct topic *topic, const struct snapshot *snapshot)
{
    if (topic->ring.count == 0)
        return false;
    const struct message *newest = ring_get(&topic->ring, topic->ring.count - 1);
    return newest->payload_length == snapshot->length &&
           memcmp(message_payload(newest), snapshot->bytes, snapshot->length) == 0;
}

void hub_watch_joined(struct hub *hub, struct subscriber *subscriber, const struct snapshot *snapshot,
                      bool is_told)
{
    if (subscriber->state != SUBSCRIBER_LIVE ||
        (snapshot && is_newest_message(subscriber->first.topic, snapshot)))
        return;
    subscriber->snapshot_etag = snapshot && is_told ? snapshot->etag : 0;
    if (!topic_move(&subscriber->first, MEMBERS_JOINED))
        hub_let_go(hub, subscriber);
}

void hub_admit_joined(struct hub *hub, struct topic *topic, const struct message *message)
{
    struct members *joined = &topic->members[MEMBERS_JOINED];
    if (joined->count == 0)
        return;
    hub_flush_topic(hub, topic); /* what the turn has so far is older than their snapshots */
    uint64_t etag = snapshot_etag(message_payload(message), message->payload_length);
    for (uint32_t i = joined->count; i-- > 0;) {
        struct membership *membership = joined->items[i];
        if (membership->subscriber->snapshot_etag == etag)
            membership->subscriber->snapshot_etag = 0;
        else if (!topic_move(membership, MEMBERS_SINGLE + STREAM_BATCH))
            hub_let_go(hub, membership->subscriber);
    }
}

static void on_read_again(void *context, enum snapshot_status status, const struct snapshot *snapshot)
{
    struct subscriber *subscriber = context;
    struct topic *topic = subscriber->first.topic;
    struct hub *hub = topic->hub;
    subscriber->awaits_snapshot = false;
    bool still_joined = subscriber->state == SUBSCRIBER_LIVE && subscriber->first.list == MEMBERS_JOINED;
    if (!still_joined || hub->syncing)
        return;
    if (status == SNAPSHOT_UNAVAILABLE)
        hub_refresh_again(hub); /* Redis will not tell of this change a second time */
    if (status != SNAPSHOT_FOUND || snapshot->etag == subscriber->snapshot_etag ||
        is_newest_message(topic, snapshot))
        return;
    subscriber->snapshot_etag = snapshot->etag;
    struct buffer out = { 0 };
    frames_append_progress(&out, hub->epoch, hub->sequence, snapshot->bytes, snapshot->length,
                           snapshot->kind);
    hub->metrics->sse_events++;
    if (hub_send_built(hub, subscriber, &out) && snapshot->kind == PAYLOAD_TERMINAL)
        hub_finish(hub, subscriber);
}

static void refresh_topic(struct hub *hub, struct topic *topic)
{
    if (topic->state != TOPIC_CONFIRMED || hub->syncing)
        return;
    size_t length;
    const char *id = hub_batch_id(topic, &length);
    struct members *joined = &topic->members[MEMBERS_JOINED];
    for (uint32_t i = joined->count; i-- > 0;) {
        if (i >= joined->count)
            continue;
        struct subscriber *subscriber = joined->items[i]->subscriber;
        if (subscriber->awaits_snapshot)
            continue; /* what it is about to be told is read behind this change, or read again */
        subscriber->awaits_snapshot = true;
        if (!snapshot_cache_read(hub->cache, id, length, hub->sequence, false, clock_now_ms(), on_read_again,
                                 subscriber)) {
            subscriber->awaits_snapshot = false;
            hub_let_go(hub, subscriber); /* it comes back and is told then */
        }
    }
}

void hub_refresh_joined(struct hub *hub, const char *batch_id, size_t length)
{
    struct buffer channel = { 0 };
    buffer_append_text(&channel, BATCH_CHANNEL_PREFIX);
    buffer_append(&channel, batch_id, length);
    struct topic *topic =
        channel.failed ? NULL : hub_find_topic(hub, TOPIC_CHANNEL, channel.data, channel.size);
    buffer_free(&channel);
    if (channel.failed)
        hub_refresh_again(hub);
    else if (topic)
        refresh_topic(hub, topic);
}

void hub_refresh_all_joined(struct hub *hub)
{
    size_t cursor = 0;
    struct topic *topic;
    hub->refresh_again_ms = 0;
    while ((topic = map_next(hub->topics[TOPIC_CHANNEL], &cursor)) != NULL)
        if (topic->members[MEMBERS_JOINED].count > 0)
            refresh_topic(hub, topic);
}

void hub_refresh_again(struct hub *hub)
{
    if (hub->refresh_again_ms == 0)
        hub->refresh_again_ms = clock_now_ms() + REFRESH_AGAIN_MS;
}
