#include "hub/ring.h"

#include <stdlib.h>

#define RING_CAPACITY_FIRST 8

static void drop_oldest(struct ring *ring)
{
    struct message *oldest = ring->slots[ring->first];
    ring->first = (ring->first + 1) & (ring->capacity - 1);
    ring->count--;
    ring->bytes -= message_cost(oldest);
    ring->floor = oldest->sequence;
    ring->floor_entry = oldest->entry;
    ring->floor_reason = GAP_TRIMMED;
    message_release(oldest);
}

static bool grow(struct ring *ring)
{
    uint32_t capacity = ring->capacity ? ring->capacity * 2 : RING_CAPACITY_FIRST;
    struct message **slots = calloc(capacity, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < ring->count; i++)
        slots[i] = ring_get(ring, i);
    free(ring->slots);
    ring->slots = slots;
    ring->capacity = capacity;
    ring->first = 0;
    return true;
}

void ring_append(struct ring *ring, struct message *message, size_t messages_max, size_t bytes_max)
{
    size_t cost = message_cost(message);
    bool fits = messages_max > 0 && cost <= bytes_max;
    while (ring->count > 0 && (!fits || ring->count >= messages_max || ring->bytes + cost > bytes_max))
        drop_oldest(ring);
    if (!fits || (ring->count == ring->capacity && !grow(ring))) {
        while (ring->count > 0)
            drop_oldest(ring);
        ring->floor = message->sequence;
        ring->floor_entry = message->entry;
        ring->floor_reason = GAP_TRIMMED;
        return;
    }
    ring->slots[(ring->first + ring->count) & (ring->capacity - 1)] = message_retain(message);
    ring->count++;
    ring->bytes += cost;
}

void ring_clear(struct ring *ring, uint64_t floor, enum gap_reason reason)
{
    ring_free(ring);
    ring->floor = floor;
    ring->floor_reason = reason;
}

struct message *ring_get(const struct ring *ring, uint32_t index)
{
    return ring->slots[(ring->first + index) & (ring->capacity - 1)];
}

uint32_t ring_after(const struct ring *ring, uint64_t sequence)
{
    uint32_t low = 0;
    uint32_t high = ring->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ring_get(ring, middle)->sequence > sequence)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

uint32_t ring_after_entry(const struct ring *ring, struct entry_id entry)
{
    uint32_t low = 0;
    uint32_t high = ring->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (entry_id_compare(ring_get(ring, middle)->entry, entry) > 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

struct message **ring_copy(const struct ring *ring)
{
    struct message **copy = ring->count > 0 ? calloc(ring->count, sizeof(struct message *)) : NULL;
    for (uint32_t i = 0; copy && i < ring->count; i++)
        copy[i] = message_retain(ring_get(ring, i));
    return copy;
}

void ring_free(struct ring *ring)
{
    for (uint32_t i = 0; i < ring->count; i++)
        message_release(ring_get(ring, i));
    free(ring->slots);
    ring->slots = NULL;
    ring->capacity = 0;
    ring->first = 0;
    ring->count = 0;
    ring->bytes = 0;
}
