/*
 * The heartbeat wheel: clients spread over slots, one slot a tick, so that an idle client costs one comment a
 * period and no timer of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/subscriber.h"

#define HEARTBEAT_SLOTS 16

struct heartbeat_slot {
    struct subscriber **subscribers;
    uint32_t count;
    uint32_t capacity;
};

struct heartbeat {
    struct heartbeat_slot slots[HEARTBEAT_SLOTS];
    unsigned next_added; /* round robin */
    unsigned next_tick;
};

/* False when memory is short. */
bool heartbeat_add(struct heartbeat *heartbeat, struct subscriber *subscriber);
void heartbeat_remove(struct heartbeat *heartbeat, struct subscriber *subscriber);

/* The slot whose turn it is; the next call gives the next one. Walk it from its end: subscribers may be
 * removed meanwhile. */
struct heartbeat_slot *heartbeat_tick(struct heartbeat *heartbeat);

/* Some subscriber, or NULL: for draining. */
struct subscriber *heartbeat_any(struct heartbeat *heartbeat);

void heartbeat_free(struct heartbeat *heartbeat);
