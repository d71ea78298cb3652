/* The snapshot cache's PUT, DELETE and origin, and its bounds. */
#include "snapshot_fixture.h"

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

Test(snapshot_cache, put_whose_fence_nobody_heard_is_read_again)
{
    struct world *world = world_create();
    struct reader reader;
    fill(world, V1);
    put(world, V2, &reader);
    reply_with(world, 1, V2, true, false); /* the feed is gone, which we have not been told yet */
    check_found(&reader, V2);
    reader = read_again(world, V2);
    check_found(&reader, V2);
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
