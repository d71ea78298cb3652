#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hub/hub_state.h"
#include "wire/sse.h"

#define HOUSEKEEPING_MS 100
#define HEARTBEAT_TICK_MIN_MS 5

static uint64_t heartbeat_tick_ms(const struct hub *hub)
{
    uint64_t tick_ms = hub->options.heartbeat_ms / HEARTBEAT_SLOTS;
    return tick_ms < HEARTBEAT_TICK_MIN_MS ? HEARTBEAT_TICK_MIN_MS : tick_ms;
}

static void beat(struct hub *hub, struct subscriber *subscriber)
{
    uint64_t quiet_ms = hub->delivery.now_ms - subscriber->written_ms;
    if (subscriber_has_backlog(subscriber)) {
        if (quiet_ms >= hub->options.stall_timeout_ms) {
            hub->metrics->slow_clients[SLOW_STALLED]++;
            hub_let_go(hub, subscriber);
        }
        return;
    }
    if (quiet_ms + heartbeat_tick_ms(hub) < hub->options.heartbeat_ms)
        return;
    /* Redis has not confirmed its topics for a whole period: it is told of the gap when it does. */
    if (!subscriber->greeted) {
        hub_greet(hub, subscriber);
        return;
    }
    hub->metrics->sse_heartbeats++;
    enum delivery_result result =
        subscriber_send_bytes(subscriber, &hub->delivery, SSE_HEARTBEAT, strlen(SSE_HEARTBEAT));
    if (result != DELIVERY_DONE)
        hub_failed(hub, subscriber, result);
}

static void on_heartbeat(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct hub *hub = context;
    hub->delivery.now_ms = clock_now_ms();
    struct heartbeat_slot *slot = heartbeat_tick(&hub->heartbeat);
    for (uint32_t i = slot->count; i-- > 0;)
        beat(hub, slot->subscribers[i]);
    hub_visit_listed(hub);
}

/* Lets go of the next share of the clients that were there when draining began. */
static void drain_some(struct hub *hub)
{
    size_t share = hub->drain_spread_ms > HOUSEKEEPING_MS
                       ? (size_t)((hub->drain_clients * HOUSEKEEPING_MS + hub->drain_spread_ms - 1) /
                                  hub->drain_spread_ms)
                       : hub->drain_clients;
    for (unsigned number = 0; number < HEARTBEAT_SLOTS; number++) {
        struct heartbeat_slot *slot = &hub->heartbeat.slots[number];
        for (uint32_t i = slot->count; i-- > 0 && share > 0;) {
            struct subscriber *subscriber = slot->subscribers[i];
            if (subscriber->state == SUBSCRIBER_CLOSING)
                continue;
            hub_dismiss(hub, subscriber, NULL);
            share--;
        }
    }
}

static void on_housekeeping(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct hub *hub = context;
    hub->delivery.now_ms = clock_now_ms();
    hub_subscribe_again(hub);
    hub_sweep_topics(hub);
    history_sweep(hub->history, hub->delivery.now_ms);
    if (hub->join_again_ms && hub->delivery.now_ms >= hub->join_again_ms) {
        hub->join_again_ms = 0;
        hub_join_waiting(hub);
    }
    if (hub->refresh_again_ms && hub->delivery.now_ms >= hub->refresh_again_ms)
        hub_refresh_all_joined(hub);
    hub_end_leases(hub);
    if (hub->draining)
        drain_some(hub);
    hub_visit_listed(hub);
}

void hub_drain(struct hub *hub, uint64_t spread_ms)
{
    hub->draining = true;
    hub->drain_clients = hub->client_count;
    hub->drain_spread_ms = spread_ms;
    hub_release_held(
        hub); /* nothing is held from now on: what comes goes out before its clients are let go */
    hub_visit_listed(hub);
}

static struct event *start_timer(struct hub *hub, uint64_t period_ms, event_callback_fn callback)
{
    struct event *timer = event_new(hub->base, -1, EV_PERSIST, callback, hub);
    struct timeval period = { .tv_sec = (time_t)(period_ms / 1000),
                              .tv_usec = (suseconds_t)(period_ms % 1000) * 1000 };
    if (timer && event_add(timer, &period) != 0) {
        event_free(timer);
        timer = NULL;
    }
    return timer;
}

bool hub_start_timers(struct hub *hub)
{
    hub_stop_timers(hub);
    hub->heartbeat_timer = start_timer(hub, heartbeat_tick_ms(hub), on_heartbeat);
    hub->housekeeping_timer = start_timer(hub, HOUSEKEEPING_MS, on_housekeeping);
    return hub->heartbeat_timer && hub->housekeeping_timer;
}

void hub_stop_timers(struct hub *hub)
{
    if (hub->heartbeat_timer)
        event_free(hub->heartbeat_timer);
    if (hub->housekeeping_timer)
        event_free(hub->housekeeping_timer);
    hub->heartbeat_timer = NULL;
    hub->housekeeping_timer = NULL;
}
