/*
 * The inside of the snapshot cache: its entries, least recently used first, and those who wait for an answer.
 *
 * Answers are decided while the cache is being changed and given at the end of each public call, by
 * snapshot_answers_give(): a `ready` callback may come back with any call, and finds everything in order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "hub/snapshot_cache.h"
#include "hub/snapshot_state.h"

struct snapshot_load;

struct snapshot_cache {
    struct snapshot_cache_options options;
    struct snapshot_source source;
    struct metrics *metrics;
    struct map *entries; /* id → entry */
    struct map *loads;   /* token → load */
    struct list idle;    /* entries that may be evicted, least recently used first */
    struct list answers; /* waiters whose answer is decided */
    size_t bytes;
    uint64_t next_token;
    uint64_t moment; /* orders fences and reads at the same sequence */
    bool feed_is_up;
    bool tracking_works; /* as far as the last load tells */
    bool is_answering;
    bool is_closing;
};

struct snapshot_entry {
    struct list node; /* in cache->idle while `uses` is 0 */
    struct list waiters;
    struct list loads;
    struct snapshot_load *reading; /* the load whose end serves the waiters */
    size_t uses;                   /* waiters, answers not yet given, loads */
    unsigned attempts;             /* loads in a row that served nobody, while somebody waits */
    uint64_t last_read_ms;
    size_t counted_bytes;
    struct snapshot_state state;
    size_t id_length;
    char id[];
};

struct snapshot_waiter {
    struct list node; /* in entry->waiters, then in cache->answers */
    struct snapshot_entry *entry;
    uint64_t since_sequence;
    uint64_t moment;
    snapshot_ready *ready;
    void *context;
    /* the answer */
    enum snapshot_status status;
    struct snapshot_value *value;
    uint64_t age_ms;
};

struct snapshot_entry *snapshot_entry_find(const struct snapshot_cache *cache, const char *id,
                                           size_t id_length);
/* NULL when memory is short. */
struct snapshot_entry *snapshot_entry_find_or_add(struct snapshot_cache *cache, const char *id,
                                                  size_t id_length);
void snapshot_entry_remove(struct snapshot_cache *cache, struct snapshot_entry *entry);

/* Call it whenever entry->state may hold another value. */
void snapshot_entry_count_bytes(struct snapshot_cache *cache, struct snapshot_entry *entry);
void snapshot_entry_touch(struct snapshot_cache *cache, struct snapshot_entry *entry);
void snapshot_entry_use(struct snapshot_entry *entry);
void snapshot_entry_unuse(struct snapshot_cache *cache, struct snapshot_entry *entry);

/* Not in any list yet. NULL when memory is short. */
struct snapshot_waiter *snapshot_waiter_create(struct snapshot_cache *cache, struct snapshot_entry *entry,
                                               uint64_t since_sequence, snapshot_ready *ready, void *context);
void snapshot_waiter_destroy(struct snapshot_cache *cache, struct snapshot_waiter *waiter);

/* `value` NULL: without one. */
void snapshot_waiter_answer(struct snapshot_cache *cache, struct snapshot_waiter *waiter,
                            enum snapshot_status status, struct snapshot_value *value, uint64_t age_ms);

/* Calls everybody back whose answer is decided and evicts what is too much: the end of every public call. */
void snapshot_answers_give(struct snapshot_cache *cache);

void snapshot_ready_call(snapshot_ready *ready, void *context, enum snapshot_status status,
                         struct snapshot_value *value, uint64_t age_ms, bool is_hit);
