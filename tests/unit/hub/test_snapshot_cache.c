#include "hub/snapshot_cache.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void copy_text(char *to, size_t size, const char *bytes, size_t length)
{
    cr_assert_lt(length, size);
    memcpy(to, bytes, length);
    to[length] = '\0';
}

static bool fake_load(void *context, const char *id, size_t id_length, uint64_t token, const char *value,
                      size_t value_length, uint64_t redis_ttl_ms, bool only_if_absent, bool notify)
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

static bool fake_fetch(void *context, const char *id, size_t id_length, uint64_t token)
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

static struct world *world_create_with(const struct snapshot_cache_options *options)
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

static struct snapshot_cache_options default_options(void)
{
    return (struct snapshot_cache_options){ .ttl_ms = TTL,
                                            .ttl_moving_ms = TTL_MOVING,
                                            .ttl_idle_ms = TTL_IDLE,
                                            .entries_max = 100,
                                            .bytes_max = 1 << 20 };
}

static struct world *world_create(void)
{
    struct snapshot_cache_options options = default_options();
    return world_create_with(&options);
}

static struct world *world_create_with_origin(void)
{
    struct snapshot_cache_options options = default_options();
    options.has_origin = true;
    return world_create_with(&options);
}

static void world_destroy(struct world *world)
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

static void on_ready(void *context, enum snapshot_status status, const struct snapshot *snapshot)
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

static void read_id(struct world *world, const char *id, uint64_t since, struct reader *reader)
{
    *reader = (struct reader){ 0 };
    cr_assert(
        snapshot_cache_read(world->cache, id, strlen(id), since, true, world->now_ms, on_ready, reader));
}

static void read_plain(struct world *world, struct reader *reader)
{
    read_id(world, "b", 0, reader);
}

static void reply_with(struct world *world, size_t load, const char *value, bool tracked, bool fenced)
{
    snapshot_cache_loaded(world->cache, world->loads[load].token, value ? SNAPSHOT_FOUND : SNAPSHOT_ABSENT,
                          value, value ? strlen(value) : 0, tracked, fenced, world->now_ms);
}

static void reply(struct world *world, size_t load, const char *value)
{
    reply_with(world, load, value, true, true);
}

static void fail(struct world *world, size_t load)
{
    snapshot_cache_loaded(world->cache, world->loads[load].token, SNAPSHOT_UNAVAILABLE, NULL, 0, false, false,
                          world->now_ms);
}

static void fence(struct world *world, size_t load)
{
    snapshot_cache_fenced(world->cache, world->loads[load].token, world->sequence, world->now_ms);
}

static void live(struct world *world, const char *payload)
{
    snapshot_cache_live(world->cache, "b", 1, payload, strlen(payload),
                        payload_classify(payload, strlen(payload)), ++world->sequence, world->now_ms);
}

static void invalidate(struct world *world)
{
    snapshot_cache_invalidated(world->cache, "b", 1, world->sequence);
}

static void origin(struct world *world, size_t fetch, enum snapshot_status status, const char *value)
{
    snapshot_cache_origin(world->cache, world->fetches[fetch].token, status, value, value ? strlen(value) : 0,
                          world->now_ms);
}

static void check_found(const struct reader *reader, const char *bytes)
{
    cr_assert_eq(reader->calls, 1, "called %d times", reader->calls);
    cr_assert_eq(reader->status, SNAPSHOT_FOUND);
    cr_assert_str_eq(reader->bytes, bytes);
}

static void check_status(const struct reader *reader, enum snapshot_status status)
{
    cr_assert_eq(reader->calls, 1, "called %d times", reader->calls);
    cr_assert_eq(reader->status, status);
}

static void check_hit(struct world *world, const char *bytes)
{
    struct reader reader;
    size_t loads = world->load_count;
    read_plain(world, &reader);
    check_found(&reader, bytes);
    cr_assert(reader.hit);
    cr_assert_eq(world->load_count, loads);
}

/* Has to ask Redis; the read is ended with `found` (NULL: nil), and what the reader is given returned. */
static struct reader read_again(struct world *world, const char *found)
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

static void fill(struct world *world, const char *value)
{
    struct reader reader = read_again(world, value);
    check_found(&reader, value);
}

#define V1 "{\"v\":1}"
#define V2 "{\"v\":2}"
#define V3 "{\"v\":3}"
#define DONE "{\"status\":\"COMPLETED\"}"

/* --- reading --- */

