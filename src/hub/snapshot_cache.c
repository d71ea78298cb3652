#include "hub/snapshot_cache.h"

#include <stdlib.h>

#include "hub/snapshot_entry.h"
#include "hub/snapshot_load.h"
#include "hub/snapshot_state.h"

struct snapshot_cache *snapshot_cache_create(const struct snapshot_cache_options *options,
                                             const struct snapshot_source *source, struct metrics *metrics)
{
    struct snapshot_cache *cache = calloc(1, sizeof(*cache));
    if (!cache)
        return NULL;
    cache->options = *options;
    cache->source = *source;
    cache->metrics = metrics;
    cache->tracking_works = true;
    list_init(&cache->idle);
    list_init(&cache->answers);
    cache->entries = map_create();
    cache->loads = map_create();
    if (!cache->entries || !cache->loads) {
        map_destroy(cache->entries);
        map_destroy(cache->loads);
        free(cache);
        return NULL;
    }
    return cache;
}

void snapshot_cache_destroy(struct snapshot_cache *cache)
{
    if (!cache)
        return;
    struct snapshot_load *load;
    struct snapshot_entry *entry;
    size_t cursor = 0;
    cache->is_closing = true;
    while ((load = map_next(cache->loads, &cursor))) {
        if (load->storer)
            snapshot_waiter_answer(cache, load->storer, SNAPSHOT_UNAVAILABLE, NULL, 0);
        snapshot_load_remove(cache, load);
    }
    for (cursor = 0; (entry = map_next(cache->entries, &cursor));) {
        while (!list_empty(&entry->waiters))
            snapshot_waiter_answer(cache,
                                   LIST_OWNER(list_first(&entry->waiters), struct snapshot_waiter, node),
                                   SNAPSHOT_UNAVAILABLE, NULL, 0);
    }
    snapshot_answers_give(cache);
    for (cursor = 0; (entry = map_next(cache->entries, &cursor));)
        snapshot_entry_remove(cache, entry);
    map_destroy(cache->entries);
    map_destroy(cache->loads);
    free(cache);
}

/* --- those who ask --- */

static void give_hit(struct snapshot_cache *cache, struct snapshot_entry *entry, bool counted,
                     uint64_t now_ms, snapshot_ready *ready, void *context)
{
    struct snapshot_value *value = entry->state.value;
    entry->last_read_ms = now_ms;
    cache->metrics->cache_hits += counted;
    snapshot_entry_touch(cache, entry);
    snapshot_ready_call(ready, context, value ? SNAPSHOT_FOUND : SNAPSHOT_ABSENT, value,
                        now_ms - entry->state.refreshed_ms, true);
}

bool snapshot_cache_read(struct snapshot_cache *cache, const char *id, size_t id_length,
                         uint64_t since_sequence, bool counted, uint64_t now_ms, snapshot_ready *ready,
                         void *context)
{
    if (cache->is_closing)
        return false;
    struct snapshot_entry *entry = snapshot_entry_find_or_add(cache, id, id_length);
    if (!entry)
        return false;
    if (snapshot_load_known_serves(cache, entry, NULL, since_sequence, now_ms)) {
        give_hit(cache, entry, counted, now_ms, ready, context);
        return true;
    }
    struct snapshot_waiter *waiter = snapshot_waiter_create(cache, entry, since_sequence, ready, context);
    if (!waiter)
        return false;
    list_append(&entry->waiters, &waiter->node);
    entry->last_read_ms = now_ms;
    cache->metrics->cache_misses += counted;
    snapshot_load_for_waiters(cache, entry);
    snapshot_answers_give(cache);
    return true;
}

