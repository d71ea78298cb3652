#include "metrics/metrics_text.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static struct metrics *metrics_example(void)
{
    struct metrics *metrics = metrics_create();
    cr_assert_not_null(metrics);
    metrics->sse_clients = 3;
    metrics->sse_events = 12;
    histogram_observe(&metrics->sse_latency, 2 * CLOCK_NS_PER_MS, 4);
    histogram_observe(&metrics->publish, 50 * CLOCK_NS_PER_SECOND, 1);
    metrics->gaps[GAP_SLOW_CONSUMER] = 2;
    metrics->slow_clients[SLOW_STALLED] = 5;
    metrics->events_consumed = 9;
    metrics->cache_hits = 3;
    metrics->cache_misses = 1;
    metrics->redis_up = true;
    metrics->http_requests[ROUTE_BATCH][200] = 7;
    metrics->http_requests[ROUTE_BATCH][404] = 1;
    metrics->http_requests[ROUTE_OTHER][404] = 2;
    return metrics;
}

static char *text_of(const struct metrics *metrics, const char *version)
{
    struct buffer out = { 0 };
    metrics_append_text(metrics, version, &out);
    buffer_append_byte(&out, '\0');
    cr_assert_not(out.failed);
    return out.data;
}

static void expect_line(const char *text, const char *line)
{
    char wanted[256];
    snprintf(wanted, sizeof wanted, "\n%s\n", line);
    cr_assert_not_null(strstr(text, wanted), "no line '%s'", line);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        count++;
    return count;
}

Test(metrics_text, samples)
{
    struct metrics *metrics = metrics_example();
    char *text = text_of(metrics, "1.2.3");
    expect_line(text, "# TYPE sluice_sse_events_total counter");
    expect_line(text, "sluice_sse_clients 3");
    expect_line(text, "sluice_sse_events_total 12");
    expect_line(text, "sluice_redis_up 1");
    expect_line(text, "sluice_draining 0");
    expect_line(text, "sluice_cache_hit_ratio 0.75");
    expect_line(text, "sluice_build_info{version=\"1.2.3\"} 1");
    expect_line(text, "sluice_http_requests_total{route=\"/batches/{id}\",code=\"200\"} 7");
    expect_line(text, "sluice_http_requests_total{route=\"/batches/{id}\",code=\"404\"} 1");
    expect_line(text, "sluice_http_requests_total{route=\"other\",code=\"404\"} 2");
    cr_assert_eq(count_of(text, "\nsluice_http_requests_total{"), 3);
    free(text);
    metrics_destroy(metrics);
}

Test(metrics_text, labels_without_events_are_there_with_zero)
{
    struct metrics *metrics = metrics_example();
    char *text = text_of(metrics, "1");
    cr_assert_eq(count_of(text, "\nsluice_gaps_total{reason="), GAP_REASONS);
    cr_assert_eq(count_of(text, "\nsluice_slow_clients_total{action="), SLOW_ACTIONS);
    expect_line(text, "sluice_gaps_total{reason=\"trimmed\"} 0");
    expect_line(text, "sluice_gaps_total{reason=\"slow-consumer\"} 2");
    expect_line(text, "sluice_slow_clients_total{action=\"stalled\"} 5");
    free(text);
    metrics_destroy(metrics);
}

Test(metrics_text, histograms_are_cumulative)
{
    struct metrics *metrics = metrics_example();
    histogram_observe(&metrics->sse_latency, 20 * CLOCK_NS_PER_MS, 1);
    char *text = text_of(metrics, "1");
    expect_line(text, "sluice_sse_latency_seconds_bucket{le=\"0.0001\"} 0");
    expect_line(text, "sluice_sse_latency_seconds_bucket{le=\"0.001\"} 0");
    expect_line(text, "sluice_sse_latency_seconds_bucket{le=\"0.0025\"} 4");
    expect_line(text, "sluice_sse_latency_seconds_bucket{le=\"0.025\"} 5");
    expect_line(text, "sluice_sse_latency_seconds_bucket{le=\"10\"} 5");
    expect_line(text, "sluice_sse_latency_seconds_bucket{le=\"+Inf\"} 5");
    expect_line(text, "sluice_sse_latency_seconds_sum 0.028000000");
    expect_line(text, "sluice_sse_latency_seconds_count 5");
    expect_line(text, "sluice_publish_seconds_bucket{le=\"10\"} 0");
    expect_line(text, "sluice_publish_seconds_bucket{le=\"+Inf\"} 1");
    expect_line(text, "sluice_publish_seconds_sum 50.000000000");
    free(text);
    metrics_destroy(metrics);
}

