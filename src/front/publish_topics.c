#include "front/publish_topics.h"

#include <stdlib.h>

#define EVENT_CHANNEL "live:"
#define EVENT_STREAM "events:"
#define TOPICS_PER_ITEM 4

static void add(struct publish_topics *topics, enum access_topic_kind kind, const char *name, size_t length)
{
    topics->topics[topics->count++] = (struct access_topic){ .kind = kind, .name = text_of(name, length) };
}

static void add_prefixed(struct publish_topics *topics, enum access_topic_kind kind, const char *prefix,
                         const struct buffer *event, char **next)
{
    size_t prefix_length = strlen(prefix);
    memcpy(*next, prefix, prefix_length);
    memcpy(*next + prefix_length, event->data, event->size);
    add(topics, kind, *next, prefix_length + event->size);
    *next += prefix_length + event->size;
}

static void add_item(struct publish_topics *topics, const struct publish_item *item, char **next)
{
    if (item->channel.size)
        add(topics, ACCESS_CHANNEL, item->channel.data, item->channel.size);
    if (item->stream.size)
        add(topics, ACCESS_STREAM, item->stream.data, item->stream.size);
    if (item->event.size)
        add_prefixed(topics, ACCESS_CHANNEL, EVENT_CHANNEL, &item->event, next);
    if (item->event.size && item->critical)
        add_prefixed(topics, ACCESS_STREAM, EVENT_STREAM, &item->event, next);
}

bool publish_topics_collect(const struct publish_body *body, struct publish_topics *ret_topics)
{
    struct publish_topics topics = { 0 };
    size_t bytes = 1;
    for (size_t i = 0; i < body->count; i++)
        bytes += 2 * body->items[i].event.size + strlen(EVENT_CHANNEL EVENT_STREAM);
    topics.topics = calloc(TOPICS_PER_ITEM * body->count + 1, sizeof(topics.topics[0]));
    topics.names = malloc(bytes);
    *ret_topics = topics;
    if (!topics.topics || !topics.names) {
        publish_topics_clear(ret_topics);
        return false;
    }
    char *next = topics.names;
    for (size_t i = 0; i < body->count; i++)
        if (!body->items[i].problem.status)
            add_item(ret_topics, &body->items[i], &next);
    return true;
}

void publish_topics_clear(struct publish_topics *topics)
{
    free(topics->topics);
    free(topics->names);
    *topics = (struct publish_topics){ 0 };
}
