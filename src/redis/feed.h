/*
 * The one connection that carries every subscription of the process, in RESP2 subscribe mode. Besides the
 * topics it always listens to this process's private fence channel and to `__redis__:invalidate` (CLIENT
 * TRACKING … REDIRECT).
 *
 * Messages, fences and invalidations come in the order in which Redis executed their commands: exact joins
 * rest on that.
 *
 * The feed keeps no list of topics: after each on_up its owner subscribes again to what it still wants. A
 * name must not be unsubscribed before its subscription is confirmed, so that a confirmation is never
 * mistaken for an older one.
 */
#pragma once

#include <event2/dns.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "redis/redis_link.h"

struct feed;

enum feed_kind { FEED_CHANNEL, FEED_PATTERN };

struct feed_events {
    /* Ready, fence channel confirmed. `client_id` is what CLIENT TRACKING redirects to. */
    void (*on_up)(void *context, int64_t client_id);
    void (*on_down)(void *context, const char *reason);
    void (*on_confirmed)(void *context, enum feed_kind kind, const char *name, size_t length);
    /* Redis refused a subscription (NOPERM): `problem` is its message; the names in that request are not
     * subscribed. */
    void (*on_refused)(void *context, enum feed_kind kind, const char *name, size_t length,
                       const char *problem);
    /* `topic` is the channel or pattern subscribed to, `channel` where it was published. Bytes live for the
     * call. */
    void (*on_message)(void *context, enum feed_kind kind, const char *topic, size_t topic_length,
                       const char *channel, size_t channel_length, const char *payload,
                       size_t payload_length);
    void (*on_fence)(void *context, uint64_t token);
    /* `key` NULL: everything may have changed (FLUSHALL, FLUSHDB). */
    void (*on_invalidate)(void *context, const char *key, size_t length);
    void (*on_turn_end)(void *context);
    void *context;
};

/* `options->name` is set by the feed. NULL when memory is short. */
struct feed *feed_create(struct event_base *base, struct evdns_base *dns,
                         const struct redis_link_options *options, const struct feed_events *events,
                         struct log *log);
void feed_destroy(struct feed *feed);
void feed_start(struct feed *feed);

/* False when the feed is not up or its output is full; the owner tries again on the next on_up (full: the
 * link is reset). */
bool feed_subscribe(struct feed *feed, enum feed_kind kind, const char *name, size_t length);
bool feed_unsubscribe(struct feed *feed, enum feed_kind kind, const char *name, size_t length);

/* Makes the link anew, for an owner that could not ask for all it wants: on_down and on_up follow. */
void feed_reset(struct feed *feed, const char *reason);

bool feed_is_up(const struct feed *feed);

/* The private fence channel, `sluice:fence:<16 hex digits>`; PUBLISH a decimal token there. Borrowed. */
const char *feed_fence_channel(const struct feed *feed);
