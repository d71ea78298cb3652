/* What is counted about sinks, for readers of the metrics. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "consumers/sink_figures.h"
#include "metrics/series.h"

struct sink_row {
    const char *name;
    const struct sink_figures *figures;
};

struct sink_series {
    struct metrics_source source;
    struct sink_row *rows;
    size_t count, capacity;
};

/* False when memory is short. */
bool sink_series_create(struct sink_series *series, struct metrics *metrics, size_t capacity);
/* Borrows both. No more than the capacity. */
void sink_series_add(struct sink_series *series, const char *name, const struct sink_figures *figures);
void sink_series_clear(struct sink_series *series);

void sink_series_append_text(const struct sink_series *series, struct buffer *out);
void sink_series_append_json(const struct sink_series *series, struct buffer *out);
