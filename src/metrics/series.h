/*
 * Labelled series that others keep: whoever knows figures of things with names adds a source, and is asked at
 * each reading of the metrics.
 */
#pragma once

#include <stddef.h>

#include "base/buffer.h"
#include "base/list.h"
#include "metrics/metrics.h"

struct metrics_source {
    struct list node; /* linked by metrics_add_source(); list_remove() ends it */
    /* Whole families in the text format: for each one series_append_head(), then its samples. */
    void (*append_text)(void *context, struct buffer *out);
    /* What stands behind `json_name` in the JSON summary: one value. */
    void (*append_json)(void *context, struct buffer *out);
    const char *json_name;
    void *context;
};

/* Borrows the source. */
void metrics_add_source(struct metrics *metrics, struct metrics_source *source);

/* `# HELP` and `# TYPE`, before a family's samples; `type` is "gauge" or "counter". */
void series_append_head(struct buffer *out, const char *name, const char *type, const char *help);

/* `name="value"`, escaped as the text format wants it. The value is UTF-8. */
void series_append_label(struct buffer *out, const char *name, const char *value, size_t length);
