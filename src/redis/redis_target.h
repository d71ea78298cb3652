/*
 * Where a link connects to: the address of its URL, or the master that Sentinels name, asked before each
 * connection: the one whose word was good last time, or after one that was not the next.
 *
 *     redis_target_connect(target, …);   on_connected, once
 *     redis_target_watch(target);        on_moved, when the Sentinels name another master than this one
 *     redis_target_cancel(target);       the connection is gone
 *
 * A failover ends the connections to the old master (it died, or the Sentinels close them); what watching
 * finds is a master that was cut off together with us, or forgotten.
 */
#pragma once

#include <event2/dns.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "redis/redis_url.h"

struct redis_target;

struct redis_target_events {
    /* `descriptor` is the callee's; or it is -1 and `problem` says why. */
    void (*on_connected)(void *context, int descriptor, const char *problem);
    void (*on_moved)(void *context);
    void *context;
};

struct redis_target_options {
    const struct redis_url *url; /* borrowed */
    const char *tls_ca_file;     /* towards Sentinels; borrowed, may be NULL */
    bool tls_verify;
};

/* `dns` may be NULL. NULL when memory is short. */
struct redis_target *redis_target_create(struct event_base *base, struct evdns_base *dns,
                                         const struct redis_target_options *options,
                                         const struct redis_target_events *events);
/* Not inside its callbacks. */
void redis_target_destroy(struct redis_target *target);

/* on_connected is never called inside. The caller limits all of it; `timeout_ms` is for the addresses. */
void redis_target_connect(struct redis_target *target, uint64_t timeout_ms);
/* The connection is of use. Nothing without Sentinels. */
void redis_target_watch(struct redis_target *target);
void redis_target_cancel(struct redis_target *target);

/* The host of the newest attempt, and all of it for logs: `redis://host:6379/0`, never with a password. Live
 * until the next attempt; of a unix socket the host is the path. */
const char *redis_target_host(const struct redis_target *target);
const char *redis_target_display(const struct redis_target *target);