/* What dashboards and the documentation name. */
Test(metrics_text, promised_names)
{
    static const char *const names[] = {
        "sluice_sse_clients",
        "sluice_sse_events_total",
        "sluice_sse_bytes_total",
        "sluice_sse_latency_seconds",
        "sluice_publish_seconds",
        "sluice_events_published_total",
        "sluice_events_consumed_total",
        "sluice_cache_hits_total",
        "sluice_cache_misses_total",
        "sluice_cache_hit_ratio",
        "sluice_redis_up",
        "sluice_redis_reconnects_total",
        "sluice_redis_subscriptions",
        "sluice_gaps_total",
        "sluice_slow_clients_total",
        "sluice_http_requests_total",
        "sluice_build_info",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_max_fds",
        "process_virtual_memory_bytes",
        "process_start_time_seconds",
        "process_resident_memory_bytes",
    };
    struct metrics *metrics = metrics_create();
    char *text = text_of(metrics, "1");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char type[128];
        snprintf(type, sizeof type, "# TYPE %s ", names[i]);
        cr_assert_eq(count_of(text, type), 1, "%s", names[i]);
    }
    cr_assert_eq(count_of(text, "# TYPE "), count_of(text, "# HELP "));
    free(text);
    metrics_destroy(metrics);
}

Test(metrics_text, promtool_finds_nothing)
{
    if (system("command -v promtool >/dev/null 2>&1") != 0)
        cr_skip_test("promtool is not installed");
    struct metrics *metrics = metrics_example();
    char *text = text_of(metrics, "1.2.3-dev+\"odd\\one\"");
    FILE *promtool = popen("promtool check metrics 2>&1", "w");
    cr_assert_not_null(promtool);
    cr_assert_eq(fputs(text, promtool) < 0, 0);
    cr_assert_eq(pclose(promtool), 0);
    free(text);
    metrics_destroy(metrics);
}

static const json_t *at(const json_t *root, const char *section, const char *name)
{
    const json_t *value = json_object_get(json_object_get(root, section), name);
    cr_assert_not_null(value, "%s.%s", section, name);
    return value;
}

Test(metrics_text, json_summary)
{
    struct metrics *metrics = metrics_example();
    struct buffer out = { 0 };
    metrics_append_json(metrics, "1.2.3", &out);
    json_error_t error;
    json_t *root = json_loadb(out.data, out.size, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(root, "%s: %.*s", error.text, (int)out.size, out.data);
    cr_assert_str_eq(json_string_value(json_object_get(root, "version")), "1.2.3");
    cr_assert_geq(json_number_value(json_object_get(root, "uptimeSeconds")), 0);
    cr_assert(json_is_false(json_object_get(root, "draining")));
    cr_assert(json_is_true(at(root, "redis", "up")));
    cr_assert_eq(json_integer_value(at(root, "redis", "cacheHits")), 3);
    cr_assert_eq(json_integer_value(at(root, "redis", "cacheMisses")), 1);
    cr_assert_eq(json_integer_value(at(root, "redis", "cacheTotal")), 4);
    cr_assert_eq(json_number_value(at(root, "redis", "cacheHitRatio")), 0.75);
    cr_assert_eq(json_integer_value(at(root, "redis", "pubSubEvents")), 9);
    cr_assert_eq(json_integer_value(at(root, "sse", "sseEventCount")), 12);
    cr_assert_eq(json_number_value(at(root, "sse", "sseAvgLatencyMs")), 2);
    cr_assert_gt(json_number_value(at(root, "sse", "sseP99LatencyMs")), 2);
    cr_assert_eq(json_integer_value(json_object_get(at(root, "sse", "gaps"), "slow-consumer")), 2);
    cr_assert_eq(json_integer_value(json_object_get(at(root, "sse", "slowClients"), "stalled")), 5);
    cr_assert_eq(json_number_value(at(root, "publish", "avgMs")), 50000);
    cr_assert_eq(json_integer_value(at(root, "http", "requests")), 10);
    cr_assert_gt(json_integer_value(at(root, "process", "residentBytes")), 0);
    json_decref(root);
    buffer_free(&out);
    metrics_destroy(metrics);
}

Test(metrics_text, json_follows_other_bytes)
{
    struct metrics *metrics = metrics_create();
    struct buffer out = { 0 };
    buffer_append_text(&out, "[{},");
    metrics_append_json(metrics, "1", &out);
    buffer_append_byte(&out, ']');
    json_t *root = json_loadb(out.data, out.size, 0, NULL);
    cr_assert_not_null(root, "%.*s", (int)out.size, out.data);
    json_decref(root);
    buffer_free(&out);
    metrics_destroy(metrics);
}
