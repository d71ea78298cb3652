#include "hub/heartbeat.h"

#include <stdlib.h>

#define SLOT_CAPACITY_FIRST 16

bool heartbeat_add(struct heartbeat *heartbeat, struct subscriber *subscriber)
{
    unsigned number = heartbeat->next_added;
    struct heartbeat_slot *slot = &heartbeat->slots[number];
    if (slot->count == slot->capacity) {
        uint32_t capacity = slot->capacity ? slot->capacity * 2 : SLOT_CAPACITY_FIRST;
        struct subscriber **subscribers = realloc(slot->subscribers, capacity * sizeof *subscribers);
        if (!subscribers)
            return false;
        slot->subscribers = subscribers;
        slot->capacity = capacity;
    }
    subscriber->heartbeat_slot = (uint8_t)number;
    subscriber->heartbeat_index = slot->count;
    slot->subscribers[slot->count++] = subscriber;
    heartbeat->next_added = (number + 1) % HEARTBEAT_SLOTS;
    return true;
}

void heartbeat_remove(struct heartbeat *heartbeat, struct subscriber *subscriber)
{
    struct heartbeat_slot *slot = &heartbeat->slots[subscriber->heartbeat_slot];
    struct subscriber *last = slot->subscribers[--slot->count];
    slot->subscribers[subscriber->heartbeat_index] = last;
    last->heartbeat_index = subscriber->heartbeat_index;
    if (slot->count == 0) {
        free(slot->subscribers);
        slot->subscribers = NULL;
        slot->capacity = 0;
    }
}

struct heartbeat_slot *heartbeat_tick(struct heartbeat *heartbeat)
{
    struct heartbeat_slot *slot = &heartbeat->slots[heartbeat->next_tick];
    heartbeat->next_tick = (heartbeat->next_tick + 1) % HEARTBEAT_SLOTS;
    return slot;
}

struct subscriber *heartbeat_any(struct heartbeat *heartbeat)
{
    for (unsigned i = 0; i < HEARTBEAT_SLOTS; i++) {
        struct heartbeat_slot *slot = &heartbeat->slots[i];
        if (slot->count > 0)
            return slot->subscribers[slot->count - 1];
    }
    return NULL;
}

void heartbeat_free(struct heartbeat *heartbeat)
{
    for (unsigned i = 0; i < HEARTBEAT_SLOTS; i++)
        free(heartbeat->slots[i].subscribers);
    *heartbeat = (struct heartbeat){ 0 };
}
