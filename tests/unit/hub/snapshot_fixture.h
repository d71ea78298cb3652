/* A snapshot cache with a source that remembers what it was asked and a clock that stands still, and short
 * words for what happens. */
#pragma once

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/snapshot_cache.h"

#define TTL 10000
#define TTL_MOVING 2000
#define TTL_IDLE 60000
#define CALLS_MAX 64

/* --- a source that remembers what it was asked, and a clock that stands still --- */

struct call {
    char id[16];
    uint64_t token;
    char value[64]; /* empty: a plain read */
    uint64_t redis_ttl_ms;
    bool only_if_absent;
    bool notify;
};

struct world {
    struct snapshot_cache *cache;
    struct metrics *metrics;
    uint64_t now_ms;
    uint64_t sequence;
    bool refuses;
    size_t load_count;
    struct call loads[CALLS_MAX];
    size_t fetch_count;
    struct call fetches[CALLS_MAX];
};

static inline void copy_text(char *to, size_t size, const char *bytes, size_t length)
{
    cr_assert_lt(length, size);
    memcpy(to, bytes, length);
    to[length] = '\0';
}

static inline bool fake_load(void *context, const char *id, size_t id_length, uint64_t token,
                             const char *value, size_t value_length, uint64_t redis_ttl_ms,
                             bool only_if_absent, bool notify)
{
    struct world *world = context;
    if (world->refuses)
        return false;
    cr_assert_lt(world->load_count, (size_t)CALLS_MAX);
    struct call *call = &world->loads[world->load_count++];
    *call = (struct call){
        .token = token, .redis_ttl_ms = redis_ttl_ms, .only_if_absent = only_if_absent, .notify = notify
    };
    copy_text(call->id, sizeof(call->id), id, id_length);
    if (value)
        copy_text(call->value, sizeof(call->value), value, value_length);
    return true;
}

static inline bool fake_fetch(void *context, const char *id, size_t id_length, uint64_t token)
{
    struct world *world = context;
    if (world->refuses)
        return false;
    cr_assert_lt(world->fetch_count, (size_t)CALLS_MAX);
    struct call *call = &world->fetches[world->fetch_count++];
    *call = (struct call){ .token = token };
    copy_text(call->id, sizeof(call->id), id, id_length);
    return true;
}

static inline struct world *world_create_with(const struct snapshot_cache_options *options)
{
    struct world *world = calloc(1, sizeof(*world));
    cr_assert_not_null(world);
    struct snapshot_source source = { .load = fake_load, .fetch_origin = fake_fetch, .context = world };
    world->metrics = calloc(1, sizeof(*world->metrics));
    cr_assert_not_null(world->metrics);
    world->cache = snapshot_cache_create(options, &source, world->metrics);
    cr_assert_not_null(world->cache);
    world->now_ms = 1000000;
    world->sequence = 100;
    snapshot_cache_feed_up(world->cache);
    return world;
}

static inline struct snapshot_cache_options default_options(void)
{
    return (struct snapshot_cache_options){ .ttl_ms = TTL,
                                            .ttl_moving_ms = TTL_MOVING,
                                            .ttl_idle_ms = TTL_IDLE,
                                            .entries_max = 100,
                                            .bytes_max = 1 << 20 };
}

static inline struct world *world_create(void)
{
    struct snapshot_cache_options options = default_options();
    return world_create_with(&options);
}

static inline struct world *world_create_with_origin(void)
{
    struct snapshot_cache_options options = default_options();
    options.has_origin = true;
    return world_create_with(&options);
}

static inline void world_destroy(struct world *world)
{
    snapshot_cache_destroy(world->cache);
    cr_assert_eq(world->metrics->cache_entries, 0);
    free(world->metrics);
    free(world);
}

/* --- short words for what happens --- */

struct reader {
    int calls;
    enum snapshot_status status;
    char bytes[64];
    bool hit;
    uint64_t age_ms;
    uint64_t etag;
    enum payload_kind kind;
};

