#include "hub/snapshot_load.h"

#include <stdlib.h>

/* So that requests for a batch that does not exist do not all reach Redis and the origin. */
#define ABSENT_TTL_MS 1000

/* Loads in a row that were overtaken by a change, or came without a fence, before those who wait are told
 * UNAVAILABLE. */
#define ATTEMPTS_MAX 16

/* --- sending --- */

struct snapshot_load *snapshot_load_find(const struct snapshot_cache *cache, uint64_t token)
{
    return map_get(cache->loads, (const char *)&token, sizeof(token));
}

static struct snapshot_load *create_load(struct snapshot_cache *cache, struct snapshot_entry *entry,
                                         enum snapshot_load_purpose purpose)
{
    struct snapshot_load *load = calloc(1, sizeof(*load));
    if (!load)
        return NULL;
    load->token = ++cache->next_token;
    load->purpose = purpose;
    load->entry = entry;
    if (!map_put(cache->loads, (const char *)&load->token, sizeof(load->token), load)) {
        free(load);
        return NULL;
    }
    snapshot_entry_use(entry);
    list_append(&entry->loads, &load->node);
    return load;
}

void snapshot_load_remove(struct snapshot_cache *cache, struct snapshot_load *load)
{
    map_remove(cache->loads, (const char *)&load->token, sizeof(load->token));
    list_remove(&load->node);
    list_remove(&load->ending_node);
    if (load->entry->reading == load)
        load->entry->reading = NULL;
    snapshot_entry_unuse(cache, load->entry);
    snapshot_value_release(load->found);
    snapshot_value_release(load->fetched);
    free(load);
}

static uint64_t redis_ttl_ms(const struct snapshot_cache *cache, enum payload_kind kind)
{
    return kind == PAYLOAD_TERMINAL ? cache->options.ttl_idle_ms : cache->options.ttl_ms;
}

/* False when the source refuses. */
static bool send_load(struct snapshot_cache *cache, struct snapshot_load *load, const char *value,
                      size_t value_length, enum payload_kind kind)
{
    const struct snapshot_source *source = &cache->source;
    const struct snapshot_entry *entry = load->entry;
    if (load->purpose == LOAD_ORIGIN)
        return source->fetch_origin(source->context, entry->id, entry->id_length, load->token);
    return source->load(source->context, entry->id, entry->id_length, load->token, value, value_length,
                        value ? redis_ttl_ms(cache, kind) : 0, load->purpose == LOAD_ORIGIN_STORE,
                        load->purpose == LOAD_STORE);
}

/* Starts what the waiters wait for. `fetched`, if any, is what ORIGIN_STORE stores. */
static bool start_reading(struct snapshot_cache *cache, struct snapshot_entry *entry,
                          enum snapshot_load_purpose purpose, struct snapshot_value *fetched)
{
    struct snapshot_load *load = create_load(cache, entry, purpose);
    if (!load)
        return false;
    entry->reading = load;
    load->fetched = snapshot_value_retain(fetched);
    if (fetched ? send_load(cache, load, fetched->bytes, fetched->length, fetched->kind)
                : send_load(cache, load, NULL, 0, PAYLOAD_OPAQUE))
        return true;
    snapshot_load_remove(cache, load);
    return false;
}

bool snapshot_load_store(struct snapshot_cache *cache, struct snapshot_entry *entry, const char *value,
                         size_t value_length, struct snapshot_waiter *storer)
{
    struct snapshot_load *load = create_load(cache, entry, LOAD_STORE);
    if (!load)
        return false;
    load->storer = storer;
    if (!send_load(cache, load, value, value_length, payload_classify(value, value_length))) {
        snapshot_waiter_answer(cache, storer, SNAPSHOT_UNAVAILABLE, NULL, 0);
        snapshot_load_remove(cache, load);
    }
    return true;
}

/* While the feed is lost, those who need a fence wait for its return. */
static bool can_be_served_now(const struct snapshot_cache *cache, const struct snapshot_waiter *waiter)
{
    return cache->feed_is_up || waiter->since_sequence == 0;
}

static void fail_waiters(struct snapshot_cache *cache, struct snapshot_entry *entry)
{
    struct list *next;
    entry->attempts = 0;
    for (struct list *node = entry->waiters.next; node != &entry->waiters; node = next) {
        struct snapshot_waiter *waiter = LIST_OWNER(node, struct snapshot_waiter, node);
        next = node->next;
        if (can_be_served_now(cache, waiter))
            snapshot_waiter_answer(cache, waiter, SNAPSHOT_UNAVAILABLE, NULL, 0);
    }
}

void snapshot_load_for_waiters(struct snapshot_cache *cache, struct snapshot_entry *entry)
{
    bool is_wanted = false;
    for (struct list *node = entry->waiters.next; node != &entry->waiters && !is_wanted; node = node->next)
        is_wanted = can_be_served_now(cache, LIST_OWNER(node, struct snapshot_waiter, node));
    if (!is_wanted || entry->reading)
        return;
    if (entry->attempts >= ATTEMPTS_MAX || !start_reading(cache, entry, LOAD_READ, NULL))
        fail_waiters(cache, entry);
}

