/* The watched streams' reports as figures for Prometheus, and as JSON. */
#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"
#include "consumers/stream_watch_state.h"

/* ---- groups that should be there ---- */

static const struct stream_report_group *find_group(const struct watched_stream *stream, const char *name,
                                                    size_t length)
{
    for (size_t i = 0; stream->report && i < stream->report->listed_count; i++) {
        const struct stream_report_group *group = &stream->report->groups[i];
        if (group->name_length == length && memcmp(group->name, name, length) == 0)
            return group;
    }
    return NULL;
}

/* ---- samples ---- */

/* One sample of a group, or none. */
typedef void append_sample(struct buffer *out, const struct stream_report_group *group);

struct family {
    const char *name;
    const char *help;
    append_sample *append; /* writes the value, or nothing where there is none */
};

static void append_pending(struct buffer *out, const struct stream_report_group *group)
{
    buffer_append_unsigned(out, group->pending);
}

static void append_lag(struct buffer *out, const struct stream_report_group *group)
{
    if (group->has_lag)
        buffer_append_unsigned(out, group->lag);
}

static void append_oldest(struct buffer *out, const struct stream_report_group *group)
{
    buffer_printf(out, "%" PRIu64 ".%03" PRIu64, group->oldest_pending_ms / 1000,
                  group->oldest_pending_ms % 1000);
}

static void append_consumer_count(struct buffer *out, const struct stream_report_group *group)
{
    buffer_append_unsigned(out, group->consumer_count);
}

static const struct family families[] = {
    { "sluice_stream_pending", "Entries delivered to consumers and not acknowledged.", append_pending },
    { "sluice_stream_lag", "Entries not delivered to the group yet; absent when Redis cannot know.",
      append_lag },
    { "sluice_stream_oldest_pending_seconds",
      "Age of the oldest entry that is not acknowledged; 0 without one.", append_oldest },
    { "sluice_stream_consumers", "Consumers that the group knows, whether they are there or not.",
      append_consumer_count },
};

static void append_group_sample(const struct watched_stream *stream, const struct family *family,
                                const struct stream_report_group *group, struct buffer *out)
{
    struct buffer value = { 0 };
    family->append(&value, group);
    /* Two names that are no UTF-8 could look the same, and a series that is there twice spoils them all. */
    if (value.size && utf8_valid_prefix(group->name, group->name_length) == group->name_length) {
        buffer_printf(out, "%s{", family->name);
        series_append_label(out, "stream", stream->name, stream->name_length);
        buffer_append_byte(out, ',');
        series_append_label(out, "group", group->name, group->name_length);
        buffer_printf(out, "} %.*s\n", (int)value.size, value.data);
    }
    out->failed |= value.failed;
    buffer_free(&value);
}

static void append_missing_groups(const struct watched_stream *stream, const struct family *family,
                                  struct buffer *out)
{
    for (const char *name = stream->groups; *name;) {
        size_t length = strcspn(name, ",");
        if (!find_group(stream, name, length)) {
            const struct stream_report_group missing = { .name = (char *)name, .name_length = length };
            append_group_sample(stream, family, &missing, out);
        }
        name += length + (name[length] == ',');
    }
}

static bool is_answered(const struct watched_stream *stream)
{
    return stream->status == STREAM_REPORT_FOUND || stream->status == STREAM_REPORT_ABSENT;
}

static void append_stream_sample(const struct watched_stream *stream, const char *name, uint64_t value,
                                 struct buffer *out)
{
    buffer_printf(out, "%s{", name);
    series_append_label(out, "stream", stream->name, stream->name_length);
    buffer_printf(out, "} %" PRIu64 "\n", value);
}

static void append_family(const struct stream_watch *watch, const struct family *family, struct buffer *out)
{
    series_append_head(out, family->name, "gauge", family->help);
    for (size_t i = 0; i < watch->count; i++) {
        const struct watched_stream *stream = watch->streams[i];
        if (!is_answered(stream))
            continue;
        for (size_t j = 0; stream->report && j < stream->report->listed_count; j++)
            append_group_sample(stream, family, &stream->report->groups[j], out);
        append_missing_groups(stream, family, out);
    }
}

void stream_watch_append_text(const struct stream_watch *watch, struct buffer *out)
{
    if (watch->count == 0)
        return;
    series_append_head(out, "sluice_stream_length", "gauge", "Entries in the stream.");
    for (size_t i = 0; i < watch->count; i++)
        if (is_answered(watch->streams[i]))
            append_stream_sample(watch->streams[i], "sluice_stream_length",
                                 watch->streams[i]->report ? watch->streams[i]->report->length : 0, out);
    series_append_head(out, "sluice_stream_bytes", "gauge", "Memory of the stream in Redis, estimated.");
    for (size_t i = 0; i < watch->count; i++)
        if (is_answered(watch->streams[i]))
            append_stream_sample(watch->streams[i], "sluice_stream_bytes",
                                 watch->streams[i]->report ? watch->streams[i]->report->bytes : 0, out);
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        append_family(watch, &families[i], out);
}

/* ---- JSON ---- */

void stream_watch_append_json(const struct stream_watch *watch, bool with_consumers, struct buffer *out)
{
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < watch->count; i++) {
        const struct watched_stream *stream = watch->streams[i];
        if (i)
            buffer_append_byte(out, ',');
        if (stream->report)
            stream_report_append_json(stream->report, with_consumers, out);
        else
            stream_report_append_missing_json(stream->name, stream->name_length, stream->status,
                                              stream->problem, out);
    }
    buffer_append_byte(out, ']');
}
