/*
 * Connections of proxies that begin with a header of the PROXY protocol: taken from the listener, kept until
 * the header is complete, and handed on with the address it names. Nothing behind the header is read. Who
 * sends something else, or takes too long, is disconnected.
 */
#pragma once

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip_address.h"

struct proxy_greetings;

/* The header is complete. The socket is the callee's now. `address` is the one it names, or the proxy's own.
 */
typedef void proxy_greeted(void *context, int descriptor, const struct ip_address *address, uint16_t port);

/* Called when one has left without being handed on, so that there is room for another. */
typedef void proxy_ungreeted(void *context);

struct proxy_greetings *proxy_greetings_create(struct event_base *base, proxy_greeted *greeted,
                                               proxy_ungreeted *ungreeted, void *context);
/* Closes those that wait. */
void proxy_greetings_destroy(struct proxy_greetings *greetings);

/* Takes over the socket: non-blocking, of the proxy at `address`. It is closed when memory is short. */
void proxy_greetings_take(struct proxy_greetings *greetings, int descriptor, const struct ip_address *address,
                          uint64_t timeout_ms);

/* Those that wait. */
size_t proxy_greetings_count(const struct proxy_greetings *greetings);
