#include "redis/stream_progress.h"

#include <criterion/criterion.h>

static struct entry_id id(uint64_t ms)
{
    return (struct entry_id){ .ms = ms };
}

/* A stream that has the entries first … last of those ever added. */
static struct stream_info stream(uint64_t first, uint64_t last, uint64_t length, uint64_t added)
{
    return (struct stream_info){
        .exists = true,
        .length = length,
        .first = id(first),
        .last = id(last),
        .has_entries_added = true,
        .entries_added = added,
    };
}

static struct stream_info before_redis_7(uint64_t first, uint64_t last, uint64_t length)
{
    struct stream_info info = stream(first, last, length, 0);
    info.has_entries_added = false;
    return info;
}

static const struct stream_info no_stream = { .exists = false };

/* At entry 10, the tenth. */
static struct stream_progress at_ten(void)
{
    struct stream_progress progress;
    struct stream_info info = stream(1, 10, 10, 10);
    stream_progress_start(&progress, &info);
    cr_assert_eq(progress.position.ms, 10);
    return progress;
}

static void take(struct stream_progress *progress, uint64_t ms, bool expect_lossy)
{
    bool is_lossy;
    cr_assert(stream_progress_take(progress, id(ms), &is_lossy));
    cr_assert_eq(is_lossy, expect_lossy, "at %d", (int)ms);
    cr_assert_eq(progress->position.ms, ms);
}

static void check(struct stream_progress *progress, struct stream_info info, bool was_away,
                  enum stream_verdict expected, uint64_t position)
{
    enum stream_verdict verdict = stream_progress_check(progress, &info, was_away);
    cr_assert_eq(verdict, expected, "verdict %d", (int)verdict);
    cr_assert_eq(progress->position.ms, position);
}

Test(stream_progress, takes_each_entry_once)
{
    struct stream_progress progress = at_ten();
    bool is_lossy;
    cr_assert(!stream_progress_take(&progress, id(10), &is_lossy));
    cr_assert(!stream_progress_take(&progress, id(9), &is_lossy));
    take(&progress, 12, false);
    cr_assert(!stream_progress_take(&progress, id(11), &is_lossy));
    take(&progress, 13, false);
}

/* --- while reading -------------------------------------------------------------------------------------- */

Test(stream_progress, all_read_and_counted)
{
    struct stream_progress progress = at_ten();
    check(&progress, stream(1, 10, 10, 10), false, STREAM_INTACT, 10);
    take(&progress, 11, false);
    check(&progress, stream(11, 11, 1, 11), false, STREAM_INTACT, 11);
    /* Deleted after they were read. */
    check(&progress, stream(0, 11, 0, 11), false, STREAM_INTACT, 11);
}

Test(stream_progress, missed_and_noticed_at_the_end)
{
    struct stream_progress progress = at_ten();
    take(&progress, 11, false);
    take(&progress, 20, false);
    check(&progress, stream(20, 20, 1, 20), false, STREAM_TRIMMED, 20);
    /* Told once. */
    check(&progress, stream(20, 20, 1, 20), false, STREAM_INTACT, 20);
}

Test(stream_progress, missed_and_noticed_on_the_way)
{
    struct stream_progress progress = at_ten();
    check(&progress, stream(15, 20, 6, 20), false, STREAM_INTACT, 10);
    for (uint64_t ms = 15; ms < 20; ms++)
        take(&progress, ms, false);
    take(&progress, 20, true);
    take(&progress, 21, false);
    check(&progress, stream(15, 21, 7, 21), false, STREAM_INTACT, 21);
}

Test(stream_progress, the_mark_itself_was_missed)
{
    struct stream_progress progress = at_ten();
    check(&progress, stream(11, 20, 10, 20), false, STREAM_INTACT, 10);
    take(&progress, 25, true);
    take(&progress, 26, false);
    check(&progress, stream(25, 26, 2, 22), false, STREAM_INTACT, 26);
}

Test(stream_progress, a_mark_stays_until_it_is_reached)
{
    struct stream_progress progress = at_ten();
    check(&progress, stream(1, 12, 12, 12), false, STREAM_INTACT, 10);
    check(&progress, stream(1, 30, 30, 30), false, STREAM_INTACT, 10);
    take(&progress, 11, false);
    take(&progress, 12, false);
    cr_assert(!progress.has_mark);
}

Test(stream_progress, all_gone_before_it_was_read)
{
    struct stream_progress progress = at_ten();
    check(&progress, stream(0, 20, 0, 20), false, STREAM_TRIMMED, 10);
    check(&progress, stream(0, 20, 0, 20), false, STREAM_INTACT, 10);
    take(&progress, 21, false);
    check(&progress, stream(21, 21, 1, 21), false, STREAM_INTACT, 21);
}

Test(stream_progress, deleted_and_begun_again_while_reading)
{
    struct stream_progress progress = at_ten();
    check(&progress, no_stream, false, STREAM_RESET, 0);
    check(&progress, no_stream, false, STREAM_INTACT, 0);
    take(&progress, 11, false);
    check(&progress, stream(11, 11, 1, 1), false, STREAM_INTACT, 11);

    /* Too quick to be seen missing: it may have had an eleventh that nobody read. */
    progress = at_ten();
    take(&progress, 11, false);
    take(&progress, 12, false);
    check(&progress, stream(11, 12, 2, 2), false, STREAM_TRIMMED, 12);
    take(&progress, 13, false);
    check(&progress, stream(11, 13, 3, 3), false, STREAM_INTACT, 13);

    /* With smaller ids, which would never be seen. */
    progress = at_ten();
    check(&progress, stream(1, 3, 3, 3), false, STREAM_RESET, 3);
    take(&progress, 4, false);
    check(&progress, stream(1, 4, 4, 4), false, STREAM_INTACT, 4);
}

