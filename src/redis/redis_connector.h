/*
 * From a host name to a connected socket, without blocking: resolves, then tries the addresses one after the
 * other
 * (`localhost` is often ::1 first, where nobody listens).
 *
 * Literal addresses and `localhost` need no resolver. Names in /etc/hosts and DNS need `dns`.
 */
#pragma once

#include <event2/dns.h>
#include <event2/event.h>
#include <stdint.h>

#include "redis/redis_url.h"

struct redis_connector;

/* `descriptor` is the callee's; or it is -1 and `problem` says why. Never called inside
 * redis_connector_start(). */
typedef void redis_connector_done(void *context, int descriptor, const char *problem);

/* `dns` may be NULL. */
struct redis_connector *redis_connector_create(struct event_base *base, struct evdns_base *dns,
                                               redis_connector_done *done, void *context);
/* A look-up under way is cancelled; evdns frees what belongs to it in the next turn of the loop. */
void redis_connector_destroy(struct redis_connector *connector);

/* Calls `done` once, unless cancelled before. All addresses share `timeout_ms`; the caller limits the
 * look-up. */
void redis_connector_start(struct redis_connector *connector, const struct redis_url *url,
                           uint64_t timeout_ms);
void redis_connector_cancel(struct redis_connector *connector);
