#include "hub/snapshot_cache.h"

#include "snapshot_fixture.h"

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
