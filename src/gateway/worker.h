/*
 * One of the threads that serve clients: an event loop with a listener, a front, a hub, a snapshot cache and
 * a connection for commands of its own. What it knows of Redis' messages it is told by the dispatcher, which
 * runs in the main thread. Workers share nothing but messages, which do not change.
 *
 *   main thread                                      worker
 *   dispatcher ── port ── mailbox ──▶ apply events ──▶ hub ──▶ clients
 *        ▲                                              │
 *        └────────────── mailbox ◀── wishes ────────────┘
 *
 * The only worker of a gateway runs in the main thread, on its loop, and is called directly: nothing hops.
 *
 *   worker.c          life: build, run, hold, drain, stop
 *   worker_hub.c      dispatcher ↔ hub, groups and cache
 *   worker_groups.c   what groups want, and tell those of other workers
 *   worker_snapshots.c  the cache's reads: Redis and origin
 *   worker_batches.c  GET, PUT and DELETE of batches, by the worker whose they are
 *   worker_history.c  the pages of a stream's history
 *   worker_application.c  what the application says about sessions, and
 *   worker_keys.c     the keys of tokens: asked by the main thread, for all
 */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/mailbox.h"
#include "consumers/group.h"
#include "consumers/stream_watch.h"
#include "front/front.h"
#include "gateway/gateway_access.h"
#include "gateway/gateway_state.h"
#include "hub/dispatcher.h"
#include "hub/hub.h"
#include "hub/snapshot_cache.h"
#include "outgoing/http_client.h"

/* Where a batch's snapshot is kept in Redis: batch:progress:<id>. */
#define SNAPSHOT_KEY_PREFIX "batch:progress:"

/* While more waits for a worker's thread, the rest stays with the dispatcher, which has a bound of its own.
 */
#define WORKER_QUEUED_BYTES_MAX (64u << 20)

struct worker {
    struct gateway *gateway; /* whose parts belong to the main thread, but for settings, version and log */
    const struct settings *settings;
    struct log *log;
    unsigned number;
    bool is_local; /* the main thread is its thread */
    bool is_running;
    pthread_t thread;
    struct event_base *base;
    struct mailbox *mailbox;

    struct metrics *metrics;
    struct evdns_base *dns;
    struct dispatcher_port *port;
    struct snapshot_cache *cache;
    struct hub *hub;
    struct commands *commands;  /* NULL while being destroyed */
    struct http_client *origin; /* NULL without origin_url */
    struct groups *groups;
    struct stream_watch *watch; /* only reads when somebody asks */
    struct audit *audit;
    struct gateway_access *access;
    struct front *front;
    struct list batch_requests;       /* that other workers are asked */
    struct list application_requests; /* that the main thread is asked */
    struct event *sweep_timer;

    bool feed_up;
    uint64_t feed_generation;
    atomic_size_t queued_bytes; /* told by the dispatcher, not applied yet; see WORKER_QUEUED_BYTES_MAX */
    struct buffer entry_json;   /* of the entry being handed on */

    struct event *drain_timer;
    atomic_size_t held; /* clients and requests that are left, while draining */
    atomic_uint_fast64_t connects;
    sem_t holds; /* given when it stands still … */
    sem_t go_on; /* … until this is */
    char link_name[24];
};

/* Builds what it consists of, on the main thread; nothing runs yet. NULL with *ret_problem (NULL: memory or
 * descriptors are short). `listen`: where the first worker listens; the others share its port. */
struct worker *worker_create(struct gateway *gateway, unsigned number, const struct worker *first,
                             char **ret_problem);
bool worker_start(struct worker *worker);

/* Has `run(worker, context)` called in the worker's thread. `drop` is called instead if it ends before. False
 * when memory is short. */
bool worker_call(struct worker *worker, void (*run)(struct worker *worker, void *context),
                 void (*drop)(void *context), void *context);

/* Ends the thread. */
void worker_stop(struct worker *worker);
/* Asks Redis for nothing from now on, and answers who waits; then, behind the main thread's parts, frees it.
 */
void worker_close(struct worker *worker);
void worker_destroy(struct worker *worker);

/* The thread stands still between the two, so that settings can change. */
void worker_hold(struct worker *worker);
void worker_release(struct worker *worker);
void worker_apply_settings(struct worker *worker); /* while held */

void worker_drain(struct worker *worker, uint64_t spread_ms);
/* Clients and requests that are left, once draining. Any thread. */
size_t worker_held(const struct worker *worker);

/* worker_hub.c */
struct hub_source worker_hub_source(struct worker *worker);
struct commands_events worker_commands_events(struct worker *worker);
dispatcher_deliver worker_deliver; /* in the main thread; context is the worker */

/* Of the dispatcher; false: see dispatcher_want(). */
bool worker_want(struct worker *worker, const struct dispatcher_wish *wish);
void worker_leave(struct worker *worker, const struct dispatcher_wish *wish);

/* worker_groups.c */
struct groups_source worker_groups_source(struct worker *worker);

/* worker_snapshots.c */
struct snapshot_source worker_snapshot_source(struct worker *worker);
/* Fences carry the number of their worker's port. */
#define FENCE_PORT_SHIFT 48

/* worker_batches.c */
struct batch_store worker_batch_store(struct worker *worker);

/* worker_application.c */
struct access_source worker_application_source(struct worker *worker);

/* worker_keys.c: access_bindings.fetch, of a worker. */
bool worker_fetch_keys(void *context, const char *url, access_fetched *done, void *done_context);

/* worker_history.c */
bool worker_read_history(void *context, const char *stream, size_t length, struct entry_id after,
                         size_t count, uint64_t token);
