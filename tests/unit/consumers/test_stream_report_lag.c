#include <criterion/criterion.h>

#include "consumers/stream_report.h"

#define ID(number)                                                                                           \
    (struct entry_id)                                                                                        \
    {                                                                                                        \
        .ms = number                                                                                         \
    }

/* A stream to which 10 entries were added, 1-0 to 10-0, and the first `removed` trimmed. */
static struct stream_lag_source stream_without(uint64_t removed)
{
    return (struct stream_lag_source){ .length = 10 - removed,
                                       .first = ID(removed + 1),
                                       .last_generated = ID(10),
                                       .has_counts = true,
                                       .entries_added = 10 };
}

static struct stream_lag_source group_at(struct stream_lag_source source, uint64_t last, uint64_t read)
{
    source.last_delivered = ID(last);
    source.entries_read = read;
    source.lag = source.entries_added - read;
    return source;
}

static void assert_lag(struct stream_lag_source source, uint64_t expected)
{
    uint64_t lag = 99;
    cr_assert(stream_report_lag(&source, &lag));
    cr_assert_eq(lag, expected, "%lu instead of %lu", lag, expected);
}

static void assert_unknown(struct stream_lag_source source)
{
    uint64_t lag;
    cr_assert_not(stream_report_lag(&source, &lag));
}

Test(stream_report_lag, redis_is_believed_while_nothing_was_removed)
{
    assert_lag(group_at(stream_without(0), 0, 0), 10);
    assert_lag(group_at(stream_without(0), 4, 4), 6);
    assert_lag(group_at(stream_without(0), 10, 10), 0);
}

Test(stream_report_lag, the_ends_are_known_whatever_redis_counts)
{
    /* Trimming has overtaken the group: all that is left is before it, though Redis says 10. */
    assert_lag(group_at(stream_without(8), 0, 0), 2);
    assert_lag(group_at(stream_without(8), 5, 5), 2);
    /* It has read the last one, with 8 lost. */
    assert_lag(group_at(stream_without(8), 10, 2), 0);
    struct stream_lag_source old = group_at(stream_without(8), 3, 0);
    old.has_counts = false; /* Redis 6, or a group made in the middle */
    assert_lag(old, 2);
    old.last_delivered = ID(10);
    assert_lag(old, 0);
    struct stream_lag_source empty = { .last_generated = ID(10), .last_delivered = ID(3) };
    assert_lag(empty, 0);
}

Test(stream_report_lag, a_trimmed_stream_whose_group_kept_up_is_believed)
{
    assert_lag(group_at(stream_without(5), 6, 6), 4);
    assert_lag(group_at(stream_without(5), 9, 9), 1);
}

Test(stream_report_lag, counts_that_cannot_be_are_not_believed)
{
    /* It lost 1 to 5 to trimming and then read 6: Redis says 9 where 4 are left. */
    assert_unknown(group_at(stream_without(5), 6, 1));
    assert_unknown(group_at(stream_without(5), 9, 4));
    struct stream_lag_source middle = group_at(stream_without(0), 4, 4);
    middle.has_counts = false;
    assert_unknown(middle);
    struct stream_lag_source absurd = group_at(stream_without(0), 4, 4);
    absurd.entries_added = 3; /* XSETID */
    assert_unknown(absurd);
    absurd = group_at(stream_without(0), 4, 4);
    absurd.lag = 11;
    assert_unknown(absurd);
}

Test(stream_report_lag, a_deleted_entry_before_the_group_changes_nothing)
{
    /* 1 to 4 deleted one by one, the last of them delivered as the last. */
    struct stream_lag_source source = group_at(stream_without(4), 5, 5);
    source.max_deleted = ID(4);
    assert_lag(source, 5);
    source = stream_without(4);
    source.first = ID(2); /* 1, 3, 4 and 5 are gone */
    source.max_deleted = ID(5);
    assert_lag(group_at(source, 5, 5), 5);
}
