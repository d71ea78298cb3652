#include "consumers/sink_series.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static void append_text(void *context, struct buffer *out)
{
    sink_series_append_text(context, out);
}

static void append_json(void *context, struct buffer *out)
{
    sink_series_append_json(context, out);
}

bool sink_series_create(struct sink_series *series, struct metrics *metrics, size_t capacity)
{
    *series = (struct sink_series){ .capacity = capacity };
    series->rows = calloc(capacity ? capacity : 1, sizeof(*series->rows));
    if (!series->rows)
        return false;
    series->source = (struct metrics_source){
        .append_text = append_text, .append_json = append_json, .json_name = "sinks", .context = series
    };
    metrics_add_source(metrics, &series->source);
    return true;
}

void sink_series_add(struct sink_series *series, const char *name, const struct sink_figures *figures)
{
    series->rows[series->count++] = (struct sink_row){ .name = name, .figures = figures };
}

void sink_series_clear(struct sink_series *series)
{
    list_remove(&series->source.node);
    free(series->rows);
    series->rows = NULL;
    series->count = 0;
}

/* ---- text ---- */

/* `<name>{sink="…"` without its end. */
static void begin_sample(struct buffer *out, const char *name, const struct sink_row *row)
{
    buffer_printf(out, "%s{", name);
    series_append_label(out, "sink", row->name, strlen(row->name));
}

static void append_labelled(struct buffer *out, const char *name, const struct sink_row *row,
                            const char *label, const char *value, uint64_t count)
{
    begin_sample(out, name, row);
    buffer_printf(out, ",%s=\"%s\"} %" PRIu64 "\n", label, value, count);
}

static void append_attempts(const struct sink_series *series, struct buffer *out)
{
    static const char name[] = "sluice_webhook_attempts_total";
    static const char *const results[SINK_VERDICTS] = {
        [SINK_ACCEPTED] = "accepted", [SINK_REFUSED] = "refused", [SINK_FAILED] = "failed"
    };
    series_append_head(out, name, "counter", "Requests to webhooks, by what became of them.");
    for (size_t i = 0; i < series->count; i++)
        for (int verdict = 0; verdict < SINK_VERDICTS; verdict++)
            append_labelled(out, name, &series->rows[i], "result", results[verdict],
                            series->rows[i].figures->attempts[verdict]);
}

static void append_deliveries(const struct sink_series *series, struct buffer *out)
{
    static const char name[] = "sluice_webhook_deliveries_total";
    series_append_head(
        out, name, "counter",
        "Events that sinks are done with: delivered, returned to the group, dead, or dropped.");
    for (size_t i = 0; i < series->count; i++) {
        const struct sink_row *row = &series->rows[i];
        append_labelled(out, name, row, "result", "delivered", row->figures->delivered);
        append_labelled(out, name, row, "result", "returned", row->figures->returned);
        append_labelled(out, name, row, "result", "dead", row->figures->dead);
        append_labelled(out, name, row, "result", "dropped", row->figures->dropped);
    }
}

static void append_held(const struct sink_series *series, struct buffer *out)
{
    static const char name[] = "sluice_webhook_held";
    series_append_head(out, name, "gauge", "Events that sinks have taken and are not done with.");
    for (size_t i = 0; i < series->count; i++) {
        begin_sample(out, name, &series->rows[i]);
        buffer_printf(out, "} %" PRIu64 "\n", series->rows[i].figures->held);
    }
}

static void append_histogram(const struct sink_row *row, const char *name, struct buffer *out)
{
    const struct histogram *histogram = &row->figures->duration;
    uint64_t cumulative = 0;
    for (int bucket = 0; bucket <= HISTOGRAM_BUCKETS; bucket++) {
        cumulative += histogram->counts[bucket];
        buffer_printf(out, "%s_bucket{", name);
        series_append_label(out, "sink", row->name, strlen(row->name));
        if (bucket < HISTOGRAM_BUCKETS)
            buffer_printf(out, ",le=\"%g\"} %" PRIu64 "\n", histogram_bounds[bucket], cumulative);
        else
            buffer_printf(out, ",le=\"+Inf\"} %" PRIu64 "\n", histogram->count);
    }
    buffer_printf(out, "%s_sum{", name);
    series_append_label(out, "sink", row->name, strlen(row->name));
    buffer_printf(out, "} %" PRIu64 ".%09" PRIu64 "\n%s_count{", histogram->sum_ns / CLOCK_NS_PER_SECOND,
                  histogram->sum_ns % CLOCK_NS_PER_SECOND, name);
    series_append_label(out, "sink", row->name, strlen(row->name));
    buffer_printf(out, "} %" PRIu64 "\n", histogram->count);
}

void sink_series_append_text(const struct sink_series *series, struct buffer *out)
{
    static const char duration[] = "sluice_webhook_duration_seconds";
    append_attempts(series, out);
    append_deliveries(series, out);
    append_held(series, out);
    series_append_head(out, duration, "histogram", "How long requests to webhooks took.");
    for (size_t i = 0; i < series->count; i++)
        append_histogram(&series->rows[i], duration, out);
}

/* ---- JSON ---- */

void sink_series_append_json(const struct sink_series *series, struct buffer *out)
{
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < series->count; i++) {
        const struct sink_figures *figures = series->rows[i].figures;
        buffer_append_text(out, i ? ",{\"name\":" : "{\"name\":");
        buffer_append_json_string(out, series->rows[i].name, strlen(series->rows[i].name));
        buffer_printf(out,
                      ",\"delivered\":%" PRIu64 ",\"returned\":%" PRIu64 ",\"dead\":%" PRIu64
                      ",\"dropped\":%" PRIu64 ",\"held\":%" PRIu64 ",\"attempts\":%" PRIu64
                      ",\"failed\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"p50Ms\":%.10g,\"p99Ms\":%.10g}",
                      figures->delivered, figures->returned, figures->dead, figures->dropped, figures->held,
                      figures->duration.count, figures->attempts[SINK_FAILED],
                      figures->attempts[SINK_REFUSED], histogram_quantile(&figures->duration, 0.5) * 1000,
                      histogram_quantile(&figures->duration, 0.99) * 1000);
    }
    buffer_append_byte(out, ']');
}
