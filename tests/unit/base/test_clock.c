#include "base/clock.h"

#include <criterion/criterion.h>
#include <time.h>

Test(clock, monotonic_never_steps_back)
{
    uint64_t last = clock_now_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_now_ns();
        cr_assert_geq(now, last);
        last = now;
    }
}

Test(clock, milliseconds_are_the_same_clock)
{
    uint64_t before_ns = clock_now_ns();
    uint64_t now_ms = clock_now_ms();
    uint64_t after_ns = clock_now_ns();
    cr_assert_geq(now_ms, before_ns / CLOCK_NS_PER_MS);
    cr_assert_leq(now_ms, after_ns / CLOCK_NS_PER_MS);
}

Test(clock, wall_is_unix_time)
{
    uint64_t before = (uint64_t)time(NULL);
    uint64_t wall_ms = clock_wall_ms();
    cr_assert_geq(wall_ms / 1000 + 1, before); /* time(2) may be a tick behind */
    cr_assert_leq(wall_ms / 1000, (uint64_t)time(NULL) + 1);
}
