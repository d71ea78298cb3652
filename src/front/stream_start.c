#include "front/stream_start.h"

#include <stdlib.h>

#include "base/parse.h"
#include "wire/composite_cursor.h"

/* A bare number of this many digits is a time in milliseconds, as in an entry's id. */
#define TIME_DIGITS 12

static bool all_digits(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return length > 0;
}

struct since since_parse(const char *text, size_t length)
{
    struct since since = { .kind = SINCE_BEHIND };
    uint64_t number;
    if (length == 0)
        since.kind = SINCE_NOW;
    else if (all_digits(text, length) && length < TIME_DIGITS && parse_unsigned(text, length, &number)) {
        since.kind = number == 0 ? SINCE_BEHIND : SINCE_ENTRIES;
        since.entries = number;
        if (number > SINCE_ENTRIES_MAX)
            since.kind = SINCE_INVALID;
    } else if (parse_time_ms(text, length, &number)) {
        since.position = entry_id_before((struct entry_id){ .ms = number });
    } else if (!entry_id_parse(text, length, &since.position)) {
        since.kind = SINCE_INVALID;
    }
    return since;
}

struct text stream_last_event_id(const struct request *request)
{
    static const char *const parameters[] = { "lastEventId", "last_event_id", "Last-Event-ID" };
    struct text id = request->headers[HEADER_LAST_EVENT_ID];
    for (size_t i = 0; id.length == 0 && i < sizeof(parameters) / sizeof(parameters[0]); i++)
        id = request_parameter(request, parameters[i]);
    return id;
}

static void start_composite(struct text id, struct topic_name *topics, size_t stream_count, uint32_t tag,
                            struct stream_request *stream)
{
    struct entry_id *positions = calloc(stream_count, sizeof(*positions));
    bool has_cursor = false;
    bool known = positions && composite_cursor_parse(id.bytes, id.length, tag, stream_count, positions,
                                                     &has_cursor, &stream->cursor);
    /* An id for these streams without a place among the channels is none of a set with channels, and the
     * other way round. */
    bool has_channels = stream_count < stream->topic_count;
    stream->resume =
        known && has_cursor == has_channels ? (has_channels ? RESUME_CURSOR : RESUME_NONE) : RESUME_UNKNOWN;
    for (size_t i = 0, at = 0; i < stream->topic_count && stream->resume != RESUME_UNKNOWN; i++) {
        if (topics[i].kind != TOPIC_STREAM)
            continue;
        topics[i].placed = true;
        topics[i].position = positions[at++];
    }
    free(positions);
}

void stream_start_behind(struct text id, struct topic_name *topics, struct stream_request *stream)
{
    size_t stream_count = 0;
    uint32_t tag = 0;
    for (size_t i = 0; i < stream->topic_count; i++) {
        if (topics[i].kind != TOPIC_STREAM)
            continue;
        tag = composite_cursor_tag(tag, topics[i].name, topics[i].length);
        stream_count++;
    }
    if (id.length == 0) {
        stream->resume = RESUME_NONE;
    } else if (stream_count == 0) {
        stream->resume = cursor_parse(id.bytes, id.length, &stream->cursor) ? RESUME_CURSOR : RESUME_UNKNOWN;
    } else if (stream->topic_count == 1) {
        topics[0].placed = entry_id_parse(id.bytes, id.length, &topics[0].position);
        stream->resume = topics[0].placed ? RESUME_NONE : RESUME_UNKNOWN;
    } else {
        start_composite(id, topics, stream_count, tag, stream);
    }
}
