#include "consumers/sink_series.h"

#include <criterion/criterion.h>
#include <string.h>

#include "metrics/metrics_text.h"

static void expect_in(const struct buffer *text, const char *expected)
{
    cr_assert_not_null(memmem(text->data, text->size, expected, strlen(expected)), "no %s in\n%.*s", expected,
                       (int)text->size, text->data);
}

Test(sink_series, each_sink_has_its_rows)
{
    struct metrics *metrics = metrics_create();
    struct sink_series series;
    struct sink_figures crm = {
        .attempts = { 5, 2, 1 }, .delivered = 5, .returned = 1, .dead = 2, .held = 3
    };
    struct sink_figures chat = { .dropped = 7 };
    histogram_observe(&crm.duration, 2000000, 8);
    cr_assert(sink_series_create(&series, metrics, 2));
    sink_series_add(&series, "crm", &crm);
    sink_series_add(&series, "chat", &chat);

    struct buffer text = { 0 };
    metrics_append_text(metrics, "1", &text);
    expect_in(&text, "# TYPE sluice_webhook_attempts_total counter\n"
                     "sluice_webhook_attempts_total{sink=\"crm\",result=\"accepted\"} 5\n"
                     "sluice_webhook_attempts_total{sink=\"crm\",result=\"refused\"} 2\n"
                     "sluice_webhook_attempts_total{sink=\"crm\",result=\"failed\"} 1\n"
                     "sluice_webhook_attempts_total{sink=\"chat\",result=\"accepted\"} 0\n");
    expect_in(&text, "sluice_webhook_deliveries_total{sink=\"crm\",result=\"returned\"} 1\n"
                     "sluice_webhook_deliveries_total{sink=\"crm\",result=\"dead\"} 2\n");
    expect_in(&text, "sluice_webhook_deliveries_total{sink=\"chat\",result=\"dropped\"} 7\n");
    expect_in(&text, "sluice_webhook_held{sink=\"crm\"} 3\nsluice_webhook_held{sink=\"chat\"} 0\n");
    expect_in(&text, "sluice_webhook_duration_seconds_bucket{sink=\"crm\",le=\"0.001\"} 0\n"
                     "sluice_webhook_duration_seconds_bucket{sink=\"crm\",le=\"0.0025\"} 8\n");
    expect_in(&text, "sluice_webhook_duration_seconds_bucket{sink=\"crm\",le=\"+Inf\"} 8\n"
                     "sluice_webhook_duration_seconds_sum{sink=\"crm\"} 0.016000000\n"
                     "sluice_webhook_duration_seconds_count{sink=\"crm\"} 8\n");

    buffer_reset(&text);
    metrics_append_json(metrics, "1", &text);
    expect_in(&text, ",\"sinks\":[{\"name\":\"crm\",\"delivered\":5,\"returned\":1,\"dead\":2,\"dropped\":0,"
                     "\"held\":3,\"attempts\":8,\"failed\":1,\"refused\":2,\"p50Ms\":");
    expect_in(&text, "},{\"name\":\"chat\",\"delivered\":0,");

    sink_series_clear(&series);
    buffer_reset(&text);
    metrics_append_text(metrics, "1", &text);
    cr_assert_null(memmem(text.data, text.size, "webhook", strlen("webhook")));
    buffer_free(&text);
    metrics_destroy(metrics);
}