void snapshot_load_for_tracking(struct snapshot_cache *cache, struct snapshot_entry *entry)
{
    if (entry->state.is_known && !entry->state.is_tracked && cache->feed_is_up && cache->tracking_works &&
        list_empty(&entry->loads))
        start_reading(cache, entry, LOAD_READ, NULL);
}

/* --- ending --- */

static bool is_fenced(const struct snapshot_load *load)
{
    return load->fence_seen && !load->fence_lost;
}

/* Whether what this load brought is new enough for the waiter. */
static bool is_read_for(const struct snapshot_cache *cache, const struct snapshot_load *load,
                        const struct snapshot_waiter *waiter)
{
    if (load->is_stale)
        return false;
    if (waiter->since_sequence == 0)
        return true;
    if (!cache->feed_is_up)
        return false;
    if (load->purpose == LOAD_ORIGIN)
        return true;
    if (!is_fenced(load))
        return false;
    return load->fence_sequence > waiter->since_sequence ||
           (load->fence_sequence == waiter->since_sequence && load->fence_moment > waiter->moment);
}

/*
 * Redis does not tell us of our own PUTs, which may have been executed, and published, before the reader's
 * subscription: until they are answered, what is known may be older than what the reader has missed.
 */
bool snapshot_load_known_serves(const struct snapshot_cache *cache, const struct snapshot_entry *entry,
                                const struct snapshot_load *ending, uint64_t since_sequence, uint64_t now_ms)
{
    bool is_stored_meanwhile = false;
    for (const struct list *node = entry->loads.next; node != &entry->loads; node = node->next) {
        const struct snapshot_load *load = LIST_OWNER(node, const struct snapshot_load, node);
        is_stored_meanwhile = is_stored_meanwhile || (load != ending && load->purpose == LOAD_STORE);
    }
    if (since_sequence > 0 && is_stored_meanwhile)
        return false;
    return snapshot_state_serves(&entry->state, since_sequence, cache->feed_is_up, now_ms);
}

/* Answers those for whom the end of this load will do: with what is known, else with what it brought (NULL:
 * absent). */
static void serve_waiters(struct snapshot_cache *cache, const struct snapshot_load *load,
                          struct snapshot_value *brought, uint64_t now_ms)
{
    struct snapshot_state *state = &load->entry->state;
    bool is_known = snapshot_state_is_fresh(state, now_ms);
    struct snapshot_value *value = is_known ? state->value : brought;
    uint64_t age_ms = is_known ? now_ms - state->refreshed_ms : 0;
    struct list *waiters = &load->entry->waiters;
    struct list *next;
    bool is_served = false;
    for (struct list *node = waiters->next; node != waiters; node = next) {
        struct snapshot_waiter *waiter = LIST_OWNER(node, struct snapshot_waiter, node);
        next = node->next;
        if (!is_read_for(cache, load, waiter) &&
            !snapshot_load_known_serves(cache, load->entry, load, waiter->since_sequence, now_ms))
            continue;
        snapshot_waiter_answer(cache, waiter, value ? SNAPSHOT_FOUND : SNAPSHOT_ABSENT, value, age_ms);
        is_served = true;
    }
    load->entry->attempts = is_served || list_empty(waiters) ? 0 : load->entry->attempts + 1;
}

/* Those who cannot be served by what is known all the same are told that it failed. */
static void serve_or_fail(struct snapshot_cache *cache, struct snapshot_load *load, uint64_t now_ms)
{
    load->is_stale = true;
    serve_waiters(cache, load, NULL, now_ms);
    fail_waiters(cache, load->entry);
}

static bool is_wanted_from_origin(const struct snapshot_cache *cache, const struct snapshot_load *load)
{
    const struct list *waiters = &load->entry->waiters;
    if (!cache->options.has_origin || load->purpose != LOAD_READ)
        return false;
    for (const struct list *node = waiters->next; node != waiters; node = node->next) {
        if (is_read_for(cache, load, LIST_OWNER(node, struct snapshot_waiter, node)))
            return true;
    }
    return false;
}

static void learn_absence(struct snapshot_cache *cache, struct snapshot_entry *entry, uint64_t now_ms)
{
    uint64_t ttl_ms = cache->options.ttl_ms < ABSENT_TTL_MS ? cache->options.ttl_ms : ABSENT_TTL_MS;
    snapshot_state_absent(&entry->state, entry->state.is_tracked, now_ms + ttl_ms, now_ms);
    snapshot_entry_count_bytes(cache, entry);
}