Test(snapshot_cache, a_miss_then_hits)
{
    struct world *world = world_create();
    struct reader reader = read_again(world, V1);
    check_found(&reader, V1);
    cr_assert_eq(reader.kind, PAYLOAD_OBJECT);
    cr_assert_eq(reader.age_ms, 0);
    uint64_t etag = reader.etag;

    world->now_ms += 3000;
    read_plain(world, &reader);
    check_found(&reader, V1);
    cr_assert(reader.hit);
    cr_assert_eq(reader.age_ms, 3000);
    cr_assert_eq(reader.etag, etag);
    cr_assert_eq(world->metrics->cache_hits, 1);
    cr_assert_eq(world->metrics->cache_misses, 1);
    cr_assert_eq(world->metrics->cache_entries, 1);
    world_destroy(world);
}

Test(snapshot_cache, the_fence_may_come_first)
{
    struct world *world = world_create();
    struct reader reader;
    read_plain(world, &reader);
    fence(world, 0);
    cr_assert_eq(reader.calls, 0);
    reply(world, 0, V1);
    check_found(&reader, V1);
    check_hit(world, V1);
    world_destroy(world);
}

Test(snapshot_cache, one_load_for_all_who_wait)
{
    struct world *world = world_create();
    struct reader readers[100];
    for (size_t i = 0; i < 100; i++)
        read_id(world, "b", i % 2 ? world->sequence : 0, &readers[i]);
    cr_assert_eq(world->load_count, 1);
    cr_assert_str_eq(world->loads[0].id, "b");
    cr_assert_str_empty(world->loads[0].value);
    reply(world, 0, V1);
    fence(world, 0);
    for (size_t i = 0; i < 100; i++)
        check_found(&readers[i], V1);
    cr_assert_eq(world->metrics->cache_misses, 100);
    world_destroy(world);
}

Test(snapshot_cache, only_counted_reads_count)
{
    struct world *world = world_create();
    struct reader reader = { 0 };
    cr_assert(snapshot_cache_read(world->cache, "b", 1, 0, false, world->now_ms, on_ready, &reader));
    reply(world, 0, V1);
    fence(world, 0);
    cr_assert(snapshot_cache_read(world->cache, "b", 1, 0, false, world->now_ms, on_ready, &reader));
    cr_assert_eq(reader.calls, 2);
    cr_assert_eq(world->metrics->cache_hits + world->metrics->cache_misses, 0);
    world_destroy(world);
}

Test(snapshot_cache, a_joining_viewer_needs_a_fence_behind_its_subscription)
{
    struct world *world = world_create();
    struct reader early, late;
    read_id(world, "b", 100, &early);
    fence(world, 0); /* at 100, and after `early` asked */
    read_id(world, "b", 100,
            &late); /* its subscription was confirmed behind this fence, at the same sequence */
    reply_with(world, 0, V1, false, true);
    check_found(&early, V1);
    cr_assert_eq(late.calls, 0);
    cr_assert_eq(world->load_count, 2);
    reply_with(world, 1, V2, false, true);
    fence(world, 1);
    check_found(&late, V2);
    world_destroy(world);
}

Test(snapshot_cache, a_tracked_value_is_good_for_joining_viewers)
{
    struct world *world = world_create();
    struct reader reader;
    fill(world, V1);
    world->sequence += 50;
    read_id(world, "b", world->sequence, &reader);
    check_found(&reader, V1);
    cr_assert(reader.hit);
    world_destroy(world);
}

Test(snapshot_cache, an_untracked_value_is_for_plain_reads_only)
{
    struct world *world = world_create();
    struct reader reader;
    read_plain(world, &reader);
    reply_with(world, 0, V1, false, true);
    fence(world, 0);
    check_hit(world, V1);
    read_id(world, "b", world->sequence, &reader);
    cr_assert_eq(reader.calls, 0);
    cr_assert_eq(world->load_count, 2);
    world_destroy(world);
}

Test(snapshot_cache, a_sequence_from_the_future_ends)
{
    struct world *world = world_create();
    struct reader reader;
    read_id(world, "b", 1000000, &reader);
    for (size_t load = 0; load < CALLS_MAX && reader.calls == 0; load++) {
        reply_with(world, load, V1, false, true);
        fence(world, load);
    }
    check_status(&reader, SNAPSHOT_UNAVAILABLE);
    world_destroy(world);
}

/* --- the table --- */

Test(snapshot_cache, a_message_behind_the_fence_is_newer_than_the_reply)
{
    struct world *world = world_create();
    struct reader reader;
    read_plain(world, &reader);
    fence(world, 0);
    live(world, V2);
    cr_assert_eq(reader.calls, 0); /* never from inside live() */
    reply(world, 0, V1);
    check_found(&reader, V2);
    world->now_ms += TTL_MOVING - 1;
    check_hit(world, V2);

    live(world, V1);
    struct reader storer = { 0 };
    cr_assert(snapshot_cache_store(world->cache, "b", 1, V2, strlen(V2), world->now_ms, on_ready, &storer));
    fence(world, 1);
    live(world, V3);
    reply(world, 1, V2);
    check_found(&storer, V2);
    check_hit(world, V3);
    world_destroy(world);
}

