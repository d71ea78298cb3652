/*
 * The last messages of a topic, oldest first, bounded in number and bytes.
 *
 * Invariant: every message of the topic with a sequence above `floor` is in the ring. A client whose cursor
 * is at or above the floor can be given all it missed; below it, `floor_reason` says why not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/message.h"
#include "metrics/metrics.h"

struct ring {
    struct message **slots; /* a power of two, grown as needed */
    uint32_t capacity;
    uint32_t first;
    uint32_t count;
    size_t bytes;
    uint64_t floor;
    struct entry_id floor_entry; /* of a stream: the same, as an entry's id */
    enum gap_reason floor_reason;
};

/* Adds the newest message and drops the oldest past the bounds. When memory is short the floor rises above it
 * instead. */
void ring_append(struct ring *ring, struct message *message, size_t messages_max, size_t bytes_max);

/* Forgets everything up to `floor`, for `reason`. */
void ring_clear(struct ring *ring, uint64_t floor, enum gap_reason reason);

/* The i-th message, oldest first. */
struct message *ring_get(const struct ring *ring, uint32_t index);

/* Index of the first message with a sequence above `sequence`; `count` if there is none. */
uint32_t ring_after(const struct ring *ring, uint64_t sequence);

/* The same for an entry of a stream. */
uint32_t ring_after_entry(const struct ring *ring, struct entry_id entry);

/* All of them, with a reference each, for hub_event_release_kept(). NULL when memory is short or there are
 * none.
 */
struct message **ring_copy(const struct ring *ring);

void ring_free(struct ring *ring);
