#include "wire/sse.h"

#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"

/* Room for the field names, spaces and line ends of an event with one data line. */
#define FIELDS_SIZE 32

/* Appends bytes in which every invalid sequence is replaced by U+FFFD. */
static void append_repaired(struct buffer *out, const char *bytes, size_t length)
{
    while (length > 0) {
        size_t valid = utf8_valid_prefix(bytes, length);
        buffer_append(out, bytes, valid);
        bytes += valid;
        length -= valid;
        if (length > 0) {
            size_t invalid = utf8_invalid_length(bytes, length);
            buffer_append_text(out, UTF8_REPLACEMENT);
            bytes += invalid;
            length -= invalid;
        }
    }
}

static bool breaks_field(char byte)
{
    return byte == '\r' || byte == '\n' || byte == '\0';
}

/* The value of a field that cannot span lines. Such values are short, so they are looked at byte by byte. */
static void append_field_value(struct buffer *out, const char *bytes, size_t length)
{
    size_t start = 0;
    for (size_t i = 0; i < length; i++) {
        if (breaks_field(bytes[i])) {
            append_repaired(out, bytes + start, i - start);
            buffer_append_text(out, UTF8_REPLACEMENT);
            start = i + 1;
        }
    }
    append_repaired(out, bytes + start, length - start);
}

static void append_data_line(struct buffer *out, const char *bytes, size_t length, bool valid)
{
    buffer_append(out, "data: ", 6);
    if (valid)
        buffer_append(out, bytes, length);
    else
        append_repaired(out, bytes, length);
    buffer_append_byte(out, '\n');
}

static const char *find(char byte, const char *from, const char *end)
{
    const char *found = from < end ? memchr(from, byte, (size_t)(end - from)) : NULL;
    return found ? found : end;
}

/* CR and LF are no part of a longer UTF-8 sequence, so lines can be validated together and repaired one by
 * one. */
static void append_data(struct buffer *out, const char *bytes, size_t length)
{
    bool valid = utf8_valid_prefix(bytes, length) == length;
    const char *line = bytes;
    const char *end = bytes + length;
    const char *carriage_return = find('\r', line, end);
    const char *line_feed = find('\n', line, end);

    for (;;) {
        const char *line_end = carriage_return < line_feed ? carriage_return : line_feed;
        append_data_line(out, line, (size_t)(line_end - line), valid);
        if (line_end == end)
            return;
        bool is_pair = *line_end == '\r' && line_feed == line_end + 1 && line_feed < end;
        line = line_end + (is_pair ? 2 : 1);
        /* Each byte is searched once for each line end, so that many short lines stay linear. */
        if (carriage_return < line)
            carriage_return = find('\r', line, end);
        if (line_feed < line)
            line_feed = find('\n', line, end);
    }
}

void sse_append_event(struct buffer *out, const struct sse_event *event)
{
    if (!buffer_reserve(out, event->id_length + event->name_length + event->data_length + FIELDS_SIZE))
        return;
    if (event->id) {
        buffer_append(out, "id: ", 4);
        append_field_value(out, event->id, event->id_length);
        buffer_append_byte(out, '\n');
    }
    if (event->name) {
        buffer_append(out, "event: ", 7);
        append_field_value(out, event->name, event->name_length);
        buffer_append_byte(out, '\n');
    }
    if (event->data_length > 0)
        append_data(out, event->data, event->data_length);
    else
        append_data_line(out, "", 0, true);
    buffer_append_byte(out, '\n');
}

void sse_append_retry(struct buffer *out, uint64_t retry_ms)
{
    buffer_append_text(out, "retry: ");
    buffer_append_unsigned(out, retry_ms);
    buffer_append_text(out, "\n\n");
}

size_t sse_event_boundary(const char *bytes, size_t length, size_t offset)
{
    if (offset == 0 || offset >= length)
        return offset == 0 ? 0 : length;
    /* An empty line ends an event and nothing else: every other line starts with a field name or a colon. */
    size_t from = offset >= 2 ? offset - 2 : 0;
    const char *blank = memmem(bytes + from, length - from, "\n\n", 2);
    return blank ? (size_t)(blank - bytes) + 2 : length;
}
