#include "metrics/metrics.h"

#include <criterion/criterion.h>

Test(metrics, start_at_zero)
{
    struct metrics *metrics = metrics_create();
    cr_assert_not_null(metrics);
    cr_assert_eq(metrics->sse_clients, 0);
    cr_assert_eq(metrics->http_requests[ROUTE_OTHER][METRICS_STATUS_MAX - 1], 0);
    cr_assert_gt(metrics->start_wall_ms, 0);
    metrics_destroy(metrics);
    metrics_destroy(NULL);
}

Test(metrics, every_label_has_a_name)
{
    for (enum gap_reason reason = 0; reason < GAP_REASONS; reason++)
        cr_assert_not_null(gap_reason_name(reason));
    for (enum slow_action action = 0; action < SLOW_ACTIONS; action++)
        cr_assert_not_null(slow_action_name(action));
    for (enum route_label route = 0; route < ROUTE_LABELS; route++)
        cr_assert_not_null(route_label_name(route));
    cr_assert_str_eq(gap_reason_name(GAP_REDIS_RECONNECT), "redis-reconnect");
    cr_assert_str_eq(gap_reason_name(GAP_UNKNOWN_ID), "unknown-id");
}
