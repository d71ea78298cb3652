/*
 * The front door: libmicrohttpd parses requests and answers the ordinary ones; a stream's socket is
 * duplicated once its response head is out and handed to the hub, and libmicrohttpd forgets the connection.
 * Everything runs on the event loop.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "consumers/group.h"
#include "consumers/stream_watch.h"
#include "front/forwarded.h"
#include "hub/hub.h"
#include "hub/snapshot_cache.h"
#include "metrics/metrics.h"
#include "metrics/metrics_reader.h"
#include "redis/commands.h"

struct access;
struct audit;
struct front;
struct quota;
struct tickets;

struct front_options {
    const char *listen;
    unsigned listeners;       /* how many fronts of the process listen there; 0 is 1 */
    bool reuse_port;          /* another process may listen there too, to take over */
    const char *admin_listen; /* "": none; else what is for administrators is there alone */
    size_t connections_max;
    size_t body_bytes_max;
    uint64_t head_timeout_ms;
    uint64_t body_timeout_ms;
    uint64_t keepalive_timeout_ms;
    size_t topics_per_stream_max;
    bool compress; /* streams, for clients that want it */
    uint64_t retry_min_ms, retry_max_ms;
    const char *cors_origins;
    bool cors_credentials;       /* who is listed may send cookies */
    const char *trusted_proxies; /* networks, comma-separated */
    enum forwarded_header forwarded_header;
    const char *identity_header; /* "": none */
    bool proxy_protocol;         /* of trusted proxies' connections */
    bool access_log;
    uint64_t idempotency_window_ms;
    uint64_t stream_maxlen;
    size_t publish_array_max;
    const char *version;
};

/* The snapshots of batches, once for the process (see hub/snapshot_cache.h for what the answers mean). */
struct batch_store {
    /* `ready` may be called inside the call. False when memory is short: it is not called then. */
    bool (*read)(void *context, const char *id, size_t length, snapshot_ready *ready, void *ready_context);
    bool (*store)(void *context, const char *id, size_t length, const char *value, size_t value_length,
                  snapshot_ready *ready, void *ready_context);
    void (*drop)(void *context, const char *id, size_t length);
    void (*cancel)(void *context, const char *id, size_t length, void *ready_context);
    void *context;
};

/* What endpoints work with; all borrowed, all outlive the front. */
struct front_services {
    struct event_base *base;
    struct hub *hub;
    struct batch_store batches;
    struct commands *commands;
    struct groups *groups;
    struct stream_watch *watch; /* NULL: no stream is configured */
    struct access *access;
    struct audit *audit;
    struct tickets *tickets;
    struct quota *quota;                  /* of the whole process */
    struct metrics *metrics;              /* where it counts … */
    struct metrics_reader metrics_reader; /* … and what it shows */
    bool (*is_redis_up)(void *context);
    void *context;
    struct log *log;
};

/* Listens where `first` does, or where the options say (NULL). NULL with *ret_problem set to a sentence
 * (address in use, bad address, no memory). The sentence is freed by the caller. */
struct front *front_create(const struct front_options *options, const struct front_services *services,
                           const struct front *first, char **ret_problem);

/* Answers requests that still wait with 503 first. */
void front_destroy(struct front *front);

/* On reload: limits and timeouts; `listen` and `admin_listen` are not looked at. */
void front_set_options(struct front *front, const struct front_options *options);

/* Accepts what has come so far, and no more; what is being answered goes on. /readyz says 503. */
void front_drain(struct front *front);

/* The administrators' port, 0 if they have none. */
uint16_t front_admin_port(const struct front *front);

/* Requests being answered; while it drains, with what may become one. */
size_t front_request_count(const struct front *front);

/* The port it listens on (for `listen: 127.0.0.1:0`), 0 for a unix socket. */
uint16_t front_port(const struct front *front);