static inline void on_ready(void *context, enum snapshot_status status, const struct snapshot *snapshot)
{
    struct reader *reader = context;
    reader->calls++;
    reader->status = status;
    cr_assert_eq(status == SNAPSHOT_FOUND, snapshot != NULL);
    if (!snapshot)
        return;
    copy_text(reader->bytes, sizeof(reader->bytes), snapshot->bytes, snapshot->length);
    reader->hit = snapshot->hit;
    reader->age_ms = snapshot->age_ms;
    reader->etag = snapshot->etag;
    reader->kind = snapshot->kind;
}

static inline void read_id(struct world *world, const char *id, uint64_t since, struct reader *reader)
{
    *reader = (struct reader){ 0 };
    cr_assert(
        snapshot_cache_read(world->cache, id, strlen(id), since, true, world->now_ms, on_ready, reader));
}

static inline void read_plain(struct world *world, struct reader *reader)
{
    read_id(world, "b", 0, reader);
}

static inline void reply_with(struct world *world, size_t load, const char *value, bool tracked, bool fenced)
{
    snapshot_cache_loaded(world->cache, world->loads[load].token, value ? SNAPSHOT_FOUND : SNAPSHOT_ABSENT,
                          value, value ? strlen(value) : 0, tracked, fenced, world->now_ms);
}

static inline void reply(struct world *world, size_t load, const char *value)
{
    reply_with(world, load, value, true, true);
}

static inline void fail(struct world *world, size_t load)
{
    snapshot_cache_loaded(world->cache, world->loads[load].token, SNAPSHOT_UNAVAILABLE, NULL, 0, false, false,
                          world->now_ms);
}

static inline void fence(struct world *world, size_t load)
{
    snapshot_cache_fenced(world->cache, world->loads[load].token, world->sequence, world->now_ms);
}

static inline void live(struct world *world, const char *payload)
{
    snapshot_cache_live(world->cache, "b", 1, payload, strlen(payload),
                        payload_classify(payload, strlen(payload)), ++world->sequence, world->now_ms);
}

static inline void invalidate(struct world *world)
{
    snapshot_cache_invalidated(world->cache, "b", 1, world->sequence);
}

static inline void origin(struct world *world, size_t fetch, enum snapshot_status status, const char *value)
{
    snapshot_cache_origin(world->cache, world->fetches[fetch].token, status, value, value ? strlen(value) : 0,
                          world->now_ms);
}

static inline void check_found(const struct reader *reader, const char *bytes)
{
    cr_assert_eq(reader->calls, 1, "called %d times", reader->calls);
    cr_assert_eq(reader->status, SNAPSHOT_FOUND);
    cr_assert_str_eq(reader->bytes, bytes);
}

static inline void check_status(const struct reader *reader, enum snapshot_status status)
{
    cr_assert_eq(reader->calls, 1, "called %d times", reader->calls);
    cr_assert_eq(reader->status, status);
}

static inline void check_hit(struct world *world, const char *bytes)
{
    struct reader reader;
    size_t loads = world->load_count;
    read_plain(world, &reader);
    check_found(&reader, bytes);
    cr_assert(reader.hit);
    cr_assert_eq(world->load_count, loads);
}

/* Has to ask Redis; the read is ended with `found` (NULL: nil), and what the reader is given returned. */
static inline struct reader read_again(struct world *world, const char *found)
{
    struct reader reader;
    size_t loads = world->load_count;
    read_plain(world, &reader);
    cr_assert_eq(reader.calls, 0);
    cr_assert_eq(world->load_count, loads + 1);
    reply(world, loads, found);
    cr_assert_eq(reader.calls, 0);
    fence(world, loads);
    cr_assert_eq(reader.calls, 1);
    cr_assert(!reader.hit);
    return reader;
}

static inline void fill(struct world *world, const char *value)
{
    struct reader reader = read_again(world, value);
    check_found(&reader, value);
}

#define V1 "{\"v\":1}"
#define V2 "{\"v\":2}"
#define V3 "{\"v\":3}"
#define DONE "{\"status\":\"COMPLETED\"}"
