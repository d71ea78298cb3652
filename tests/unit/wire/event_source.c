#include "event_source.h"

#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD"

struct parser {
    struct buffer data;
    struct buffer type;
    struct buffer id;
    event_source_dispatch *dispatch;
    void *context;
    struct event_source_summary summary;
};

static bool is(const char *bytes, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(bytes, text, length) == 0;
}

static void dispatch_event(struct parser *parser)
{
    if (parser->data.size > 0) {
        struct received_event event = {
            .type = parser->type.size > 0 ? parser->type.data : "message",
            .type_length = parser->type.size > 0 ? parser->type.size : strlen("message"),
            .data = parser->data.data,
            .data_length = parser->data.size - 1, /* the last line feed goes */
            .id = parser->id.data,
            .id_length = parser->id.size,
        };
        parser->summary.events++;
        if (parser->dispatch)
            parser->dispatch(parser->context, &event);
    }
    buffer_reset(&parser->data);
    buffer_reset(&parser->type);
}

static void set_retry(struct parser *parser, const char *value, size_t length)
{
    uint64_t retry_ms = 0;
    for (size_t i = 0; i < length; i++) {
        if (value[i] < '0' || value[i] > '9')
            return;
        retry_ms = retry_ms * 10 + (uint64_t)(value[i] - '0');
    }
    parser->summary.has_retry = length > 0;
    parser->summary.retry_ms = retry_ms;
}

static void process_field(struct parser *parser, const char *name, size_t name_length, const char *value,
                          size_t value_length)
{
    if (is(name, name_length, "event")) {
        buffer_reset(&parser->type);
        buffer_append(&parser->type, value, value_length);
    } else if (is(name, name_length, "data")) {
        buffer_append(&parser->data, value, value_length);
        buffer_append_byte(&parser->data, '\n');
    } else if (is(name, name_length, "id")) {
        if (memchr(value, '\0', value_length))
            return;
        buffer_reset(&parser->id);
        buffer_append(&parser->id, value, value_length);
    } else if (is(name, name_length, "retry")) {
        set_retry(parser, value, value_length);
    }
}

static void process_line(struct parser *parser, const char *line, size_t length)
{
    if (length == 0) {
        dispatch_event(parser);
        return;
    }
    const char *colon = memchr(line, ':', length);
    if (colon == line) {
        parser->summary.comments++;
        return;
    }
    if (!colon) {
        process_field(parser, line, length, line + length, 0);
        return;
    }
    const char *value = colon + 1;
    size_t value_length = length - (size_t)(value - line);
    if (value_length > 0 && value[0] == ' ') {
        value++;
        value_length--;
    }
    process_field(parser, line, (size_t)(colon - line), value, value_length);
}

static bool is_valid_utf8(const char *bytes, size_t length)
{
    struct buffer decoded = { 0 };
    expect_decoded(&decoded, bytes, length);
    bool valid = decoded.size == length && (length == 0 || memcmp(decoded.data, bytes, length) == 0);
    buffer_free(&decoded);
    return valid;
}

struct event_source_summary event_source_parse(const char *bytes, size_t length,
                                               event_source_dispatch *dispatch, void *context)
{
    struct parser parser = { .dispatch = dispatch, .context = context };
    parser.summary.is_valid_utf8 = is_valid_utf8(bytes, length);

    size_t start = 0;
    size_t finished = 0;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != '\r' && bytes[i] != '\n')
            continue;
        bool is_blank = i == start;
        process_line(&parser, bytes + start, i - start);
        if (bytes[i] == '\r' && i + 1 < length && bytes[i + 1] == '\n')
            i++;
        start = i + 1;
        if (is_blank)
            finished = start;
    }
    parser.summary.unfinished_bytes = length - finished;

    buffer_free(&parser.data);
    buffer_free(&parser.type);
    buffer_free(&parser.id);
    return parser.summary;
}

/* How many bytes follow this first byte, and the range of the first of them; -1: not a first byte. */
static int continuation_count(unsigned char first, unsigned char *ret_lower, unsigned char *ret_upper)
{
    *ret_lower = 0x80;
    *ret_upper = 0xBF;
    if (first <= 0x7F)
        return 0;
    if (first >= 0xC2 && first <= 0xDF)
        return 1;
    if (first >= 0xE0 && first <= 0xEF) {
        if (first == 0xE0)
            *ret_lower = 0xA0;
        if (first == 0xED)
            *ret_upper = 0x9F;
        return 2;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        if (first == 0xF0)
            *ret_lower = 0x90;
        if (first == 0xF4)
            *ret_upper = 0x8F;
        return 3;
    }
    return -1;
}

void expect_decoded(struct buffer *out, const char *bytes, size_t length)
{
    size_t i = 0;
    while (i < length) {
        unsigned char lower;
        unsigned char upper;
        size_t start = i;
        int needed = continuation_count((unsigned char)bytes[i++], &lower, &upper);
        bool valid = needed >= 0;
        for (; valid && needed > 0; needed--) {
            valid = i < length && (unsigned char)bytes[i] >= lower && (unsigned char)bytes[i] <= upper;
            if (valid)
                i++; /* a byte that does not belong is looked at again, as a first byte */
            lower = 0x80;
            upper = 0xBF;
        }
        if (valid)
            buffer_append(out, bytes + start, i - start);
        else
            buffer_append_text(out, REPLACEMENT);
    }
}

void expect_data(struct buffer *out, const char *bytes, size_t length)
{
    struct buffer decoded = { 0 };
    expect_decoded(&decoded, bytes, length);
    for (size_t i = 0; i < decoded.size; i++) {
        if (decoded.data[i] == '\r' && i + 1 < decoded.size && decoded.data[i + 1] == '\n')
            continue;
        buffer_append_byte(out, decoded.data[i] == '\r' ? '\n' : decoded.data[i]);
    }
    buffer_free(&decoded);
}

void expect_field(struct buffer *out, const char *bytes, size_t length)
{
    struct buffer decoded = { 0 };
    expect_decoded(&decoded, bytes, length);
    for (size_t i = 0; i < decoded.size; i++) {
        if (decoded.data[i] == '\r' || decoded.data[i] == '\n' || decoded.data[i] == '\0')
            buffer_append_text(out, REPLACEMENT);
        else
            buffer_append_byte(out, decoded.data[i]);
    }
    buffer_free(&decoded);
}
