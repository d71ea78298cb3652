#include "hub/snapshot_entry.h"

#include <stdlib.h>
#include <string.h>

struct snapshot_entry *snapshot_entry_find(const struct snapshot_cache *cache, const char *id,
                                           size_t id_length)
{
    return map_get(cache->entries, id, id_length);
}

struct snapshot_entry *snapshot_entry_find_or_add(struct snapshot_cache *cache, const char *id,
                                                  size_t id_length)
{
    struct snapshot_entry *entry = snapshot_entry_find(cache, id, id_length);
    if (entry)
        return entry;
    entry = calloc(1, sizeof(*entry) + id_length);
    if (!entry)
        return NULL;
    list_init(&entry->waiters);
    list_init(&entry->loads);
    entry->id_length = id_length;
    if (id_length > 0)
        memcpy(entry->id, id, id_length);
    if (!map_put(cache->entries, entry->id, id_length, entry)) {
        free(entry);
        return NULL;
    }
    list_append(&cache->idle, &entry->node);
    cache->metrics->cache_entries++;
    snapshot_entry_count_bytes(cache, entry);
    return entry;
}

void snapshot_entry_remove(struct snapshot_cache *cache, struct snapshot_entry *entry)
{
    list_remove(&entry->node);
    map_remove(cache->entries, entry->id, entry->id_length);
    cache->bytes -= entry->counted_bytes;
    cache->metrics->cache_entries--;
    snapshot_state_clear(&entry->state);
    free(entry);
}

void snapshot_entry_count_bytes(struct snapshot_cache *cache, struct snapshot_entry *entry)
{
    size_t bytes = sizeof(*entry) + entry->id_length;
    if (entry->state.value)
        bytes += sizeof(*entry->state.value) + entry->state.value->length;
    cache->bytes = cache->bytes - entry->counted_bytes + bytes;
    entry->counted_bytes = bytes;
}

void snapshot_entry_touch(struct snapshot_cache *cache, struct snapshot_entry *entry)
{
    if (entry->uses > 0)
        return;
    list_remove(&entry->node);
    list_append(&cache->idle, &entry->node);
}

void snapshot_entry_use(struct snapshot_entry *entry)
{
    entry->uses++;
    list_remove(&entry->node);
}

void snapshot_entry_unuse(struct snapshot_cache *cache, struct snapshot_entry *entry)
{
    if (--entry->uses == 0)
        list_append(&cache->idle, &entry->node);
}

static void evict(struct snapshot_cache *cache)
{
    while (!list_empty(&cache->idle) && (map_count(cache->entries) > cache->options.entries_max ||
                                         cache->bytes > cache->options.bytes_max))
        snapshot_entry_remove(cache, LIST_OWNER(list_first(&cache->idle), struct snapshot_entry, node));
}

struct snapshot_waiter *snapshot_waiter_create(struct snapshot_cache *cache, struct snapshot_entry *entry,
                                               uint64_t since_sequence, snapshot_ready *ready, void *context)
{
    struct snapshot_waiter *waiter = calloc(1, sizeof(*waiter));
    if (!waiter)
        return NULL;
    waiter->entry = entry;
    waiter->since_sequence = since_sequence;
    waiter->moment = ++cache->moment;
    waiter->ready = ready;
    waiter->context = context;
    snapshot_entry_use(entry);
    return waiter;
}

void snapshot_waiter_destroy(struct snapshot_cache *cache, struct snapshot_waiter *waiter)
{
    list_remove(&waiter->node);
    snapshot_entry_unuse(cache, waiter->entry);
    snapshot_value_release(waiter->value);
    free(waiter);
}

void snapshot_waiter_answer(struct snapshot_cache *cache, struct snapshot_waiter *waiter,
                            enum snapshot_status status, struct snapshot_value *value, uint64_t age_ms)
{
    waiter->status = status;
    waiter->value = snapshot_value_retain(value);
    waiter->age_ms = age_ms;
    list_remove(&waiter->node);
    list_append(&cache->answers, &waiter->node);
}

void snapshot_ready_call(snapshot_ready *ready, void *context, enum snapshot_status status,
                         struct snapshot_value *value, uint64_t age_ms, bool is_hit)
{
    if (!value) {
        ready(context, status, NULL);
        return;
    }
    struct snapshot snapshot = {
        .bytes = value->bytes,
        .length = value->length,
        .etag = value->hash,
        .age_ms = age_ms,
        .hit = is_hit,
        .kind = value->kind,
    };
    /* The callback may come back and replace or drop the value. */
    snapshot_value_retain(value);
    ready(context, status, &snapshot);
    snapshot_value_release(value);
}

void snapshot_answers_give(struct snapshot_cache *cache)
{
    /* What a callback adds by calling back in is given by the loop that called it. */
    if (cache->is_answering)
        return;
    cache->is_answering = true;
    while (!list_empty(&cache->answers)) {
        struct snapshot_waiter *waiter =
            LIST_OWNER(list_first(&cache->answers), struct snapshot_waiter, node);
        struct snapshot_waiter answered = *waiter;
        snapshot_value_retain(answered.value);
        snapshot_waiter_destroy(cache, waiter);
        snapshot_ready_call(answered.ready, answered.context, answered.status, answered.value,
                            answered.age_ms, false);
        snapshot_value_release(answered.value);
    }
    cache->is_answering = false;
    evict(cache);
}
