#include "metrics/series.h"

void metrics_add_source(struct metrics *metrics, struct metrics_source *source)
{
    list_append(&metrics->own_sources, &source->node);
}

void series_append_head(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Backslash, quote and line feed are all that the format escapes. */
void series_append_label(struct buffer *out, const char *name, const char *value, size_t length)
{
    buffer_printf(out, "%s=\"", name);
    for (size_t i = 0; i < length; i++) {
        if (value[i] == '\\' || value[i] == '"')
            buffer_append_byte(out, '\\');
        if (value[i] == '\n')
            buffer_append_text(out, "\\n");
        else
            buffer_append_byte(out, value[i]);
    }
    buffer_append_byte(out, '"');
}
