#include "metrics/histogram.h"

#include <criterion/criterion.h>
#include <math.h>

#include "base/clock.h"

static bool close_to(double got, double expected)
{
    return fabs(got - expected) < 1e-9;
}

Test(histogram, bounds_rise)
{
    for (int i = 1; i < HISTOGRAM_BUCKETS; i++)
        cr_assert_gt(histogram_bounds[i], histogram_bounds[i - 1]);
}

/* An observation equal to a bound belongs below it (`le`), and the bounds in seconds are those that are
 * compared. */
Test(histogram, bounds_are_inclusive)
{
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        struct histogram histogram = { 0 };
        uint64_t bound_ns = (uint64_t)llround(histogram_bounds[i] * 1e9);
        histogram_observe(&histogram, bound_ns, 1);
        cr_assert_eq(histogram.counts[i], 1);
        histogram_observe(&histogram, bound_ns + 1, 1);
        cr_assert_eq(histogram.counts[i + 1], 1);
    }
}

Test(histogram, counts_times_and_sum)
{
    struct histogram histogram = { 0 };
    histogram_observe(&histogram, 0, 3);
    histogram_observe(&histogram, 2 * CLOCK_NS_PER_MS, 10);
    histogram_observe(&histogram, 60 * CLOCK_NS_PER_SECOND, 1);
    histogram_observe(&histogram, 5, 0);
    cr_assert_eq(histogram.count, 14);
    cr_assert_eq(histogram.sum_ns, 20 * CLOCK_NS_PER_MS + 60 * CLOCK_NS_PER_SECOND);
    cr_assert_eq(histogram.counts[0], 3);
    cr_assert_eq(histogram.counts[4], 10);
    cr_assert_eq(histogram.counts[HISTOGRAM_BUCKETS], 1);
}

Test(histogram, quantiles)
{
    struct histogram histogram = { 0 };
    cr_assert_eq(histogram_quantile(&histogram, 0.99), 0);
    histogram_observe(&histogram, 2 * CLOCK_NS_PER_MS, 100); /* all between 1 and 2.5 ms */
    cr_assert(close_to(histogram_quantile(&histogram, 0), 0.001));
    cr_assert(close_to(histogram_quantile(&histogram, 0.5), 0.00175));
    cr_assert(close_to(histogram_quantile(&histogram, 1), 0.0025));
    histogram_observe(&histogram, 200 * CLOCK_NS_PER_MS, 100); /* and as many between 100 and 250 ms */
    cr_assert(close_to(histogram_quantile(&histogram, 0.5), 0.0025));
    cr_assert(close_to(histogram_quantile(&histogram, 0.75), 0.175));
    histogram_observe(&histogram, 100 * CLOCK_NS_PER_SECOND, 1000);
    cr_assert(close_to(histogram_quantile(&histogram, 0.99), 10));
}
