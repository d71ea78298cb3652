/*
 * What the gateway is made of, for the files that are the gateway:
 *
 *   gateway.c         the main thread's life: builds all, drains, lets go
 *   bind_feed.c       feed and commands → dispatcher
 *   bind_tail.c       tail → dispatcher
 *   bind_sinks.c      webhooks
 *   bind_metrics.c    the figures of all threads, for those who ask
 *
 *   worker.h          a worker thread, and the files that are one
 */
#pragma once

#include <event2/dns.h>
#include <event2/event.h>
#include <stdatomic.h>

#include "base/mailbox.h"
#include "consumers/group.h"
#include "consumers/stream_watch.h"
#include "gateway/gateway.h"
#include "gateway/settings.h"
#include "hub/dispatcher.h"
#include "metrics/metrics.h"
#include "metrics/metrics_reader.h"
#include "redis/commands.h"
#include "redis/feed.h"
#include "redis/redis_link.h"
#include "redis/redis_url.h"
#include "redis/tail.h"

struct control;
struct shared_access;
struct worker;

struct gateway {
    struct event_base *base;
    const struct settings *settings;
    const char *version;
    struct log *log;

    struct metrics *metrics; /* what the main thread counts */
    struct evdns_base *dns;
    struct redis_url redis_url;
    struct dispatcher *dispatcher;
    struct dispatcher_port *port; /* for what the main thread itself wants: channels and streams of sinks */
    struct feed *feed;            /* NULL while being destroyed */
    struct commands *commands;    /* NULL while being destroyed */
    struct tail *tail;            /* NULL while being destroyed */
    struct groups *groups;
    struct stream_watch *watch;
    struct gateway_sinks *sinks; /* NULL: none are configured */
    struct buffer entry_json;    /* of the entry being handed on */
    struct quota *quota;         /* of all workers together */
    struct control *control;
    struct shared_access *shared_access;

    struct mailbox *mailbox; /* what the workers ask of the main thread */
    struct hub_shared hub_shared;
    struct worker **workers;
    unsigned worker_count;
    atomic_uint threads_up; /* main thread and workers for which Redis is up */
    struct log_limiter loss_limiter, load_limiter, origin_limiter, history_limiter; /* of all threads */

    struct event *sweep_timer;
    uint64_t swept_connects;   /* streams opened so far, when last swept … */
    uint64_t trimmed_connects; /* … and when free memory was last given back */
    size_t queued_peak_bytes;  /* that waited for a worker since last swept */
    bool owes_memory;          /* there is some to give back, once it is quiet */

    struct event *drain_timer;
    uint64_t drain_deadline_ms;
    gateway_drained *drained;
    void *drained_context;
};

/* What every connection to Redis has in common. */
struct redis_link_options gateway_link_options(const struct gateway *gateway, const char *name,
                                               size_t output_bytes_max, struct metrics *metrics);
struct commands *gateway_create_commands(const struct gateway *gateway, struct event_base *base,
                                         struct evdns_base *dns, const char *name,
                                         const struct commands_events *events, struct metrics *metrics);
/* The configured streams; NULL when memory is short. */
struct stream_watch *gateway_create_watch(const struct gateway *gateway, struct event_base *base,
                                          struct commands *commands, struct metrics *metrics);
struct evdns_base *gateway_create_resolver(struct event_base *base);

/* bind_feed.c */
/* Behind a change of a thread's feed_up or commands_up; in that thread. */
void gateway_update_redis_up(struct gateway *gateway, struct metrics *metrics);
struct feed_events gateway_feed_events(struct gateway *gateway);
struct commands_events gateway_commands_events(struct gateway *gateway);
struct dispatcher_source gateway_dispatcher_source(struct gateway *gateway);

/* bind_tail.c */
struct tail_events gateway_tail_events(struct gateway *gateway);
bool gateway_build_groups(struct gateway *gateway);

/* bind_sinks.c */
bool gateway_build_sinks(struct gateway *gateway, char **ret_problem);
void gateway_sinks_feed_up(struct gateway *gateway);
void gateway_sinks_commands_up(struct gateway *gateway);
void gateway_sinks_message(struct gateway *gateway, enum feed_kind kind, const char *name, size_t length,
                           const char *payload, size_t payload_length);
void gateway_sinks_refused(struct gateway *gateway, enum feed_kind kind, const char *name, size_t length,
                           const char *problem);
void gateway_sinks_drain(struct gateway *gateway);
size_t gateway_sinks_held(const struct gateway *gateway);
void gateway_sinks_stop(struct gateway *gateway);
void gateway_sinks_destroy(struct gateway *gateway);

/* bind_metrics.c */

/* From a worker's thread: what `reader` answers. */
struct metrics_reader gateway_metrics_reader(struct worker *worker);
