#include "metrics/histogram.h"

const double histogram_bounds[HISTOGRAM_BUCKETS] = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
};

/* The same bounds as the clock counts, so that no observation is converted. */
static const uint64_t bounds_ns[HISTOGRAM_BUCKETS] = {
    100000,   250000,    500000,    1000000,   2500000,    5000000,    10000000,   25000000,
    50000000, 100000000, 250000000, 500000000, 1000000000, 2500000000, 5000000000, 10000000000,
};

void histogram_observe(struct histogram *histogram, uint64_t duration_ns, uint64_t times)
{
    int bucket = 0;
    while (bucket < HISTOGRAM_BUCKETS && duration_ns > bounds_ns[bucket])
        bucket++;
    histogram->counts[bucket] += times;
    histogram->sum_ns += duration_ns * times;
    histogram->count += times;
}

double histogram_quantile(const struct histogram *histogram, double quantile)
{
    if (histogram->count == 0)
        return 0;
    double rank = quantile * (double)histogram->count;
    double below = 0;
    for (int bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        double here = (double)histogram->counts[bucket];
        if (here > 0 && below + here >= rank) {
            double low = bucket == 0 ? 0 : histogram_bounds[bucket - 1];
            return low + (histogram_bounds[bucket] - low) * (rank - below) / here;
        }
        below += here;
    }
    return histogram_bounds[HISTOGRAM_BUCKETS - 1]; /* above the last bound nothing is known but that */
}