Test(snapshot_cache, nil_behind_a_message_leaves_the_message)
{
    struct world *world = world_create();
    struct reader reader;
    read_plain(world, &reader);
    live(world, V1);
    fence(world, 0);
    reply(world, 0, NULL);
    check_found(&reader, V1);
    check_hit(world, V1);
    world->now_ms += TTL_MOVING;
    reader = read_again(world, NULL);
    check_status(&reader, SNAPSHOT_ABSENT);
    world_destroy(world);
}

Test(snapshot_cache, a_message_is_newer_than_a_key_that_has_not_changed)
{
    struct world *world = world_create();
    struct reader reader;
    fill(world, V1);
    live(world, V2);
    check_hit(world, V2);
    world->now_ms += TTL_MOVING; /* read anew, although tracked */
    reader = read_again(world, V1);
    check_found(&reader, V2);
    check_hit(world, V2);
    world_destroy(world);
}

Test(snapshot_cache, a_key_that_has_changed_is_newer_than_a_message)
{
    struct world *world = world_create();
    fill(world, V1);
    live(world, V2);
    invalidate(world);
    fill(world, V3);
    check_hit(world, V3);
    world_destroy(world);
}

Test(snapshot_cache, a_key_that_is_gone_takes_the_message_with_it)
{
    struct world *world = world_create();
    fill(world, V1);
    live(world, V2);
    invalidate(world); /* DEL */
    struct reader reader = read_again(world, NULL);
    check_status(&reader, SNAPSHOT_ABSENT);
    world_destroy(world);
}

Test(snapshot_cache, an_earlier_message_in_the_key_is_older_than_the_newest)
{
    /* PUBLISH 1, SET 1, PUBLISH 2, our GET, SET 2. */
    struct world *world = world_create();
    fill(world, "{}");
    live(world, V1);
    invalidate(world);
    live(world, V2);
    cr_assert_eq(world->load_count, 2);
    reply(world, 1, V1);
    fence(world, 1);
    check_hit(world, V2);
    invalidate(world);
    fill(world, V2);
    world_destroy(world);
}

Test(snapshot_cache, something_unknown_in_the_key_wins_if_nothing_else_comes)
{
    /* SET 2, PUBLISH 2, SET 3, our GET: PUBLISH 3 follows, or never. Or 3 is old and SET 2 follows. */
    struct world *world = world_create();
    struct reader reader;
    fill(world, V1);
    invalidate(world);
    live(world, V2);
    reply(world, 1, V3);
    fence(world, 1);
    world->now_ms += 249;
    check_hit(world, V2);
    world->now_ms += 1;
    reader = read_again(world, V3);
    check_found(&reader, V3);
    check_hit(world, V3);
    world_destroy(world);
}

Test(snapshot_cache, an_opaque_message_changes_nothing)
{
    struct world *world = world_create();
    live(world, "tick");
    live(world, "[1]");
    cr_assert_eq(world->metrics->cache_entries, 0);
    fill(world, V1);
    live(world, "tick");
    check_hit(world, V1);
    world_destroy(world);
}

/* --- invalidation --- */

Test(snapshot_cache, an_invalidation_is_seen_at_once)
{
    struct world *world = world_create();
    fill(world, V1);
    invalidate(world);
    cr_assert_eq(world->load_count, 1); /* nobody waits */
    fill(world, V2);
    snapshot_cache_invalidated(world->cache, NULL, 0, world->sequence);
    fill(world, V3);
    snapshot_cache_invalidated(world->cache, "other", 5, world->sequence);
    check_hit(world, V3);
    cr_assert_eq(world->metrics->cache_invalidations, 2);
    world_destroy(world);
}

Test(snapshot_cache, an_invalidation_before_the_fence_is_in_the_reply)
{
    for (int reply_first = 0; reply_first < 2; reply_first++) {
        struct world *world = world_create();
        struct reader reader;
        read_plain(world, &reader);
        if (reply_first)
            reply(world, 0, V1);
        invalidate(world);
        fence(world, 0);
        if (!reply_first)
            reply(world, 0, V1);
        check_found(&reader, V1);
        check_hit(world, V1);
        world_destroy(world);
    }
}

Test(snapshot_cache, an_invalidation_behind_the_fence_loads_again)
{
    struct world *world = world_create();
    struct reader reader;
    read_plain(world, &reader);
    fence(world, 0);
    invalidate(world);
    reply(world, 0, V1);
    cr_assert_eq(reader.calls, 0);
    cr_assert_eq(world->load_count, 2);
    reply(world, 1, V2);
    fence(world, 1);
    check_found(&reader, V2);
    check_hit(world, V2);
    world_destroy(world);
}

