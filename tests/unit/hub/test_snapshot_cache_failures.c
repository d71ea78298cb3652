/* The snapshot cache over time: what expires, links that are lost, loads that fail, readers that leave. */
#include "snapshot_fixture.h"

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
