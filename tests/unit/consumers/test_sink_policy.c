#include "consumers/sink_policy.h"

#include <criterion/criterion.h>

Test(sink_policy, only_2xx_is_success)
{
    for (long status = 200; status < 300; status++)
        cr_assert_eq(sink_verdict_of(status), SINK_ACCEPTED, "%ld", status);
}

Test(sink_policy, what_will_not_do_better_next_time_is_refused)
{
    for (long status = 400; status < 500; status++) {
        bool means_later = status == 408 || status == 425 || status == 429;
        cr_assert_eq(sink_verdict_of(status), means_later ? SINK_FAILED : SINK_REFUSED, "%ld", status);
    }
}

Test(sink_policy, everything_else_is_tried_again)
{
    static const long statuses[] = { 0, 100, 199, 300, 301, 304, 399, 500, 502, 503, 599, 600, 999, -1 };
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        cr_assert_eq(sink_verdict_of(statuses[i]), SINK_FAILED, "%ld", statuses[i]);
}

static void expect_wait(uint64_t failures, uint64_t retry_after_ms, uint64_t least, uint64_t most)
{
    uint64_t seen_least = UINT64_MAX, seen_most = 0;
    for (int i = 0; i < 2000; i++) {
        uint64_t wait_ms = sink_wait_ms(failures, 100, 1000, retry_after_ms);
        cr_assert(wait_ms >= least && wait_ms <= most, "%d: %d", (int)failures, (int)wait_ms);
        seen_least = wait_ms < seen_least ? wait_ms : seen_least;
        seen_most = wait_ms > seen_most ? wait_ms : seen_most;
    }
    cr_assert(seen_least < seen_most, "no jitter");
}

Test(sink_policy, waits_double_up_to_the_last_with_jitter)
{
    expect_wait(1, 0, 50, 100);
    expect_wait(2, 0, 100, 200);
    expect_wait(4, 0, 400, 800);
    expect_wait(5, 0, 500, 1000);
    expect_wait(6, 0, 500, 1000);
    expect_wait(100000, 0, 500, 1000);
}

Test(sink_policy, a_last_wait_below_the_first_bounds_it)
{
    for (int i = 0; i < 100; i++)
        cr_assert_leq(sink_wait_ms(3, 500, 200, 0), 200);
}

Test(sink_policy, no_overflow)
{
    cr_assert_leq(sink_wait_ms(UINT64_MAX, 600000, 3600000, 0), 3600000);
    cr_assert_eq(sink_wait_ms(1, 0, 0, 0), 0);
}

Test(sink_policy, what_the_receiver_asks_for_within_bounds)
{
    expect_wait(1, 5000, 5000, 5050);
    expect_wait(1, 70, 50, 100); /* less than the own wait may be: it is not a shorter way */
    expect_wait(1, UINT64_MAX, SINK_RETRY_AFTER_MAX_MS, SINK_RETRY_AFTER_MAX_MS + 50);
}