Test(snapshot_cache, a_message_behind_the_invalidation_serves_and_is_tracked_again)
{
    struct world *world = world_create();
    struct reader reader;
    read_plain(world, &reader);
    fence(world, 0);
    invalidate(world);
    live(world, V2);
    reply(world, 0, V1);
    check_found(&reader, V2);
    cr_assert_eq(world->load_count, 2); /* to be told of changes again */
    check_hit(world, V2);
    reply(world, 1, V2);
    fence(world, 1);
    check_hit(world, V2);
    world_destroy(world);
}

Test(snapshot_cache, one_load_tracks_again_while_the_message_is_served)
{
    struct world *world = world_create();
    fill(world, V1);
    invalidate(world);
    live(world, V2);
    live(world, V3);
    cr_assert_eq(world->load_count, 2);
    check_hit(world, V3);
    struct reader joining;
    read_id(world, "b", world->sequence, &joining);
    cr_assert_eq(joining.calls, 0); /* a SET since the message would not have been heard of */
    reply(world, 1, V3);
    fence(world, 1);
    check_found(&joining, V3);
    cr_assert_eq(world->load_count, 2);
    world_destroy(world);
}

Test(snapshot_cache, without_tracking_messages_do_not_load)
{
    struct world *world = world_create();
    struct reader reader;
    read_plain(world, &reader);
    reply_with(world, 0, V1, false, true);
    fence(world, 0);
    for (int i = 0; i < 10; i++)
        live(world, V2);
    cr_assert_eq(world->load_count, 1);
    world_destroy(world);
}

Test(snapshot_cache, endless_changes_end_in_unavailable)
{
    struct world *world = world_create();
    struct reader reader;
    read_plain(world, &reader);
    for (size_t load = 0; load < CALLS_MAX && reader.calls == 0; load++) {
        fence(world, load);
        invalidate(world);
        reply(world, load, V1);
    }
    check_status(&reader, SNAPSHOT_UNAVAILABLE);
    size_t loads = world->load_count;
    read_plain(world, &reader);
    cr_assert_eq(world->load_count, loads + 1); /* and the next one starts afresh */
    world_destroy(world);
}

/* --- time --- */

static void check_lives(struct world *world, const char *bytes, uint64_t ttl_ms)
{
    struct reader reader;
    world->now_ms += ttl_ms - 1;
    check_hit(world, bytes);
    world->now_ms += 1;
    size_t loads = world->load_count;
    read_plain(world, &reader);
    cr_assert_eq(world->load_count, loads + 1);
    reply(world, loads, bytes);
    fence(world, loads);
    check_found(&reader, bytes);
}

Test(snapshot_cache, times_to_live)
{
    struct world *world = world_create();
    fill(world, V1);
    check_lives(world, V1, TTL);
    live(world, V2);
    check_lives(world, V2, TTL_MOVING);
    live(world, DONE);
    check_lives(world, DONE, TTL_IDLE);
    check_lives(world, DONE, TTL_IDLE);
    world_destroy(world);
}

Test(snapshot_cache, what_has_not_changed_for_long_lives_longer)
{
    struct world *world = world_create();
    fill(world, V1);
    for (int i = 0; i < TTL_IDLE / TTL; i++) {
        check_lives(world, V1, TTL);
        snapshot_cache_sweep(world->cache, world->now_ms);
    }
    check_lives(world, V1, TTL_IDLE);
    world->now_ms += TTL_IDLE;
    fill(world, V2);
    check_lives(world, V2, TTL);
    world_destroy(world);
}

Test(snapshot_cache, the_sweep_drops_what_is_over_and_not_read)
{
    struct world *world = world_create();
    struct reader reader;
    fill(world, V1);
    world->now_ms += TTL - 1;
    snapshot_cache_sweep(world->cache, world->now_ms);
    cr_assert_eq(world->metrics->cache_entries, 1);
    world->now_ms += 1;
    snapshot_cache_sweep(world->cache, world->now_ms);
    cr_assert_eq(world->metrics->cache_entries, 0);

    read_plain(world, &reader);
    world->now_ms += 10 * TTL_IDLE;
    snapshot_cache_sweep(world->cache, world->now_ms); /* somebody waits */
    reply(world, 1, V1);
    fence(world, 1);
    check_found(&reader, V1);
    world_destroy(world);
}

Test(snapshot_cache, absence_is_known_for_a_second)
{
    struct world *world = world_create();
    struct reader reader = read_again(world, NULL);
    check_status(&reader, SNAPSHOT_ABSENT);
    world->now_ms += 999;
    read_plain(world, &reader);
    check_status(&reader, SNAPSHOT_ABSENT);
    world->now_ms += 1;
    reader = read_again(world, NULL);
    check_status(&reader, SNAPSHOT_ABSENT);

    invalidate(world); /* SET */
    fill(world, V1);
    invalidate(world);
    reader = read_again(world, NULL);
    live(world, V2);
    check_hit(world, V2);
    world_destroy(world);
}

