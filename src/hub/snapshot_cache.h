/*
 * The cache of batch snapshots: exact while Redis tells us what changes, bounded in time and number always.
 *
 * A snapshot is the later of the last SET of `batch:progress:<id>` and the last JSON object published on
 * `batch:<id>`, in Redis' order. That order is known because live messages, invalidations and fences all come
 * through the feed: a read is `MULTI, GET key, PUBLISH <fence> <token>, EXEC`, and the place of the fence in
 * the feed is when the read happened.
 *
 *            read                 fence and reply both here
 *   EMPTY ─────────▶ LOADING ──────────────────────────────▶ VALID
 *     ▲               │   ▲                                 │  │ live message: value replaced, stays VALID
 *     │ failed        │   └─ invalidated behind the fence:  │  └ not tracked any more: load again, serve
 *     │               │      load again                     │    meanwhile
 *     └───────────────┴───────── invalidated, TTL over ─────┘
 *
 * What a finished load makes of a reply R read at fence F, when the newest live message L, not invalidated
 * since, was at sequence S:
 *   S > F ................. L: it is newer than the read
 *   R is nil .............. L while its TTL lasts, else absent
 *   R was known before L .. L: it was published after R was set; known are earlier messages and replies
 *   R is something else ... L for a quarter of a second more, then R: the worker is between its PUBLISH and
 *                           its SET, whichever it does first, or it has SET without a PUBLISH
 *
 * An invalidation forgets L: what the key says afterwards is newer (nil: deleted, or its TTL is over). A
 * reply overtaken by an invalidation behind its fence says nothing. Absence is known for a second at most.
 *
 * Times are passed in (monotonic milliseconds), so tests own the clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metrics/metrics.h"
#include "wire/payload.h"

struct snapshot_cache;

struct snapshot_cache_options {
    uint64_t ttl_ms;        /* default 10 s */
    uint64_t ttl_moving_ms; /* after a live message, while the batch is not terminal */
    uint64_t ttl_idle_ms;   /* for a terminal snapshot, and one that has not changed for ttl_idle_ms */
    size_t entries_max;     /* least recently used go first; entries with waiters stay */
    size_t bytes_max;
    bool has_origin;
};

enum snapshot_status {
    SNAPSHOT_FOUND,
    SNAPSHOT_ABSENT,
    SNAPSHOT_UNAVAILABLE, /* Redis (or the origin) did not answer */
};

/* A view of a snapshot; lives for the call. */
struct snapshot {
    const char *bytes;
    size_t length;
    uint64_t etag; /* hash of the bytes */
    uint64_t age_ms;
    bool hit; /* answered without asking Redis */
    enum payload_kind kind;
};

/* Which of `count` caches of a process answers those who ask for a batch. */
unsigned snapshot_cache_owner(const char *id, size_t length, unsigned count);

/* The etag of such bytes. */
uint64_t snapshot_etag(const char *bytes, size_t length);

/*
 * `snapshot` is NULL unless FOUND, and reflects every message and invalidation that the cache has been told
 * of. Never called inside snapshot_cache_live() or snapshot_cache_invalidated(). May call the cache back.
 */
typedef void snapshot_ready(void *context, enum snapshot_status status, const struct snapshot *snapshot);

/* What the cache asks for; bound by the gateway. False: it cannot be sent. Every load is answered by
 * snapshot_cache_loaded(), later, never inside the call. */
struct snapshot_source {
    /* MULTI, [SET key value PX ttl [NX]], [PUBLISH batch:<id> value], GET key, PUBLISH fence token, EXEC.
     * Value NULL: no SET. */
    bool (*load)(void *context, const char *id, size_t id_length, uint64_t token, const char *value,
                 size_t value_length, uint64_t redis_ttl_ms, bool only_if_absent, bool notify);
    /* Fetches from the origin; answered by snapshot_cache_origin(). */
    bool (*fetch_origin)(void *context, const char *id, size_t id_length, uint64_t token);
    void *context;
};

struct snapshot_cache *snapshot_cache_create(const struct snapshot_cache_options *options,
                                             const struct snapshot_source *source, struct metrics *metrics);
/* Waiters are answered UNAVAILABLE. */
void snapshot_cache_destroy(struct snapshot_cache *cache);

/*
 * Reads a snapshot, once for all who wait. `ready` may be called inside this call. `since_sequence`: only
 * knowledge that reflects the feed at or after this sequence will do (a joining viewer passes the sequence at
 * which its subscription was confirmed; 0 for a plain GET). Cancel with snapshot_cache_cancel(context) before
 * `context` goes. False when memory is short: `ready` is not called. Counts a hit or a miss when `counted`.
 */
bool snapshot_cache_read(struct snapshot_cache *cache, const char *id, size_t id_length,
                         uint64_t since_sequence, bool counted, uint64_t now_ms, snapshot_ready *ready,
                         void *context);
void snapshot_cache_cancel(struct snapshot_cache *cache, const char *id, size_t id_length, void *context);

/* PUT: stores in Redis, notifies viewers and fills the cache in one transaction. `ready` gets FOUND or
 * UNAVAILABLE. */
bool snapshot_cache_store(struct snapshot_cache *cache, const char *id, size_t id_length, const char *value,
                          size_t value_length, uint64_t now_ms, snapshot_ready *ready, void *context);

/* Forgets the process's copy at once (DELETE; the caller deletes the Redis key, and drops again when that is
 * done: a read sent before may end in between). */
void snapshot_cache_drop(struct snapshot_cache *cache, const char *id, size_t id_length);

/* Answers of the source. `tracked`: Redis will tell us when the key changes. `fenced`: a fence was sent and
 * will come. */
void snapshot_cache_loaded(struct snapshot_cache *cache, uint64_t token, enum snapshot_status status,
                           const char *value, size_t value_length, bool tracked, bool fenced,
                           uint64_t now_ms);
void snapshot_cache_origin(struct snapshot_cache *cache, uint64_t token, enum snapshot_status status,
                           const char *value, size_t value_length, uint64_t now_ms);

/* What the feed says, each with its place in the feed. */
void snapshot_cache_fenced(struct snapshot_cache *cache, uint64_t token, uint64_t sequence, uint64_t now_ms);
void snapshot_cache_live(struct snapshot_cache *cache, const char *id, size_t id_length, const char *payload,
                         size_t payload_length, enum payload_kind kind, uint64_t sequence, uint64_t now_ms);
/* `id` NULL: everything. */
void snapshot_cache_invalidated(struct snapshot_cache *cache, const char *id, size_t id_length,
                                uint64_t sequence);

/* The feed is lost, or the commands' connection, and with it what Redis tracks for us: values serve plain
 * GETs until their TTL. Loads that wait for a fence end unfenced. */
void snapshot_cache_feed_down(struct snapshot_cache *cache, uint64_t now_ms);
/* The feed is back: everything may have changed unseen, so everything but loads in flight is dropped. */
void snapshot_cache_feed_up(struct snapshot_cache *cache);

/* Drops what is expired; call about once a second. */
void snapshot_cache_sweep(struct snapshot_cache *cache, uint64_t now_ms);
