/*
 * The end of leases. Those that end stand in slots by the time of their end, and each slot is looked at once
 * a round: a stream that lasts for hours is passed over a few hundred times, one without an end never.
 */
#include "base/clock.h"
#include "hub/frames.h"
#include "hub/hub_state.h"
#include "hub/lease.h"
#include "wire/sse.h"

/* A lease's slot is not reached before its end. */
static uint64_t slot_time(uint64_t ms)
{
    return (ms + LEASE_SLOT_MS - 1) / LEASE_SLOT_MS;
}

void hub_start_leases(struct hub *hub)
{
    for (size_t i = 0; i < LEASE_SLOTS; i++)
        list_init(&hub->lease_slots[i]);
    hub->lease_time = clock_now_ms() / LEASE_SLOT_MS;
}

void hub_lease(struct hub *hub, struct subscriber *subscriber, struct lease *lease)
{
    lease_destroy(subscriber->lease);
    subscriber->lease = lease;
    if (!lease)
        return;
    lease->subscriber = subscriber;
    if (lease->expires_ms == 0)
        return;
    uint64_t time = slot_time(lease->expires_ms);
    /* One that is over already is for the next look. */
    if (time <= hub->lease_time)
        time = hub->lease_time + 1;
    list_append(&hub->lease_slots[time % LEASE_SLOTS], &lease->node);
}

/* One that is not attached yet is dismissed as soon as it is. */
static void end(struct hub *hub, struct subscriber *subscriber, const char *reason)
{
    if (subscriber->lease)
        list_remove(&subscriber->lease->node);
    if (subscriber->descriptor < 0) {
        subscriber->expired = true;
        return;
    }
    if (subscriber->state == SUBSCRIBER_CLOSING || subscriber->state == SUBSCRIBER_DEAD)
        return;
    hub->metrics->sse_expired++;
    hub_dismiss_expired(hub, subscriber, reason);
}

static void look_at_slot(struct hub *hub, struct list *slot)
{
    struct list *node = slot->next;
    while (node != slot) {
        struct lease *lease = LIST_OWNER(node, struct lease, node);
        node = node->next; /* ending one takes no other out of the slot */
        if (lease->expires_ms <= hub->delivery.now_ms)
            end(hub, lease->subscriber, HUB_EXPIRED_REASON);
    }
}

void hub_end_leases(struct hub *hub)
{
    uint64_t now = hub->delivery.now_ms / LEASE_SLOT_MS;
    /* After a standstill each slot once is enough. */
    if (now > hub->lease_time + LEASE_SLOTS)
        hub->lease_time = now - LEASE_SLOTS;
    while (hub->lease_time < now)
        look_at_slot(hub, &hub->lease_slots[++hub->lease_time % LEASE_SLOTS]);
}

static bool may_stay_with_all(struct subscriber *subscriber, hub_may_stay *may_stay, void *context)
{
    const struct lease *lease = subscriber->lease;
    const struct topic_name stream = { .kind = TOPIC_STREAM,
                                       .name = lease->text + lease->subject_length,
                                       .length = lease->stream_length };
    if (subscriber->is_private)
        return may_stay(context, lease, &stream);
    for (size_t i = 0; i < subscriber->topic_count; i++) {
        const struct topic *topic = subscriber_membership(subscriber, i)->topic;
        const struct topic_name name = { .kind = topic->kind,
                                         .name = topic->name,
                                         .length = topic->name_length };
        if (!may_stay(context, lease, &name))
            return false;
    }
    return true;
}

size_t hub_review(struct hub *hub, hub_may_stay *may_stay, const char *reason, void *context)
{
    size_t ended = 0;
    hub->delivery.now_ms = clock_now_ms();
    for (unsigned number = 0; number < HEARTBEAT_SLOTS; number++) {
        struct heartbeat_slot *slot = &hub->heartbeat.slots[number];
        for (uint32_t i = slot->count; i-- > 0;) {
            struct subscriber *subscriber = slot->subscribers[i];
            if (!subscriber->lease || subscriber->state == SUBSCRIBER_CLOSING ||
                may_stay_with_all(subscriber, may_stay, context))
                continue;
            end(hub, subscriber, reason);
            ended++;
        }
    }
    hub_visit_listed(hub);
    return ended;
}
