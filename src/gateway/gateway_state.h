/* What the gateway is made of, for the files that are the gateway. */
#pragma once

#include <event2/dns.h>
#include <event2/event.h>

#include "consumers/group.h"
#include "consumers/stream_watch.h"
#include "front/front.h"
#include "gateway/gateway.h"
#include "gateway/gateway_access.h"
#include "gateway/settings.h"
#include "hub/hub.h"
#include "hub/snapshot_cache.h"
#include "metrics/metrics.h"
#include "outgoing/http_client.h"
#include "redis/commands.h"
#include "redis/feed.h"
#include "redis/redis_url.h"
#include "redis/tail.h"

/* Where a batch's snapshot is kept in Redis: batch:progress:<id>. */
#define SNAPSHOT_KEY_PREFIX "batch:progress:"

struct control;

struct gateway {
    struct event_base *base;
    const struct settings *settings;
    const char *version;
    struct log *log;

    struct metrics *metrics;
    struct evdns_base *dns;
    struct redis_url redis_url;
    struct snapshot_cache *cache;
    struct hub *hub;
    struct feed *feed;          /* NULL while being destroyed */
    struct commands *commands;  /* NULL while being destroyed */
    struct tail *tail;          /* NULL while being destroyed */
    struct http_client *origin; /* NULL without origin_url */
    struct stream_watch *watch;
    struct groups *groups;
    struct gateway_sinks *sinks; /* NULL: none are configured */
    struct quota *quota;
    struct gateway_access *access;
    struct audit *audit;
    struct control *control;
    struct front *front;
    struct event *sweep_timer;
    uint64_t swept_connects;   /* streams opened so far, when last swept … */
    uint64_t trimmed_connects; /* … and when free memory was last given back */

    uint64_t feed_generation; /* grows with each connection of the feed */
    struct log_limiter load_limiter;
    struct log_limiter origin_limiter;
    struct log_limiter history_limiter;
    struct buffer entry_json; /* of the entry being handed on */

    struct event *drain_timer;
    uint64_t drain_deadline_ms;
    gateway_drained *drained;
    void *drained_context;
};

/* bind_feed.c */
struct feed_events gateway_feed_events(struct gateway *gateway);
struct commands_events gateway_commands_events(struct gateway *gateway);
struct hub_source gateway_hub_source(struct gateway *gateway);

/* bind_streams.c */
struct tail_events gateway_tail_events(struct gateway *gateway);
bool gateway_read_history(void *context, const char *stream, size_t length, struct entry_id after,
                          size_t count, uint64_t token);

/* bind_consumers.c */
bool gateway_build_groups(struct gateway *gateway);

/* bind_sinks.c */
bool gateway_build_sinks(struct gateway *gateway, char **ret_problem);
void gateway_sinks_feed_up(struct gateway *gateway);
void gateway_sinks_commands_up(struct gateway *gateway);
/* Then the hub's wish to end the subscription is not for Redis. */
bool gateway_sinks_want(const struct gateway *gateway, enum feed_kind kind, const char *name, size_t length);
void gateway_sinks_message(struct gateway *gateway, enum feed_kind kind, const char *name, size_t length,
                           const char *payload, size_t payload_length);
void gateway_sinks_refused(struct gateway *gateway, enum feed_kind kind, const char *name, size_t length,
                           const char *problem);
void gateway_sinks_drain(struct gateway *gateway);
size_t gateway_sinks_held(const struct gateway *gateway);
void gateway_sinks_stop(struct gateway *gateway);
void gateway_sinks_destroy(struct gateway *gateway);

/* bind_snapshots.c */
struct snapshot_source gateway_snapshot_source(struct gateway *gateway);
