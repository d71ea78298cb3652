#include "hub/topic.h"

#include <stdlib.h>
#include <string.h>

#define MEMBERS_CAPACITY_FIRST 2

struct topic *topic_create(struct hub *hub, enum topic_kind kind, const char *name, size_t length)
{
    struct topic *topic = calloc(1, sizeof *topic + length);
    if (!topic)
        return NULL;
    topic->hub = hub;
    topic->kind = kind;
    topic->is_batch = kind == TOPIC_CHANNEL && length > strlen(BATCH_CHANNEL_PREFIX) &&
                      memcmp(name, BATCH_CHANNEL_PREFIX, strlen(BATCH_CHANNEL_PREFIX)) == 0;
    topic->name_length = length;
    memcpy(topic->name, name, length);
    return topic;
}

void topic_destroy(struct topic *topic)
{
    topic_discard_turn(topic);
    list_remove(&topic->lingering);
    ring_free(&topic->ring);
    for (size_t i = 0; i < MEMBER_LISTS; i++)
        free(topic->members[i].items);
    free(topic);
}

static bool members_add(struct members *members, struct membership *membership)
{
    if (members->count == members->capacity) {
        uint32_t capacity = members->capacity ? members->capacity * 2 : MEMBERS_CAPACITY_FIRST;
        struct membership **items = realloc(members->items, capacity * sizeof *items);
        if (!items)
            return false;
        members->items = items;
        members->capacity = capacity;
    }
    membership->index = members->count;
    members->items[members->count++] = membership;
    return true;
}

static void members_remove(struct members *members, uint32_t index)
{
    uint32_t last = --members->count;
    if (index != last) {
        members->items[index] = members->items[last];
        members->items[index]->index = index;
    }
    if (members->count == 0) {
        free(members->items);
        members->items = NULL;
        members->capacity = 0;
    }
}

bool topic_move(struct membership *membership, enum member_list list)
{
    struct topic *topic = membership->topic;
    uint32_t old_index = membership->index;
    if (membership->list == list)
        return true;
    if (!members_add(&topic->members[list], membership))
        return false;
    members_remove(&topic->members[membership->list], old_index);
    membership->list = (uint8_t)list;
    return true;
}

bool topic_join(struct topic *topic, struct membership *membership, struct subscriber *subscriber)
{
    membership->topic = topic;
    membership->subscriber = subscriber;
    membership->list = MEMBERS_WAITING;
    if (!members_add(&topic->members[MEMBERS_WAITING], membership)) {
        membership->topic = NULL;
        return false;
    }
    topic->member_count++;
    list_remove(&topic->lingering);
    return true;
}

void topic_leave(struct membership *membership)
{
    struct topic *topic = membership->topic;
    members_remove(&topic->members[membership->list], membership->index);
    topic->member_count--;
    membership->topic = NULL;
}

struct chunk *topic_turn_chunk(struct topic *topic, unsigned variant, uint64_t received_ns)
{
    if (!topic->turn[variant]) {
        topic->turn[variant] = chunk_create();
        if (topic->turn[variant])
            topic->turn[variant]->received_ns = received_ns;
    }
    return topic->turn[variant];
}

void topic_discard_turn(struct topic *topic)
{
    for (size_t variant = 0; variant < FRAME_VARIANTS; variant++) {
        chunk_release(topic->turn[variant]);
        topic->turn[variant] = NULL;
    }
    topic->turn_terminal = false;
    list_remove(&topic->dirty);
}