/* --- the feed comes and goes --- */

Test(snapshot_cache, while_the_feed_is_lost_values_serve_plain_reads)
{
    struct world *world = world_create();
    struct reader reader;
    fill(world, V1);
    snapshot_cache_feed_down(world->cache, world->now_ms);
    check_hit(world, V1);
    read_id(world, "b", world->sequence, &reader);
    cr_assert_eq(reader.calls, 0);
    cr_assert_eq(world->load_count, 1); /* what needs a fence waits for the feed */

    snapshot_cache_feed_up(world->cache);
    cr_assert_eq(world->load_count, 2);
    reply(world, 1, V2);
    fence(world, 1);
    check_found(&reader, V2);
    check_hit(world, V2);
    world_destroy(world);
}

Test(snapshot_cache, a_load_without_a_fence_serves_and_is_kept_shortly)
{
    struct world *world = world_create();
    struct reader plain, joining;
    snapshot_cache_feed_down(world->cache, world->now_ms);
    read_plain(world, &plain);
    read_id(world, "b", world->sequence, &joining);
    cr_assert_eq(world->load_count, 1);
    reply_with(world, 0, V1, false, false);
    check_found(&plain, V1);
    cr_assert_eq(joining.calls, 0);
    cr_assert_eq(world->load_count, 1);

    world->now_ms += TTL_MOVING - 1;
    check_hit(world, V1);
    world->now_ms += 1;
    read_plain(world, &plain);
    cr_assert_eq(world->load_count, 2);
    fail(world, 1);
    check_status(&plain, SNAPSHOT_UNAVAILABLE);
    cr_assert_eq(joining.calls, 0); /* its own load is still to come */

    snapshot_cache_feed_up(world->cache);
    reply(world, 2, V2);
    fence(world, 2);
    check_found(&joining, V2);
    world_destroy(world);
}

Test(snapshot_cache, loads_whose_fence_is_lost_end_without)
{
    struct world *world = world_create();
    struct reader plain, joining;
    read_plain(world, &plain);
    read_id(world, "b", world->sequence, &joining);
    reply(world, 0, V1);
    snapshot_cache_feed_down(world->cache, world->now_ms); /* the fence was on its way */
    check_found(&plain, V1);
    cr_assert_eq(joining.calls, 0);
    fence(world, 0); /* out of nowhere */
    snapshot_cache_feed_up(world->cache);
    cr_assert_eq(world->load_count, 2);
    reply(world, 1, V2);
    fence(world, 1);
    check_found(&joining, V2);
    world_destroy(world);
}

Test(snapshot_cache, a_reply_from_before_the_feed_came_back_is_not_kept)
{
    struct world *world = world_create();
    struct reader plain, joining;
    read_plain(world, &plain);
    read_id(world, "b", world->sequence, &joining);
    fence(world, 0);
    snapshot_cache_feed_down(world->cache, world->now_ms);
    snapshot_cache_feed_up(world->cache);
    reply(world, 0, V1);
    check_found(&plain, V1);
    cr_assert_eq(joining.calls, 0);
    cr_assert_eq(world->load_count, 2);
    read_plain(world, &plain);
    cr_assert_eq(plain.calls, 0); /* V1 may be out of date */
    reply(world, 1, V2);
    fence(world, 1);
    check_found(&plain, V2);
    check_found(&joining, V2);
    world_destroy(world);
}

Test(snapshot_cache, a_feed_that_never_brings_fences_is_an_error_for_viewers)
{
    struct world *world = world_create();
    struct reader reader;
    read_id(world, "b", world->sequence, &reader);
    for (size_t load = 0; load < CALLS_MAX && reader.calls == 0; load++)
        reply_with(world, load, V1, false, false);
    check_status(&reader, SNAPSHOT_UNAVAILABLE);
    world_destroy(world);
}

/* --- failures and cancelling --- */

Test(snapshot_cache, a_failed_load_fails_those_who_wait)
{
    struct world *world = world_create();
    struct reader plain, joining;
    read_plain(world, &plain);
    read_id(world, "b", world->sequence, &joining);
    fail(world, 0);
    check_status(&plain, SNAPSHOT_UNAVAILABLE);
    check_status(&joining, SNAPSHOT_UNAVAILABLE);
    fence(world, 0); /* the transaction may have been executed all the same */
    fail(world, 0);
    fill(world, V1);

    invalidate(world);
    live(world, V2);
    fail(world, 2);
    check_hit(world, V2); /* tracked or not */
    world_destroy(world);
}

Test(snapshot_cache, a_source_that_refuses_is_an_answer_too)
{
    struct world *world = world_create();
    struct reader reader = { 0 };
    world->refuses = true;
    read_plain(world, &reader);
    check_status(&reader, SNAPSHOT_UNAVAILABLE);
    reader.calls = 0;
    cr_assert(snapshot_cache_store(world->cache, "b", 1, V1, strlen(V1), world->now_ms, on_ready, &reader));
    check_status(&reader, SNAPSHOT_UNAVAILABLE);
    world->refuses = false;
    fill(world, V1);
    world_destroy(world);
}