/* Takes over what was read, unless its place among the changes is unknown where others are known. */
static void learn(struct snapshot_cache *cache, const struct snapshot_load *load, uint64_t now_ms)
{
    struct snapshot_entry *entry = load->entry;
    struct snapshot_reading reading = {
        .options = &cache->options,
        .found = load->found,
        .is_fenced = is_fenced(load),
        .fence_sequence = load->fence_sequence,
        .is_tracked = load->is_tracked,
        .was_set = load->purpose == LOAD_STORE,
    };
    if (!load->fence_lost)
        cache->tracking_works = reading.is_fenced ? load->is_tracked : !cache->feed_is_up;
    if (!reading.is_fenced && cache->feed_is_up) {
        /* What is known may be what the PUT has replaced, and Redis does not tell us of our own. */
        if (reading.was_set)
            snapshot_state_forget(&entry->state);
        snapshot_entry_count_bytes(cache, entry);
        return;
    }
    snapshot_state_read(&entry->state, &reading, now_ms);
    bool is_final = !cache->options.has_origin || load->purpose == LOAD_ORIGIN_STORE;
    if (!reading.found && is_final && !entry->state.is_known)
        learn_absence(cache, entry, now_ms);
    snapshot_entry_count_bytes(cache, entry);
}

/* Redis would not take what the origin said; those who wait get it nevertheless. */
static void learn_from_origin(struct snapshot_cache *cache, struct snapshot_load *load, uint64_t now_ms)
{
    struct snapshot_reading reading = { .options = &cache->options, .found = load->fetched };
    load->purpose = LOAD_ORIGIN;
    if (!snapshot_state_is_fresh(&load->entry->state, now_ms))
        snapshot_state_read(&load->entry->state, &reading, now_ms);
    snapshot_entry_count_bytes(cache, load->entry);
    serve_waiters(cache, load, load->fetched, now_ms);
}

static void answer_storer(struct snapshot_cache *cache, struct snapshot_load *load)
{
    if (!load->storer)
        return;
    bool is_stored = load->status == SNAPSHOT_FOUND;
    snapshot_waiter_answer(cache, load->storer, is_stored ? SNAPSHOT_FOUND : SNAPSHOT_UNAVAILABLE,
                           load->found, 0);
    load->storer = NULL;
}

void snapshot_load_finish(struct snapshot_cache *cache, struct snapshot_load *load, uint64_t now_ms)
{
    struct snapshot_entry *entry = load->entry;
    bool was_stale = load->is_stale;
    bool is_for_origin = false;

    answer_storer(cache, load);
    if (load->status == SNAPSHOT_UNAVAILABLE) {
        if (load->fetched)
            learn_from_origin(cache, load, now_ms);
        if (entry->reading == load)
            serve_or_fail(cache, load, now_ms);
        was_stale = false;
    } else if (was_stale) {
        serve_waiters(cache, load, NULL, now_ms);
    } else {
        learn(cache, load, now_ms);
        bool is_nil = !load->found && !snapshot_state_is_fresh(&entry->state, now_ms);
        is_for_origin = is_nil && is_wanted_from_origin(cache, load);
        if (!is_for_origin && !(is_nil && load->purpose == LOAD_STORE))
            serve_waiters(cache, load, load->found, now_ms);
    }
    snapshot_load_remove(cache, load);

    if (is_for_origin && !entry->reading && !start_reading(cache, entry, LOAD_ORIGIN, NULL))
        fail_waiters(cache, entry);
    snapshot_load_for_waiters(cache, entry);
    if (was_stale)
        snapshot_load_for_tracking(cache, entry);
}

void snapshot_load_finish_origin(struct snapshot_cache *cache, struct snapshot_load *load,
                                 enum snapshot_status status, struct snapshot_value *value, uint64_t now_ms)
{
    struct snapshot_entry *entry = load->entry;
    if (status == SNAPSHOT_FOUND) {
        if (!start_reading(cache, entry, LOAD_ORIGIN_STORE, value)) {
            load->fetched = snapshot_value_retain(value);
            load->is_stale = false;
            entry->reading = load;
            learn_from_origin(cache, load, now_ms);
        }
    } else if (status == SNAPSHOT_UNAVAILABLE) {
        serve_or_fail(cache, load, now_ms);
    } else {
        if (!load->is_stale && !snapshot_state_is_fresh(&entry->state, now_ms))
            learn_absence(cache, entry, now_ms);
        serve_waiters(cache, load, NULL, now_ms);
    }
    snapshot_load_remove(cache, load);
    snapshot_load_for_waiters(cache, entry);
}

void snapshot_loads_end_unfenced(struct snapshot_cache *cache, uint64_t now_ms)
{
    struct list ending;
    struct snapshot_load *load;
    size_t cursor = 0;
    list_init(&ending);
    while ((load = map_next(cache->loads, &cursor))) {
        load->fence_lost = true;
        if (load->has_reply)
            list_append(&ending, &load->ending_node);
    }
    while (!list_empty(&ending))
        snapshot_load_finish(cache, LIST_OWNER(list_first(&ending), struct snapshot_load, ending_node),
                             now_ms);
}
