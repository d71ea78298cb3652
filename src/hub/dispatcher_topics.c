#include <stdlib.h>
#include <string.h>

#include "hub/dispatcher_state.h"

static void count_topics(struct dispatcher *dispatcher)
{
    dispatcher->metrics->redis_subscriptions =
        map_count(dispatcher->topics[TOPIC_CHANNEL]) + map_count(dispatcher->topics[TOPIC_PATTERN]);
    dispatcher->metrics->streams_watched = map_count(dispatcher->topics[TOPIC_STREAM]);
}

static void topic_free(struct dispatcher_topic *topic)
{
    list_remove(&topic->in_publish);
    ring_free(&topic->ring);
    free(topic);
}

struct dispatcher_topic *dispatcher_add_topic(struct dispatcher *dispatcher,
                                              const struct dispatcher_wish *wish)
{
    struct dispatcher_topic *topic = calloc(1, sizeof *topic + wish->length + dispatcher->port_count);
    if (!topic)
        return NULL;
    topic->kind = wish->kind;
    topic->again = wish->again;
    topic->length = wish->length;
    topic->interests = (uint8_t *)topic->name + wish->length;
    memcpy(topic->name, wish->name, wish->length);
    struct map *topics = dispatcher->topics[wish->kind];
    if (!map_put(topics, topic->name, topic->length, topic)) {
        topic_free(topic);
        return NULL;
    }
    if ((wish->kind != TOPIC_STREAM && !dispatcher->feed_up) ||
        !dispatcher->source.subscribe(dispatcher->source.context, topic->kind, topic->name, topic->length)) {
        map_remove(topics, topic->name, topic->length);
        topic_free(topic);
        return NULL;
    }
    count_topics(dispatcher);
    return topic;
}

void dispatcher_forget_topic(struct dispatcher *dispatcher, struct dispatcher_topic *topic)
{
    map_remove(dispatcher->topics[topic->kind], topic->name, topic->length);
    topic_free(topic);
    count_topics(dispatcher);
}

void dispatcher_forget_topics(struct dispatcher *dispatcher, enum topic_kind kind)
{
    size_t cursor = 0;
    struct dispatcher_topic *topic;
    while ((topic = map_next(dispatcher->topics[kind], &cursor)) != NULL)
        dispatcher_forget_topic(dispatcher, topic);
}

bool dispatcher_drop_if_unwanted(struct dispatcher *dispatcher, struct dispatcher_topic *topic)
{
    for (unsigned i = 0; i < dispatcher->port_count; i++)
        if (topic->interests[i])
            return false;
    dispatcher->source.unsubscribe(dispatcher->source.context, topic->kind, topic->name, topic->length);
    dispatcher_forget_topic(dispatcher, topic);
    return true;
}
