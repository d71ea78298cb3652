#include "redis/backoff.h"

#include <criterion/criterion.h>

Test(backoff, doubles_within_its_bounds_and_stays_at_the_last)
{
    struct backoff backoff = { 0 };
    uint64_t expected = BACKOFF_FIRST_MS;
    for (int i = 0; i < 20; i++) {
        uint64_t wait = backoff_next_ms(&backoff);
        cr_assert_geq(wait, expected / 2);
        cr_assert_leq(wait, expected);
        expected = expected * 2 < BACKOFF_LAST_MS ? expected * 2 : BACKOFF_LAST_MS;
    }
    cr_assert_eq(expected, BACKOFF_LAST_MS);
}

Test(backoff, starts_again_after_a_reset)
{
    struct backoff backoff = { 0 };
    for (int i = 0; i < 20; i++)
        (void)backoff_next_ms(&backoff);
    backoff_reset(&backoff);
    cr_assert_leq(backoff_next_ms(&backoff), BACKOFF_FIRST_MS);
}

Test(backoff, is_jittered)
{
    bool differs = false;
    uint64_t first = 0;
    for (int i = 0; i < 50; i++) {
        struct backoff backoff = { .wait_ms = BACKOFF_LAST_MS };
        uint64_t wait = backoff_next_ms(&backoff);
        differs = differs || (i > 0 && wait != first);
        first = wait;
    }
    cr_assert(differs);
}
