/*
 * Every figure the gateway keeps, in one struct: whoever counts holds a pointer to it and adds to a field;
 * metrics_text.c gives each its name, type and help. Base units; names ending in _total only grow. Each
 * thread has one of its own; those who read are given the sum.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "metrics/histogram.h"

enum gap_reason {
    GAP_REDIS_RECONNECT,
    GAP_TRIMMED,
    GAP_SLOW_CONSUMER,
    GAP_RESTART,
    GAP_UNKNOWN_ID,
    GAP_REASONS,
};
const char *gap_reason_name(enum gap_reason reason); /* "redis-reconnect", … as in `event: gap` */

enum slow_action { SLOW_DISCONNECTED, SLOW_CONFLATED, SLOW_STALLED, SLOW_ACTIONS };
const char *slow_action_name(enum slow_action action);

/* Why a request or a stream was refused. */
enum refusal_reason {
    REFUSAL_NO_CREDENTIAL,
    REFUSAL_BAD_CREDENTIAL, /* forged, malformed, of nobody we know */
    REFUSAL_EXPIRED,        /* over, or not valid yet */
    REFUSAL_NOT_GRANTED,
    REFUSAL_FOREIGN_ORIGIN, /* a cookie from a page that may not use it */
    REFUSAL_BAD_TICKET,     /* spent, late or never given out */
    REFUSAL_APPLICATION,    /* the application was asked and said no */
    REFUSAL_UNDECIDED,      /* who could have decided did not answer */
    REFUSAL_LIMITED,        /* over a limit, see enum limit */
    REFUSAL_REASONS,
};
const char *refusal_reason_name(enum refusal_reason reason); /* "no-credential", … */

/* What a stream or a publish was refused for that was allowed otherwise. */
enum limit {
    LIMIT_STREAMS,
    LIMIT_STREAMS_PER_ADDRESS,
    LIMIT_STREAMS_PER_SUBJECT,
    LIMIT_STREAM_RATE,
    LIMIT_STREAM_RATE_PER_ADDRESS,
    LIMIT_PUBLISH_RATE_PER_ADDRESS,
    LIMIT_PUBLISH_RATE_PER_SUBJECT,
    LIMITS,
};
const char *limit_name(enum limit limit); /* "streams", … */

/* The routes that requests are counted under; ROUTE_OTHER is everything unknown, so labels stay few. */
enum route_label {
    ROUTE_EVENTS_PUBLISH,
    ROUTE_EVENTS_STREAM,
    ROUTE_BATCH,
    ROUTE_BATCH_STREAM,
    ROUTE_GROUP_EVENTS,
    ROUTE_GROUP_ACK,
    ROUTE_GROUP_NACK,
    ROUTE_METRICS,
    ROUTE_HEALTHZ,
    ROUTE_READYZ,
    ROUTE_PAGE,
    ROUTE_STREAMS,
    ROUTE_STREAM,
    ROUTE_TICKETS,
    ROUTE_SUBSCRIBERS,
    ROUTE_OTHER,
    ROUTE_LABELS,
};
const char *route_label_name(enum route_label route); /* "/batches/{id}", … or "other" */

#define METRICS_STATUS_MAX 600

#define METRICS_WORKERS_MAX 64