Test(snapshot_cache, cancelled_readers_are_not_called)
{
    struct world *world = world_create();
    struct reader first, second;
    read_plain(world, &first);
    read_plain(world, &second);
    snapshot_cache_cancel(world->cache, "b", 1, &first);
    snapshot_cache_cancel(world->cache, "other", 5, &second);
    reply(world, 0, V1);
    fence(world, 0);
    cr_assert_eq(first.calls, 0);
    check_found(&second, V1);

    invalidate(world);
    read_plain(world, &first);
    snapshot_cache_cancel(world->cache, "b", 1, &first);
    reply(world, 1, V2);
    fence(world, 1);
    cr_assert_eq(first.calls, 0);
    check_hit(world, V2);
    world_destroy(world);
}

Test(snapshot_cache, the_end_answers_everybody)
{
    struct world *world = world_create_with_origin();
    struct reader readers[4];
    read_id(world, "a", 0, &readers[0]);
    read_id(world, "a", world->sequence, &readers[1]);
    read_id(world, "c", 0, &readers[2]);
    reply(world, 0, V1); /* its fence never comes */
    readers[3] = (struct reader){ 0 };
    cr_assert(
        snapshot_cache_store(world->cache, "d", 1, V1, strlen(V1), world->now_ms, on_ready, &readers[3]));
    world_destroy(world);
    for (size_t i = 0; i < 4; i++)
        check_status(&readers[i], SNAPSHOT_UNAVAILABLE);
}

struct re_entrant {
    struct world *world;
    struct reader other;
    int calls;
};

static void on_ready_come_back(void *context, enum snapshot_status status, const struct snapshot *snapshot)
{
    struct re_entrant *self = context;
    cr_assert_eq(status, SNAPSHOT_FOUND);
    self->calls++;
    snapshot_cache_cancel(self->world->cache, "b", 1, &self->other);
    snapshot_cache_drop(self->world->cache, "b", 1);
    cr_assert_eq(snapshot->length, strlen(V1));
    cr_assert_arr_eq(snapshot->bytes, V1, snapshot->length);
    if (self->calls < 3)
        cr_assert(snapshot_cache_read(self->world->cache, "b", 1, 0, true, self->world->now_ms,
                                      on_ready_come_back, self));
}

Test(snapshot_cache, callbacks_may_come_back)
{
    struct world *world = world_create();
    struct re_entrant self = { .world = world };
    cr_assert(snapshot_cache_read(world->cache, "b", 1, 0, true, world->now_ms, on_ready_come_back, &self));
    read_plain(world, &self.other);
    reply(world, 0, V1);
    fence(world, 0);
    cr_assert_eq(self.calls, 1);
    reply(world, 1, V1);
    fence(world, 1);
    cr_assert_eq(self.calls, 2);
    reply(world, 2, V1);
    fence(world, 2);
    cr_assert_eq(self.calls, 3);
    cr_assert_eq(self.other.calls, 0);

    fill(world, V1);
    self.calls = 2; /* a hit, from inside read() */
    cr_assert(snapshot_cache_read(world->cache, "b", 1, 0, true, world->now_ms, on_ready_come_back, &self));
    cr_assert_eq(self.calls, 3);
    world_destroy(world);
}

/* --- PUT and DELETE --- */

static void put(struct world *world, const char *value, struct reader *reader)
{
    *reader = (struct reader){ 0 };
    cr_assert(
        snapshot_cache_store(world->cache, "b", 1, value, strlen(value), world->now_ms, on_ready, reader));
}

Test(snapshot_cache, put_stores_notifies_and_fills)
{
    struct world *world = world_create();
    struct reader reader;
    put(world, V1, &reader);
    cr_assert_str_eq(world->loads[0].value, V1);
    cr_assert_eq(world->loads[0].redis_ttl_ms, (uint64_t)TTL);
    cr_assert(!world->loads[0].only_if_absent);
    cr_assert(world->loads[0].notify);
    live(world, V1); /* what it PUBLISHes comes before its fence */
    reply(world, 0, V1);
    cr_assert_eq(reader.calls, 0);
    fence(world, 0);
    check_found(&reader, V1);
    cr_assert_eq(world->load_count, 1);
    check_hit(world, V1);

    put(world, DONE, &reader);
    cr_assert_eq(world->loads[1].redis_ttl_ms, (uint64_t)TTL_IDLE);
    fail(world, 1);
    check_status(&reader, SNAPSHOT_UNAVAILABLE);
    world_destroy(world);
}

