/*
 * The snapshot cache's requests on their way to Redis and the origin, and what their end means for those who
 * wait.
 *
 *               reply and fence                          404, or
 *   READ ──────────────────────────▶ waiters served      failure
 *    │ ▲ nil, has_origin: ──▶ ORIGIN ───────────────────────────▶ waiters served
 *    │ └──────────────────────  │ found                             ▲
 *    │ overtaken: another READ  └──────▶ ORIGIN_STORE (SET NX) ─────┘
 *
 *   STORE (PUT) is on its own; its end serves the waiters too, as it reads what it wrote.
 */
#pragma once

#include "hub/snapshot_entry.h"

enum snapshot_load_purpose { LOAD_READ, LOAD_STORE, LOAD_ORIGIN, LOAD_ORIGIN_STORE };

struct snapshot_load {
    uint64_t token; /* its key in cache->loads */
    enum snapshot_load_purpose purpose;
    struct snapshot_entry *entry;
    struct list node;        /* in entry->loads */
    struct list ending_node; /* in the list of snapshot_loads_end_unfenced() */
    bool is_stale;           /* the snapshot changed behind what was read */
    bool fence_seen;
    bool fence_lost; /* the feed was lost since it was sent */
    uint64_t fence_sequence;
    uint64_t fence_moment;
    bool has_reply; /* and waits for the fence */
    enum snapshot_status status;
    struct snapshot_value *found;
    bool is_tracked;
    struct snapshot_value *fetched; /* ORIGIN_STORE: what the origin said */
    struct snapshot_waiter *storer; /* STORE: who is told; NULL after a cancel */
};

struct snapshot_load *snapshot_load_find(const struct snapshot_cache *cache, uint64_t token);
void snapshot_load_remove(struct snapshot_cache *cache, struct snapshot_load *load);

/* Sends a PUT. False when memory is short; a source that refuses has answered `storer` with UNAVAILABLE. */
bool snapshot_load_store(struct snapshot_cache *cache, struct snapshot_entry *entry, const char *value,
                         size_t value_length, struct snapshot_waiter *storer);

/* Makes sure that something is under way for those who wait and can be served as things are; else they are
 * answered. */
void snapshot_load_for_waiters(struct snapshot_cache *cache, struct snapshot_entry *entry);

/* Whether what is known will do for a reader, `since_sequence` as for snapshot_cache_read(). `ending`: a load
 * that is about to go; NULL for none. */
bool snapshot_load_known_serves(const struct snapshot_cache *cache, const struct snapshot_entry *entry,
                                const struct snapshot_load *ending, uint64_t since_sequence, uint64_t now_ms);

/* Reads although nobody waits, so that Redis tells of the next change: it does so once for each time a key
 * was read. */
void snapshot_load_for_tracking(struct snapshot_cache *cache, struct snapshot_entry *entry);

/* Reply and fence are here, or it is certain that there will be none. `load` is gone afterwards. */
void snapshot_load_finish(struct snapshot_cache *cache, struct snapshot_load *load, uint64_t now_ms);
/* The origin answered; `value` NULL unless it FOUND one. `load` is gone afterwards. */
void snapshot_load_finish_origin(struct snapshot_cache *cache, struct snapshot_load *load,
                                 enum snapshot_status status, struct snapshot_value *value, uint64_t now_ms);

/* The feed is lost: no fence will come for what is on its way. */
void snapshot_loads_end_unfenced(struct snapshot_cache *cache, uint64_t now_ms);