/* --- after the connection was lost ---------------------------------------------------------------------- */

Test(stream_progress, nothing_happened_while_away)
{
    struct stream_progress progress = at_ten();
    check(&progress, stream(1, 10, 10, 10), true, STREAM_INTACT, 10);
    check(&progress, stream(0, 10, 0, 10), true, STREAM_INTACT, 10);
}

Test(stream_progress, everything_is_still_there)
{
    struct stream_progress progress = at_ten();
    check(&progress, stream(1, 20, 20, 20), true, STREAM_INTACT, 10);
    progress = at_ten();
    check(&progress, stream(10, 20, 11, 20), true, STREAM_INTACT, 10);
    /* Trimmed right up to our position: the count says so. */
    progress = at_ten();
    check(&progress, stream(11, 20, 10, 20), true, STREAM_INTACT, 10);
    for (uint64_t ms = 11; ms <= 20; ms++)
        take(&progress, ms, false);
    check(&progress, stream(11, 20, 10, 20), false, STREAM_INTACT, 20);
}

Test(stream_progress, trimmed_while_away)
{
    struct stream_progress progress = at_ten();
    check(&progress, stream(12, 20, 9, 20), true, STREAM_TRIMMED, 10);
    for (uint64_t ms = 12; ms <= 20; ms++)
        take(&progress, ms, false);
    check(&progress, stream(12, 20, 9, 20), false, STREAM_INTACT, 20);

    progress = at_ten();
    check(&progress, stream(0, 20, 0, 20), true, STREAM_TRIMMED, 10);
    take(&progress, 21, false);
    check(&progress, stream(21, 21, 1, 21), false, STREAM_INTACT, 21);
}

Test(stream_progress, deleted_in_the_middle_while_away)
{
    struct stream_progress progress = at_ten();
    check(&progress, stream(1, 20, 19, 20), true, STREAM_INTACT, 10);
    for (uint64_t ms = 11; ms < 20; ms++)
        if (ms != 15)
            take(&progress, ms, false);
    take(&progress, 20, true);
}

Test(stream_progress, deleted_or_restored_while_away)
{
    struct stream_progress progress = at_ten();
    check(&progress, no_stream, true, STREAM_RESET, 0);
    check(&progress, no_stream, true, STREAM_INTACT, 0);
    take(&progress, 1, false);

    progress = at_ten();
    check(&progress, stream(1, 7, 7, 7), true, STREAM_RESET, 7);
    take(&progress, 8, false);
    check(&progress, stream(1, 8, 8, 8), false, STREAM_INTACT, 8);

    /* Begun again with greater ids: all it has will come. */
    progress = at_ten();
    check(&progress, stream(15, 17, 3, 3), true, STREAM_RESET, 10);
    take(&progress, 15, false);
    take(&progress, 16, false);
    take(&progress, 17, false);
    check(&progress, stream(15, 17, 3, 3), false, STREAM_INTACT, 17);
}

Test(stream_progress, created_while_away)
{
    struct stream_progress progress;
    stream_progress_start(&progress, &no_stream);
    check(&progress, stream(1, 3, 3, 3), true, STREAM_INTACT, 0);
    stream_progress_start(&progress, &no_stream);
    check(&progress, stream(2, 3, 2, 3), true, STREAM_TRIMMED, 0);
}

Test(stream_progress, without_counts_loss_is_assumed_where_it_may_be)
{
    struct stream_progress progress;
    struct stream_info info = before_redis_7(1, 10, 10);
    stream_progress_start(&progress, &info);
    check(&progress, before_redis_7(5, 12, 8), true, STREAM_INTACT, 10);
    take(&progress, 12, false);
    check(&progress, before_redis_7(12, 12, 1), false, STREAM_INTACT, 12);
    check(&progress, before_redis_7(12, 12, 1), true, STREAM_INTACT, 12);
    check(&progress, before_redis_7(13, 14, 2), true, STREAM_TRIMMED, 12);
    take(&progress, 13, false);
    take(&progress, 14, false);
    check(&progress, before_redis_7(0, 20, 0), true, STREAM_TRIMMED, 14);
    check(&progress, before_redis_7(1, 3, 3), false, STREAM_RESET, 3);
}

/* A server that was upgraded begins to count. */
Test(stream_progress, counts_begin_later)
{
    struct stream_progress progress;
    struct stream_info info = before_redis_7(1, 10, 10);
    stream_progress_start(&progress, &info);
    check(&progress, stream(5, 12, 8, 100), true, STREAM_INTACT, 10);
    take(&progress, 11, false);
    take(&progress, 12, false);
    take(&progress, 13, false);
    check(&progress, stream(5, 13, 9, 101), false, STREAM_INTACT, 13);
    take(&progress, 15, false);
    check(&progress, stream(5, 15, 10, 103), false, STREAM_TRIMMED, 15);
}
