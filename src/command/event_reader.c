#include "command/event_reader.h"

#include <string.h>

#include "base/parse.h"

static void replace(struct buffer *buffer, const char *bytes, size_t length)
{
    buffer_reset(buffer);
    buffer_append(buffer, bytes, length);
}

static bool dispatch(struct event_reader *reader)
{
    replace(&reader->last_id, reader->id.data, reader->id.size);
    bool goes_on = true;
    if (reader->has_data) {
        struct event_view event = {
            .name = reader->name.size ? reader->name.data : "message",
            .name_length = reader->name.size ? reader->name.size : strlen("message"),
            .data = reader->data.size ? reader->data.data : "",
            .data_length = reader->data.size,
        };
        goes_on = reader->on_event(reader->context, &event);
    }
    buffer_reset(&reader->name);
    buffer_reset(&reader->data);
    reader->has_data = false;
    return goes_on;
}

static void take_field(struct event_reader *reader, const char *field, size_t field_length, const char *value,
                       size_t length)
{
    if (field_length == 4 && memcmp(field, "data", 4) == 0) {
        if (reader->has_data)
            buffer_append_byte(&reader->data, '\n');
        buffer_append(&reader->data, value, length);
        reader->has_data = true;
    } else if (field_length == 5 && memcmp(field, "event", 5) == 0) {
        replace(&reader->name, value, length);
    } else if (field_length == 2 && memcmp(field, "id", 2) == 0) {
        if (!memchr(value, '\0', length))
            replace(&reader->id, value, length);
    } else if (field_length == 5 && memcmp(field, "retry", 5) == 0) {
        uint64_t retry_ms;
        if (parse_unsigned(value, length, &retry_ms))
            reader->retry_ms = retry_ms;
    }
}

static bool take_line(struct event_reader *reader)
{
    const char *line = reader->line.size ? reader->line.data : "";
    size_t length = reader->line.size;
    if (length == 0)
        return dispatch(reader);
    const char *colon = memchr(line, ':', length);
    size_t field_length = colon ? (size_t)(colon - line) : length;
    size_t value_at = colon ? field_length + 1 : length;
    if (value_at < length && line[value_at] == ' ')
        value_at++;
    take_field(reader, line, field_length, line + value_at, length - value_at);
    buffer_reset(&reader->line);
    return true;
}

static bool is_within_bounds(const struct event_reader *reader)
{
    return !reader->line.failed && !reader->name.failed && !reader->data.failed && !reader->id.failed &&
           reader->line.size + reader->data.size <= EVENT_READER_EVENT_BYTES_MAX;
}

bool event_reader_feed(struct event_reader *reader, const char *bytes, size_t length)
{
    const char *end = bytes + length;
    while (bytes < end) {
        if (reader->after_carriage_return && *bytes == '\n')
            bytes++;
        reader->after_carriage_return = false;
        size_t plain = 0;
        while (bytes + plain < end && bytes[plain] != '\n' && bytes[plain] != '\r')
            plain++;
        buffer_append(&reader->line, bytes, plain);
        bytes += plain;
        if (bytes < end) {
            reader->after_carriage_return = *bytes++ == '\r';
            if (!take_line(reader))
                return false;
        }
        if (!is_within_bounds(reader))
            return false;
    }
    return true;
}

void event_reader_restart(struct event_reader *reader)
{
    buffer_reset(&reader->line);
    buffer_reset(&reader->name);
    buffer_reset(&reader->data);
    replace(&reader->id, reader->last_id.data, reader->last_id.size);
    reader->has_data = false;
    reader->after_carriage_return = false;
}

void event_reader_free(struct event_reader *reader)
{
    buffer_free(&reader->line);
    buffer_free(&reader->name);
    buffer_free(&reader->data);
    buffer_free(&reader->id);
    buffer_free(&reader->last_id);
}
