/*
 * What is known of one batch's snapshot, and how a message, an invalidation or a read changes it. No I/O, no
 * waiting: that is snapshot_cache.c, whose header has the table that snapshot_state_read() follows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hub/snapshot_cache.h"

/* The bytes of a snapshot, shared by the cache and the answers on their way to those who asked. */
struct snapshot_value {
    uint32_t references;
    enum payload_kind kind;
    uint64_t hash;
    size_t length;
    char bytes[];
};

/* One reference; NULL when memory is short. */
struct snapshot_value *snapshot_value_create(const char *bytes, size_t length, enum payload_kind kind);
struct snapshot_value *snapshot_value_retain(struct snapshot_value *value); /* NULL is passed on */
void snapshot_value_release(struct snapshot_value *value);                  /* NULL is a no-op */

/* How many displaced values are remembered: a worker that PUBLISHes before it SETs is at most a few messages
 * ahead of its key. */
#define SNAPSHOT_OLDER_MAX 8

/* A zeroed struct knows nothing. */
struct snapshot_state {
    bool is_known;
    struct snapshot_value *value; /* while known; NULL: known to be absent */
    bool is_live;                 /* the value is a message, not the key's */
    bool is_tracked;              /* Redis will say when the key changes */
    uint64_t live_sequence;
    uint64_t refreshed_ms;
    uint64_t expires_ms; /* kept when the value is forgotten: `older` is worth as much as the value was */
    uint64_t changed_ms;
    uint64_t last_hash; /* of the newest value, which `changed_ms` is about */
    uint64_t older[SNAPSHOT_OLDER_MAX];
    size_t older_count; /* all that were ever put there */
};

/* A reply to GET at a fence. */
struct snapshot_reading {
    const struct snapshot_cache_options *options;
    struct snapshot_value *found; /* borrowed; NULL: the key does not exist */
    bool is_fenced;
    uint64_t fence_sequence;
    bool is_tracked;
    bool was_set; /* by the same transaction: nothing before the fence is newer */
};

/* Takes the reference to `value`. */
void snapshot_state_live(struct snapshot_state *state, const struct snapshot_cache_options *options,
                         struct snapshot_value *value, uint64_t sequence, uint64_t now_ms);
/* Afterwards nothing is known if the key does not exist and no message stands in for it. */
void snapshot_state_read(struct snapshot_state *state, const struct snapshot_reading *reading,
                         uint64_t now_ms);
void snapshot_state_absent(struct snapshot_state *state, bool is_tracked, uint64_t expires_ms,
                           uint64_t now_ms);

/* The key changed: the value is gone, what has been newer than what is remembered. */
void snapshot_state_forget(struct snapshot_state *state);
/* Nothing is left, as at the start. */
void snapshot_state_clear(struct snapshot_state *state);

bool snapshot_state_is_fresh(const struct snapshot_state *state, uint64_t now_ms);
/* `since_sequence` as for snapshot_cache_read(). */
bool snapshot_state_serves(const struct snapshot_state *state, uint64_t since_sequence, bool feed_is_up,
                           uint64_t now_ms);