bool snapshot_cache_store(struct snapshot_cache *cache, const char *id, size_t id_length, const char *value,
                          size_t value_length, uint64_t now_ms, snapshot_ready *ready, void *context)
{
    if (cache->is_closing)
        return false;
    struct snapshot_entry *entry = snapshot_entry_find_or_add(cache, id, id_length);
    if (!entry)
        return false;
    struct snapshot_waiter *storer = snapshot_waiter_create(cache, entry, 0, ready, context);
    if (!storer)
        return false;
    entry->last_read_ms = now_ms;
    bool is_under_way = snapshot_load_store(cache, entry, value, value_length, storer);
    if (!is_under_way)
        snapshot_waiter_destroy(cache, storer);
    snapshot_answers_give(cache);
    return is_under_way;
}

static void cancel_in(struct snapshot_cache *cache, struct list *waiters, const struct snapshot_entry *entry,
                      const void *context)
{
    struct list *next;
    for (struct list *node = waiters->next; node != waiters; node = next) {
        struct snapshot_waiter *waiter = LIST_OWNER(node, struct snapshot_waiter, node);
        next = node->next;
        if (waiter->entry == entry && waiter->context == context)
            snapshot_waiter_destroy(cache, waiter);
    }
}

void snapshot_cache_cancel(struct snapshot_cache *cache, const char *id, size_t id_length, void *context)
{
    struct snapshot_entry *entry = snapshot_entry_find(cache, id, id_length);
    if (!entry)
        return;
    cancel_in(cache, &entry->waiters, entry, context);
    cancel_in(cache, &cache->answers, entry, context);
    for (struct list *node = entry->loads.next; node != &entry->loads; node = node->next) {
        struct snapshot_load *load = LIST_OWNER(node, struct snapshot_load, node);
        if (load->storer && load->storer->context == context) {
            snapshot_waiter_destroy(cache, load->storer);
            load->storer = NULL;
        }
    }
}

void snapshot_cache_drop(struct snapshot_cache *cache, const char *id, size_t id_length)
{
    struct snapshot_entry *entry = snapshot_entry_find(cache, id, id_length);
    if (!entry)
        return;
    snapshot_state_clear(&entry->state);
    snapshot_entry_count_bytes(cache, entry);
    for (struct list *node = entry->loads.next; node != &entry->loads; node = node->next)
        LIST_OWNER(node, struct snapshot_load, node)->is_stale = true;
}

/* --- answers of the source --- */

void snapshot_cache_loaded(struct snapshot_cache *cache, uint64_t token, enum snapshot_status status,
                           const char *value, size_t value_length, bool tracked, bool fenced, uint64_t now_ms)
{
    struct snapshot_load *load = snapshot_load_find(cache, token);
    if (!load || load->has_reply || load->purpose == LOAD_ORIGIN)
        return;
    load->has_reply = true;
    load->status = status;
    load->is_tracked = tracked;
    if (status == SNAPSHOT_FOUND) {
        load->found = snapshot_value_create(value, value_length, payload_classify(value, value_length));
        if (!load->found)
            load->status = SNAPSHOT_UNAVAILABLE;
    }
    bool waits_for_fence = fenced && !load->fence_seen && !load->fence_lost;
    if (load->status == SNAPSHOT_UNAVAILABLE || !waits_for_fence)
        snapshot_load_finish(cache, load, now_ms);
    snapshot_answers_give(cache);
}

void snapshot_cache_origin(struct snapshot_cache *cache, uint64_t token, enum snapshot_status status,
                           const char *value, size_t value_length, uint64_t now_ms)
{
    struct snapshot_load *load = snapshot_load_find(cache, token);
    struct snapshot_value *fetched = NULL;
    if (!load || load->purpose != LOAD_ORIGIN)
        return;
    if (status == SNAPSHOT_FOUND) {
        fetched = snapshot_value_create(value, value_length, payload_classify(value, value_length));
        if (!fetched)
            status = SNAPSHOT_UNAVAILABLE;
    }
    snapshot_load_finish_origin(cache, load, status, fetched, now_ms);
    snapshot_value_release(fetched);
    snapshot_answers_give(cache);
}

/* --- what the feed says --- */

