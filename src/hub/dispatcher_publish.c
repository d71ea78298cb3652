/*
 * One PUBLISH reaches us once for its channel and once for each pattern that matches, right behind one
 * another, the channel first. It keeps one sequence, so that a client that asked for several of them gets it
 * once; and it is told when it has come by all of them, for a turn may end anywhere between.
 *
 *   message ──▶ open ── by a pattern, too ──┐        the next message, fence, … or the turn's end, unless
 *                ▲ └────────────────────────┘ ──▶    a pattern that matches is still to come: told
 */
#include <string.h>

#include "base/clock.h"
#include "base/glob.h"
#include "hub/dispatcher_state.h"
#include "hub/snapshot_cache.h"

/* The rest of a large one may take a while. Should it not come at all, what is here is told. */
#define IN_PART_NS_MAX CLOCK_NS_PER_SECOND

/* One cache answers those who ask for a batch: it learns of what others listen to. */
static void tell_owner(struct dispatcher *dispatcher, const struct dispatcher_topic *topic,
                       struct message *message)
{
    if (dispatcher->hub_count < 2 || !message_is_of_batch(message))
        return;
    size_t length;
    const char *id = message_batch_id(message, &length);
    struct dispatcher_port *owner = dispatcher->hubs[snapshot_cache_owner(id, length, dispatcher->hub_count)];
    if (!topic->interests[owner->number])
        dispatcher_tell(dispatcher, owner, (struct hub_event){ .kind = HUB_LIVE, .message = message });
}

void dispatcher_end_publish(struct dispatcher *dispatcher)
{
    struct message *message = dispatcher->publish;
    struct list *node;
    if (!message)
        return;
    dispatcher->publish = NULL;
    message->sequence = ++dispatcher->sequence;
    while ((node = list_first(&dispatcher->publish_topics)) != NULL) {
        struct dispatcher_topic *topic = LIST_OWNER(node, struct dispatcher_topic, in_publish);
        list_remove(node);
        if (dispatcher->hub_count > 1)
            ring_append(&topic->ring, message, dispatcher->options.replay_messages,
                        dispatcher->options.replay_bytes);
        dispatcher_tell_those_who_want(dispatcher, topic,
                                       &(struct hub_event){ .kind = HUB_MESSAGE, .message = message });
        tell_owner(dispatcher, topic, message);
    }
    message_release(message);
}

bool dispatcher_publish_is_in_part(const struct dispatcher *dispatcher)
{
    const struct message *publish = dispatcher->publish;
    const struct dispatcher_topic *topic;
    size_t cursor = 0;
    if (!publish || clock_now_ns() - publish->received_ns > IN_PART_NS_MAX)
        return false;
    while ((topic = map_next(dispatcher->topics[TOPIC_PATTERN], &cursor)) != NULL)
        if (topic->is_confirmed && !list_linked(&topic->in_publish) &&
            glob_matches(topic->name, topic->length, message_channel(publish), publish->channel_length))
            return true;
    return false;
}

static bool is_of_open_publish(const struct dispatcher *dispatcher, const struct dispatcher_topic *topic,
                               const char *channel, size_t channel_length, const char *payload,
                               size_t payload_length)
{
    const struct message *open = dispatcher->publish;
    return topic->kind == TOPIC_PATTERN && open && !list_linked(&topic->in_publish) &&
           open->channel_length == channel_length && open->payload_length == payload_length &&
           memcmp(message_channel(open), channel, channel_length) == 0 &&
           memcmp(message_payload(open), payload, payload_length) == 0;
}

/* False when memory is short. */
static bool open_publish(struct dispatcher *dispatcher, const char *channel, size_t channel_length,
                         const char *payload, size_t payload_length)
{
    struct message *message = message_create(channel, channel_length, payload, payload_length);
    if (!message)
        return false;
    message->received_ns = clock_now_ns();
    if (message_is_of_batch(message))
        message->kind = payload_classify(payload, payload_length);
    dispatcher->publish = message;
    return true;
}

static void lose(struct dispatcher *dispatcher, struct dispatcher_topic *topic)
{
    ring_clear(&topic->ring, ++dispatcher->sequence, GAP_TRIMMED);
    dispatcher_tell_those_who_want(dispatcher, topic, &(struct hub_event){ .kind = HUB_MESSAGE });
}

void dispatcher_message(struct dispatcher *dispatcher, enum topic_kind kind, const char *topic_name,
                        size_t topic_length, const char *channel, size_t channel_length, const char *payload,
                        size_t payload_length)
{
    dispatcher->metrics->events_consumed++;
    struct dispatcher_topic *topic = map_get(dispatcher->topics[kind], topic_name, topic_length);
    if (!topic || !topic->is_confirmed)
        return; /* just unsubscribed */
    if (!is_of_open_publish(dispatcher, topic, channel, channel_length, payload, payload_length)) {
        dispatcher_end_publish(dispatcher);
        if (!open_publish(dispatcher, channel, channel_length, payload, payload_length)) {
            lose(dispatcher, topic);
            return;
        }
    }
    list_append(&dispatcher->publish_topics, &topic->in_publish);
    if (map_count(dispatcher->topics[TOPIC_PATTERN]) == 0)
        dispatcher_end_publish(dispatcher);
}