Test(snapshot_cache, put_is_newer_than_all_before_it)
{
    struct world *world = world_create();
    struct reader reader, waiting;
    fill(world, V1);
    live(world, V2);
    check_hit(world, V2);
    put(world, V1, &reader); /* the same as the older one */
    reply(world, 1, V1);
    fence(world, 1);
    check_found(&reader, V1);
    check_hit(world, V1);

    invalidate(world);
    read_plain(world, &waiting);
    put(world, V3, &reader);
    fence(world, 2);
    reply(world, 2, V1);
    check_found(&waiting, V1);
    check_hit(world, V1);
    fence(world, 3);
    reply(world, 3, V3);
    check_found(&reader, V3);
    check_hit(world, V3);
    world_destroy(world);
}

Test(snapshot_cache, put_without_a_feed_is_answered_by_its_reply)
{
    struct world *world = world_create();
    struct reader reader;
    snapshot_cache_feed_down(world->cache, world->now_ms);
    put(world, V1, &reader);
    reply_with(world, 0, V1, false, false);
    check_found(&reader, V1);
    check_hit(world, V1);
    put(world, V2, &reader);
    snapshot_cache_cancel(world->cache, "b", 1, &reader);
    reply_with(world, 1, V2, false, false);
    cr_assert_eq(reader.calls, 0);
    check_hit(world, V2);
    world_destroy(world);
}

Test(snapshot_cache, what_was_read_before_a_drop_does_not_come_back)
{
    for (int fence_seen = 0; fence_seen < 2; fence_seen++) {
        struct world *world = world_create();
        struct reader reader;
        read_plain(world, &reader);
        if (fence_seen)
            fence(world, 0);
        snapshot_cache_drop(world->cache, "b", 1);
        reply(world, 0, V1);
        if (!fence_seen)
            fence(world, 0);
        cr_assert_eq(reader.calls, 0);
        cr_assert_eq(world->load_count, 2);
        reply(world, 1, NULL);
        fence(world, 1);
        check_status(&reader, SNAPSHOT_ABSENT);
        world_destroy(world);
    }
}

Test(snapshot_cache, a_drop_forgets)
{
    struct world *world = world_create();
    struct reader reader;
    fill(world, V1);
    live(world, V2);
    snapshot_cache_drop(world->cache, "b", 1);
    snapshot_cache_drop(world->cache, "other", 5);
    reader = read_again(world, NULL);
    check_status(&reader, SNAPSHOT_ABSENT);
    world_destroy(world);
}

/* --- the origin --- */

Test(snapshot_cache, the_origin_is_asked_once_and_redis_told)
{
    struct world *world = world_create_with_origin();
    struct reader plain, joining, late;
    read_plain(world, &plain);
    read_id(world, "b", world->sequence, &joining);
    reply(world, 0, NULL);
    fence(world, 0);
    read_plain(world, &late);
    cr_assert_eq(world->fetch_count, 1);
    cr_assert_str_eq(world->fetches[0].id, "b");
    cr_assert_eq(world->load_count, 1);

    origin(world, 0, SNAPSHOT_FOUND, DONE);
    cr_assert_eq(world->load_count, 2);
    cr_assert_str_eq(world->loads[1].value, DONE);
    cr_assert(world->loads[1].only_if_absent);
    cr_assert(!world->loads[1].notify);
    cr_assert_eq(world->loads[1].redis_ttl_ms, (uint64_t)TTL_IDLE);
    fence(world, 1);
    reply(world, 1, V2); /* somebody else was faster */
    check_found(&plain, V2);
    check_found(&joining, V2);
    check_found(&late, V2);
    check_hit(world, V2);
    cr_assert_eq(world->fetch_count, 1);
    world_destroy(world);
}

Test(snapshot_cache, what_the_origin_does_not_know_is_absent)
{
    struct world *world = world_create_with_origin();
    struct reader plain, joining;
    read_plain(world, &plain);
    read_id(world, "b", world->sequence, &joining);
    reply(world, 0, NULL);
    fence(world, 0);
    origin(world, 0, SNAPSHOT_ABSENT, NULL);
    check_status(&plain, SNAPSHOT_ABSENT);
    check_status(&joining, SNAPSHOT_ABSENT);
    read_plain(world, &plain);
    check_status(&plain, SNAPSHOT_ABSENT);
    cr_assert_eq(world->fetch_count, 1);
    world->now_ms += 1000;
    read_plain(world, &plain);
    cr_assert_eq(world->load_count, 2);
    world_destroy(world);
}

Test(snapshot_cache, an_origin_that_fails_is_unavailable)
{
    struct world *world = world_create_with_origin();
    struct reader reader;
    read_plain(world, &reader);
    reply(world, 0, NULL);
    fence(world, 0);
    origin(world, 0, SNAPSHOT_UNAVAILABLE, NULL);
    check_status(&reader, SNAPSHOT_UNAVAILABLE);

    read_plain(world, &reader);
    world->refuses = true;
    fence(world, 1);
    reply(world, 1, NULL);
    check_status(&reader, SNAPSHOT_UNAVAILABLE);
    world_destroy(world);
}