void snapshot_cache_fenced(struct snapshot_cache *cache, uint64_t token, uint64_t sequence, uint64_t now_ms)
{
    struct snapshot_load *load = snapshot_load_find(cache, token);
    if (!load || load->fence_seen || load->fence_lost)
        return;
    load->fence_seen = true;
    load->fence_sequence = sequence;
    load->fence_moment = ++cache->moment;
    if (load->has_reply)
        snapshot_load_finish(cache, load, now_ms);
    snapshot_answers_give(cache);
}

void snapshot_cache_live(struct snapshot_cache *cache, const char *id, size_t id_length, const char *payload,
                         size_t payload_length, enum payload_kind kind, uint64_t sequence, uint64_t now_ms)
{
    if (kind == PAYLOAD_OPAQUE)
        return;
    struct snapshot_entry *entry = snapshot_entry_find_or_add(cache, id, id_length);
    if (!entry || sequence <= entry->state.live_sequence)
        return; /* or it was told before */
    struct snapshot_value *value = snapshot_value_create(payload, payload_length, kind);
    if (value) {
        snapshot_state_live(&entry->state, &cache->options, value, sequence, now_ms);
        snapshot_load_for_tracking(cache, entry);
    } else {
        snapshot_state_forget(&entry->state);
    }
    snapshot_entry_count_bytes(cache, entry);
    snapshot_entry_touch(cache, entry);
    snapshot_answers_give(cache);
}

static void invalidate(struct snapshot_cache *cache, struct snapshot_entry *entry)
{
    if (entry->state.is_known || !list_empty(&entry->loads))
        cache->metrics->cache_invalidations++;
    snapshot_state_forget(&entry->state);
    snapshot_entry_count_bytes(cache, entry);
    for (struct list *node = entry->loads.next; node != &entry->loads; node = node->next) {
        struct snapshot_load *load = LIST_OWNER(node, struct snapshot_load, node);
        /* Without a fence yet, what it reads is newer than this change. */
        if (load->fence_seen || load->purpose == LOAD_ORIGIN)
            load->is_stale = true;
    }
}

void snapshot_cache_invalidated(struct snapshot_cache *cache, const char *id, size_t id_length,
                                uint64_t sequence)
{
    struct snapshot_entry *entry;
    size_t cursor = 0;
    (void)sequence; /* the order of the calls says it all */
    if (id) {
        entry = snapshot_entry_find(cache, id, id_length);
        if (entry)
            invalidate(cache, entry);
        return;
    }
    while ((entry = map_next(cache->entries, &cursor)))
        invalidate(cache, entry);
}

void snapshot_cache_feed_down(struct snapshot_cache *cache, uint64_t now_ms)
{
    /* What is marked as tracked is not believed while the feed is down, and forgotten when it is back. */
    cache->feed_is_up = false;
    snapshot_loads_end_unfenced(cache, now_ms);
    snapshot_answers_give(cache);
}

void snapshot_cache_feed_up(struct snapshot_cache *cache)
{
    struct snapshot_entry *entry;
    struct snapshot_load *load;
    size_t cursor = 0;
    cache->feed_is_up = true;
    cache->tracking_works = true;
    while ((load = map_next(cache->loads, &cursor))) {
        if (load->purpose == LOAD_ORIGIN)
            load->is_stale = true;
    }
    for (cursor = 0; (entry = map_next(cache->entries, &cursor));) {
        entry->attempts = 0;
        snapshot_state_clear(&entry->state);
        snapshot_entry_count_bytes(cache, entry);
        snapshot_load_for_waiters(cache, entry);
    }
    snapshot_answers_give(cache);
}

void snapshot_cache_sweep(struct snapshot_cache *cache, uint64_t now_ms)
{
    struct list *next;
    for (struct list *node = cache->idle.next; node != &cache->idle; node = next) {
        struct snapshot_entry *entry = LIST_OWNER(node, struct snapshot_entry, node);
        next = node->next;
        /* One that is still being read stays, so that the next load can tell how long it has not changed. */
        if (now_ms >= entry->state.expires_ms && now_ms - entry->last_read_ms >= cache->options.ttl_ms)
            snapshot_entry_remove(cache, entry);
    }
}
