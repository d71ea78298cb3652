#include "hub/snapshot_state.h"

#include <stdlib.h>
#include <string.h>

/*
 * How long a message is kept against a key that says something not heard of before. Nothing tells whether
 * that is newer (the worker has SET it and is about to PUBLISH it) or older (it has PUBLISHed and is about to
 * SET), but the other half settles it soon. A viewer that joined with an older snapshot would not be told of
 * the newer message any more; with the message it is never behind.
 */
#define DOUBT_MS 250

/* --- values --- */

unsigned snapshot_cache_owner(const char *id, size_t length, unsigned count)
{
    return (unsigned)(snapshot_etag(id, length) % count);
}

/* MurmurHash64A (Austin Appleby, public domain). Not seeded: an ETag is the same from every gateway. */
uint64_t snapshot_etag(const char *bytes, size_t length)
{
    const uint64_t multiplier = UINT64_C(0xc6a4a7935bd1e995);
    uint64_t hash = (uint64_t)length * multiplier;
    while (length > 0) {
        uint64_t word = 0;
        size_t step = length < sizeof(word) ? length : sizeof(word);
        memcpy(&word, bytes, step);
        word *= multiplier;
        word ^= word >> 47;
        hash = (hash ^ word * multiplier) * multiplier;
        bytes += step;
        length -= step;
    }
    hash = (hash ^ hash >> 47) * multiplier;
    return hash ^ hash >> 47;
}

struct snapshot_value *snapshot_value_create(const char *bytes, size_t length, enum payload_kind kind)
{
    struct snapshot_value *value = malloc(sizeof(*value) + length);
    if (!value)
        return NULL;
    value->references = 1;
    value->kind = kind;
    value->hash = snapshot_etag(bytes, length);
    value->length = length;
    if (length > 0)
        memcpy(value->bytes, bytes, length);
    return value;
}

struct snapshot_value *snapshot_value_retain(struct snapshot_value *value)
{
    if (value)
        value->references++;
    return value;
}

void snapshot_value_release(struct snapshot_value *value)
{
    if (value && --value->references == 0)
        free(value);
}

/* --- what came before --- */

static bool is_older(const struct snapshot_state *state, uint64_t hash)
{
    size_t count = state->older_count < SNAPSHOT_OLDER_MAX ? state->older_count : SNAPSHOT_OLDER_MAX;
    for (size_t i = 0; i < count; i++) {
        if (state->older[i] == hash)
            return true;
    }
    return false;
}

static void remember_older(struct snapshot_state *state, uint64_t hash)
{
    if (!is_older(state, hash))
        state->older[state->older_count++ % SNAPSHOT_OLDER_MAX] = hash;
}

/* --- changes --- */

static uint64_t ttl_of(const struct snapshot_state *state, const struct snapshot_cache_options *options,
                       uint64_t now_ms)
{
    if (state->value->kind == PAYLOAD_TERMINAL)
        return options->ttl_idle_ms;
    if (state->is_live)
        return options->ttl_moving_ms;
    return now_ms - state->changed_ms >= options->ttl_idle_ms ? options->ttl_idle_ms : options->ttl_ms;
}

static void refresh(struct snapshot_state *state, const struct snapshot_cache_options *options,
                    uint64_t now_ms)
{
    state->refreshed_ms = now_ms;
    state->expires_ms = now_ms + ttl_of(state, options, now_ms);
}

/* Takes the reference to `value`. */
static void replace(struct snapshot_state *state, struct snapshot_value *value, uint64_t now_ms)
{
    if (value->hash != state->last_hash || state->changed_ms == 0)
        state->changed_ms = now_ms;
    snapshot_value_release(state->value);
    state->value = value;
    state->last_hash = value->hash;
    state->is_known = true;
}

void snapshot_state_live(struct snapshot_state *state, const struct snapshot_cache_options *options,
                         struct snapshot_value *value, uint64_t sequence, uint64_t now_ms)
{
    if (state->value)
        remember_older(state, state->value->hash);
    replace(state, value, now_ms);
    state->is_live = true;
    state->live_sequence = sequence;
    refresh(state, options, now_ms);
}

/* Whether the message that is known stands against what the key says. */
static bool live_wins(struct snapshot_state *state, const struct snapshot_reading *reading, uint64_t now_ms)
{
    bool is_fresh = snapshot_state_is_fresh(state, now_ms);
    if (!state->is_known || !state->is_live)
        return false;
    if (reading->is_fenced && state->live_sequence > reading->fence_sequence) {
        if (reading->found)
            remember_older(state, reading->found->hash);
        return true;
    }
    if (!reading->found)
        return is_fresh;
    if (reading->was_set || reading->found->hash == state->value->hash)
        return false;
    if (is_older(state, reading->found->hash)) {
        if (!is_fresh)
            refresh(state, reading->options, now_ms);
        return true;
    }
    if (!is_fresh)
        return false;
    if (state->expires_ms > now_ms + DOUBT_MS)
        state->expires_ms = now_ms + DOUBT_MS;
    return true;
}

void snapshot_state_read(struct snapshot_state *state, const struct snapshot_reading *reading,
                         uint64_t now_ms)
{
    state->is_tracked = reading->is_tracked && reading->is_fenced;
    if (live_wins(state, reading, now_ms))
        return;
    if (!reading->found) {
        bool is_tracked = state->is_tracked;
        snapshot_state_forget(state);
        state->is_tracked = is_tracked;
        return;
    }
    replace(state, snapshot_value_retain(reading->found), now_ms);
    state->is_live = false;
    /* What was known before is older than this SET; should it be read again, somebody has SET it again. */
    state->older_count = 0;
    refresh(state, reading->options, now_ms);
    uint64_t unfenced_end_ms = now_ms + reading->options->ttl_moving_ms;
    if (!reading->is_fenced && state->expires_ms > unfenced_end_ms)
        state->expires_ms = unfenced_end_ms;
}

void snapshot_state_absent(struct snapshot_state *state, bool is_tracked, uint64_t expires_ms,
                           uint64_t now_ms)
{
    snapshot_state_forget(state);
    state->is_known = true;
    state->is_tracked = is_tracked;
    state->refreshed_ms = now_ms;
    state->expires_ms = expires_ms;
}

void snapshot_state_forget(struct snapshot_state *state)
{
    if (state->value)
        remember_older(state, state->value->hash);
    snapshot_value_release(state->value);
    state->value = NULL;
    state->is_known = false;
    state->is_live = false;
    state->is_tracked = false;
}

void snapshot_state_clear(struct snapshot_state *state)
{
    snapshot_value_release(state->value);
    *state = (struct snapshot_state){ 0 };
}

/* --- questions --- */

bool snapshot_state_is_fresh(const struct snapshot_state *state, uint64_t now_ms)
{
    return state->is_known && now_ms < state->expires_ms;
}

bool snapshot_state_serves(const struct snapshot_state *state, uint64_t since_sequence, bool feed_is_up,
                           uint64_t now_ms)
{
    if (!snapshot_state_is_fresh(state, now_ms))
        return false;
    if (since_sequence == 0)
        return true;
    /* A tracked value holds until the feed says otherwise; a message is known for its own moment only. */
    return feed_is_up && (state->is_tracked || (state->is_live && state->live_sequence > since_sequence));
}