struct metrics {
    /* clients */
    uint64_t sse_clients;            /* gauge: open streams */
    uint64_t sse_connects;           /* streams opened */
    uint64_t sse_refused;            /* streams refused: over max_clients, or draining */
    uint64_t sse_events;             /* events handed to clients: one message to 10 clients counts 10 */
    uint64_t sse_bytes;              /* bytes handed to the kernel for them */
    uint64_t sse_compressed_bytes;   /* of compressed streams, as they are sent */
    uint64_t sse_uncompressed_bytes; /* and what they would have been */
    uint64_t sse_deflated;           /* pieces deflated, each once for all its clients */
    uint64_t sse_backlog_bytes; /* gauge: bytes that wait for slow clients, each client's share counted */
    uint64_t sse_heartbeats;
    struct histogram sse_latency; /* read from Redis → last byte handed to the kernel for the last client */
    uint64_t gaps[GAP_REASONS];
    uint64_t slow_clients[SLOW_ACTIONS];
    /* access */
    uint64_t sse_expired; /* streams ended because what they were opened with no longer holds */
    uint64_t jwks_fetches;
    uint64_t jwks_failures;
    /* events */
    uint64_t events_published; /* accepted by Redis from POST /events/publish and PUT /batches */
    uint64_t events_duplicate; /* answered from an idempotency key */
    uint64_t publish_failed;
    uint64_t publish_retries;
    uint64_t events_consumed; /* messages read from Redis */
    uint64_t stream_entries;  /* entries of streams read from Redis as they came */
    uint64_t stream_replayed; /* entries given to clients from a stream's history */
    struct histogram publish; /* request complete → receipt, redis retries included */
    /* snapshots */
    uint64_t cache_hits;
    uint64_t cache_misses;
    uint64_t cache_entries; /* gauge */
    uint64_t cache_invalidations;
    uint64_t origin_fetches;
    uint64_t origin_failures;
    /* consumer groups */
    uint64_t group_consumers;    /* gauge: consumers of groups, of HTTP and in this process */
    uint64_t group_deliveries;   /* entries handed to them, each time counted */
    uint64_t group_acks;         /* entries acknowledged through this gateway */
    uint64_t group_nacks;        /* entries given back */
    uint64_t group_claims;       /* entries taken over from another consumer */
    uint64_t group_dead_letters; /* entries given up */
    /* access */
    uint64_t access_refused[REFUSAL_REASONS];
    uint64_t limited[LIMITS];
    uint64_t audit_left_out; /* refusals that were counted but not logged one by one */
    uint64_t admin_acts;
    uint64_t tickets_issued;
    uint64_t tickets_taken;
    uint64_t tickets_refused;
    uint64_t authorizer_asks;     /* questions put to the application */
    uint64_t authorizer_hits;     /* answered from what it said before, or with somebody else's question */
    uint64_t authorizer_failures; /* no answer, or one that is none */
    uint64_t streams_revoked;     /* cut by an administrator */
    /* redis */
    uint64_t redis_reconnects;
    uint64_t redis_subscriptions; /* gauge: channels and patterns subscribed for clients */
    uint64_t streams_watched;     /* gauge: streams read for clients */
    uint64_t redis_commands;
    uint64_t redis_errors;
    /* http */
    uint64_t http_requests[ROUTE_LABELS][METRICS_STATUS_MAX];
    uint64_t http_connections;      /* gauge: connections the front door still holds; streams have left it */
    uint64_t http_rejected;         /* refused by the request gate */
    uint64_t http_timeouts;         /* closed at the head or body deadline */
    uint64_t accept_pauses;         /* accept paused for want of descriptors */
    struct histogram http_duration; /* head complete → response queued; streams not counted */
    uint64_t workers;               /* gauge: threads that serve clients */
    uint64_t worker_queued_bytes;   /* gauge: on their way from Redis' reader to those threads */
    uint64_t worker_losses;         /* times that what was on its way was lost */
    /* what metrics_add() does not just add up follows */
    bool redis_up; /* feed and commands are both ready */
    bool feed_up;
    bool commands_up;
    uint64_t worker_clients[METRICS_WORKERS_MAX]; /* gauge: streams of each thread; set by who adds them up */
    bool draining;
    uint64_t start_wall_ms;
    struct list own_sources;    /* of labelled series, metrics/series.h … */
    const struct list *sources; /* … and which ones are shown with these figures */
};

/* NULL when memory is short (it is some 45 KB). */
struct metrics *metrics_create(void);
void metrics_destroy(struct metrics *metrics);

/*
 * Adds a thread's figures to those of others. Redis is up where it is for all of them; draining is who drains
 * first. `into` shows the sources of the first that was added.
 */
void metrics_add(struct metrics *into, const struct metrics *figures);
