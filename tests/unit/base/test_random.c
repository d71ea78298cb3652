#include "base/random.h"

#include <criterion/criterion.h>
#include <string.h>

Test(random, between_stays_inside_and_reaches_both_ends)
{
    bool seen[3] = { false };
    for (int i = 0; i < 1000; i++) {
        uint64_t value = random_between(5, 7);
        cr_assert(value >= 5 && value <= 7);
        seen[value - 5] = true;
    }
    cr_assert(seen[0] && seen[1] && seen[2]); /* fails by chance once in 10^176 */
}

Test(random, between_at_the_edges)
{
    cr_assert_eq(random_between(9, 9), 9);
    cr_assert_eq(random_between(UINT64_MAX, UINT64_MAX), UINT64_MAX);
    random_between(0, UINT64_MAX);
    cr_assert_geq(random_between(UINT64_MAX - 1, UINT64_MAX), UINT64_MAX - 1);
}

Test(random, fills_all_and_only_what_is_asked)
{
    unsigned char bytes[1026];
    memset(bytes, 0, sizeof bytes);
    random_fill(bytes + 1, 1024);
    cr_assert_eq(bytes[0], 0);
    cr_assert_eq(bytes[1025], 0);
    size_t zeros = 0;
    for (size_t i = 1; i <= 1024; i++)
        zeros += bytes[i] == 0;
    cr_assert_lt(zeros, 64);
    random_fill(bytes, 0);
    cr_assert_neq(random_u64(), random_u64());
}