Test(snapshot_cache, the_origin_serves_when_redis_takes_nothing)
{
    for (int refuses = 0; refuses < 2; refuses++) {
        struct world *world = world_create_with_origin();
        struct reader plain, joining;
        read_plain(world, &plain);
        read_id(world, "b", world->sequence, &joining);
        reply(world, 0, NULL);
        fence(world, 0);
        world->refuses = refuses;
        origin(world, 0, SNAPSHOT_FOUND, V1);
        if (!refuses)
            fail(world, 1); /* READONLY, OOM */
        check_found(&plain, V1);
        check_found(&joining, V1);
        world->now_ms += TTL_MOVING - 1;
        check_hit(world, V1);
        world_destroy(world);
    }
}

Test(snapshot_cache, what_happens_while_the_origin_is_asked_counts)
{
    struct world *world = world_create_with_origin();
    struct reader reader;
    read_plain(world, &reader);
    reply(world, 0, NULL);
    fence(world, 0);
    invalidate(world); /* SET */
    origin(world, 0, SNAPSHOT_ABSENT, NULL);
    cr_assert_eq(reader.calls, 0);
    reply(world, 1, V1);
    fence(world, 1);
    check_found(&reader, V1);

    invalidate(world);
    read_plain(world, &reader);
    reply(world, 2, NULL);
    fence(world, 2);
    live(world, V2);
    origin(world, 1, SNAPSHOT_UNAVAILABLE, NULL);
    check_found(&reader, V2);
    world_destroy(world);
}

Test(snapshot_cache, nobody_waits_so_the_origin_is_not_asked)
{
    struct world *world = world_create_with_origin();
    struct reader reader;
    live(world, V1);
    world->now_ms += TTL_MOVING;
    reply(world, 0, NULL);
    fence(world, 0);
    cr_assert_eq(world->fetch_count, 0);
    read_plain(world, &reader);
    cr_assert_eq(world->load_count, 2); /* absence in Redis alone is no answer */
    world_destroy(world);
}

/* --- bounds --- */

static void fill_id(struct world *world, const char *id, const char *value)
{
    struct reader reader;
    size_t load = world->load_count;
    read_id(world, id, 0, &reader);
    reply(world, load, value);
    fence(world, load);
    check_found(&reader, value);
}

static bool is_cached(struct world *world, const char *id)
{
    struct reader reader;
    read_id(world, id, 0, &reader);
    snapshot_cache_cancel(world->cache, id, strlen(id), &reader);
    return reader.calls == 1;
}

Test(snapshot_cache, the_least_recently_used_goes_first)
{
    struct snapshot_cache_options options = default_options();
    options.entries_max = 3;
    struct world *world = world_create_with(&options);
    fill_id(world, "b", V1);
    fill_id(world, "c", V1);
    fill_id(world, "d", V1);
    check_hit(world, V1);
    fill_id(world, "e", V1);
    cr_assert_eq(world->metrics->cache_entries, 3);
    cr_assert(is_cached(world, "b"));
    cr_assert(is_cached(world, "d"));
    cr_assert(is_cached(world, "e"));
    cr_assert(!is_cached(world, "c"));
    world_destroy(world);
}

Test(snapshot_cache, entries_in_use_stay)
{
    struct snapshot_cache_options options = default_options();
    options.entries_max = 1;
    struct world *world = world_create_with(&options);
    struct reader readers[10];
    for (size_t i = 0; i < 10; i++)
        read_id(world, (char[]){ (char)('a' + i), '\0' }, 0, &readers[i]);
    cr_assert_eq(world->metrics->cache_entries, 10);
    for (size_t i = 0; i < 10; i++) {
        reply(world, i, V1);
        fence(world, i);
        check_found(&readers[i], V1);
    }
    cr_assert_eq(world->metrics->cache_entries, 1);
    world_destroy(world);
}

Test(snapshot_cache, bytes_are_bounded)
{
    struct snapshot_cache_options options = default_options();
    options.bytes_max = 16 * 1024;
    options.entries_max = SIZE_MAX;
    struct world *world = world_create_with(&options);
    for (int i = 0; i < 10000; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", i);
        snapshot_cache_live(world->cache, id, strlen(id), V1, strlen(V1), PAYLOAD_OBJECT, ++world->sequence,
                            world->now_ms);
        if (world->load_count > 0) {
            reply(world, 0, NULL);
            fence(world, 0);
            world->load_count = 0;
        }
    }
    cr_assert_gt(world->metrics->cache_entries, 10);
    cr_assert_lt(world->metrics->cache_entries, 100);
    world_destroy(world);
}
