#include "sse_reader.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "inflater.h"
#include "webdis.h"

/* --- what is unfinished
 * ------------------------------------------------------------------------------------------------------- */

static void forget_unfinished(struct sse_reader *reader)
{
    free(reader->unfinished);
    reader->unfinished = NULL;
    reader->unfinished_length = reader->unfinished_capacity = 0;
}

static bool keep_unfinished(struct sse_reader *reader, const char *bytes, size_t count)
{
    size_t length = reader->unfinished_length + count;
    if (length > SSE_READER_UNFINISHED_MAX)
        return false;
    if (length > reader->unfinished_capacity) {
        size_t capacity = reader->unfinished_capacity ? length * 2 : length;
        char *memory = realloc(reader->unfinished, capacity);
        if (!memory)
            abort(); /* a measurement that drops data is worth nothing */
        reader->unfinished = memory;
        reader->unfinished_capacity = (uint32_t)capacity;
    }
    memcpy(reader->unfinished + reader->unfinished_length, bytes, count);
    reader->unfinished_length = (uint32_t)length;
    return true;
}

/* --- head
 * ---------------------------------------------------------------------------------------------------------
 */

static bool header_contains(const char *head, size_t length, const char *name, const char *value)
{
    const char *end = head + length;
    for (const char *line = head; line < end;) {
        const char *line_end = memchr(line, '\n', (size_t)(end - line));
        if (!line_end)
            return false;
        size_t name_length = strlen(name);
        if ((size_t)(line_end - line) > name_length && line[name_length] == ':' &&
            strncasecmp(line, name, name_length) == 0 &&
            memmem(line, (size_t)(line_end - line), value, strlen(value)))
            return true;
        line = line_end + 1;
    }
    return false;
}

static bool head_opens_a_stream(const char *head, size_t length, enum sse_format format)
{
    const char *type = format == SSE_FORMAT_WEBDIS ? "application/json" : "text/event-stream";
    return length > 12 && memcmp(head, "HTTP/1.", 7) == 0 && memcmp(head + 8, " 200", 4) == 0 &&
           header_contains(head, length, "content-type", type);
}

/* --- chunked transfer coding (RFC 9112, section 7.1), without extensions and trailers
 * ------------------------------ */

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

/* Moves the data of the chunks together at the start of `bytes`. False when a size is no number. */
static bool unchunk(struct sse_reader *reader, char *bytes, size_t length, size_t *ret_length)
{
    size_t out = 0;
    for (size_t in = 0; in < length;) {
        if (reader->chunk_phase == SSE_CHUNK_DATA) {
            size_t take = length - in < reader->chunk_left ? length - in : (size_t)reader->chunk_left;
            memmove(bytes + out, bytes + in, take);
            out += take;
            in += take;
            reader->chunk_left -= take;
            if (reader->chunk_left == 0)
                reader->chunk_phase = SSE_CHUNK_DATA_END;
            continue;
        }
        char byte = bytes[in++];
        if (reader->chunk_phase == SSE_CHUNK_DATA_END) {
            if (byte == '\n')
                reader->chunk_phase = SSE_CHUNK_SIZE;
        } else if (byte == '\n') {
            reader->chunk_phase = reader->chunk_left ? SSE_CHUNK_DATA : SSE_CHUNK_DATA_END;
        } else if (byte != '\r') {
            int digit = hex_digit(byte);
            if (digit < 0 || reader->chunk_left > UINT32_MAX)
                return false;
            reader->chunk_left = reader->chunk_left * 16 + (unsigned)digit;
        }
    }
    *ret_length = out;
    return true;
}

/* --- events
 * ------------------------------------------------------------------------------------------------------- */

static bool take_field(const char *line, size_t length, const char *field, struct sse_slice *ret_value)
{
    size_t field_length = strlen(field);
    if (length < field_length || memcmp(line, field, field_length) != 0)
        return false;
    size_t skip = length > field_length && line[field_length] == ' ' ? field_length + 1 : field_length;
    *ret_value = (struct sse_slice){ line + skip, length - skip };
    return true;
}

/* Reads whole blocks and returns where the first unfinished one begins. */
static const char *take_blocks(const char *bytes, const char *end, const struct sse_sink *sink)
{
    const char *block = bytes;
    struct sse_slice name = { 0 }, data = { 0 }, retry = { 0 };
    unsigned data_lines = 0;
    const char *line = bytes;
    const char *line_end;
    while (line < end && (line_end = memchr(line, '\n', (size_t)(end - line)))) {
        size_t length = (size_t)(line_end - line);
        if (length && line[length - 1] == '\r')
            length--;
        if (length == 0) {
            if (data_lines)
                sink->event(sink->context, name, data, data_lines);
            if (retry.bytes)
                sink->retry(sink->context);
            name = data = retry = (struct sse_slice){ 0 };
            data_lines = 0;
            block = line_end + 1;
        } else if (take_field(line, length, "data:", &data)) {
            data_lines++;
        } else if (!take_field(line, length, "event:", &name)) {
            take_field(line, length, "retry:", &retry);
        }
        line = line_end + 1;
    }
    return block;
}

/* Takes bytes that are neither chunked nor compressed any more. */
static bool take_events(struct sse_reader *reader, const char *bytes, size_t count,
                        const struct sse_sink *sink)
{
    bool is_webdis = reader->format == SSE_FORMAT_WEBDIS;
    if (reader->unfinished_length == 0) {
        const char *rest =
            is_webdis ? webdis_take(bytes, bytes + count, sink) : take_blocks(bytes, bytes + count, sink);
        size_t left = (size_t)(bytes + count - rest);
        if (left == 0) /* most reads end with an event: an idle client holds nothing */
            return true;
        return keep_unfinished(reader, rest, left);
    }
    if (!keep_unfinished(reader, bytes, count))
        return false;
    /* A large event comes in many pieces, of which only the last is worth a look at the whole. */
    if (!memchr(bytes, is_webdis ? '}' : '\n', count))
        return true;
    const char *end = reader->unfinished + reader->unfinished_length;
    const char *rest =
        is_webdis ? webdis_take(reader->unfinished, end, sink) : take_blocks(reader->unfinished, end, sink);
    reader->unfinished_length = (uint32_t)(end - rest);
    if (reader->unfinished_length == 0)
        forget_unfinished(reader);
    else
        memmove(reader->unfinished, rest, reader->unfinished_length);
    return true;
}

struct inflated {
    struct sse_reader *reader;
    const struct sse_sink *sink;
};

static bool take_inflated(void *context, const char *bytes, size_t count)
{
    struct inflated *inflated = context;
    return take_events(inflated->reader, bytes, count, inflated->sink);
}

static bool take_body(struct sse_reader *reader, char *bytes, size_t count, const struct sse_sink *sink)
{
    if (reader->chunked && !unchunk(reader, bytes, count, &count))
        return false;
    if (!reader->inflater)
        return take_events(reader, bytes, count, sink);
    struct inflated inflated = { reader, sink };
    return inflater_take(reader->inflater, bytes, count, take_inflated, &inflated);
}

static bool take_head(struct sse_reader *reader, const char *bytes, size_t count, const struct sse_sink *sink)
{
    if (!keep_unfinished(reader, bytes, count))
        return false;
    char *head = reader->unfinished;
    size_t length = reader->unfinished_length;
    char *blank = memmem(head, length, "\r\n\r\n", 4);
    if (!blank)
        return true;
    size_t head_length = (size_t)(blank + 2 - head);
    if (!head_opens_a_stream(head, head_length, reader->format))
        return false;
    reader->chunked = header_contains(head, head_length, "transfer-encoding", "chunked");
    if (header_contains(head, head_length, "content-encoding", "gzip") &&
        !(reader->inflater = inflater_create()))
        return false;
    reader->phase = SSE_READER_EVENTS;
    reader->unfinished = NULL;
    reader->unfinished_length = reader->unfinished_capacity = 0;
    sink->head(sink->context);
    bool good = take_body(reader, blank + 4, (size_t)(head + length - blank - 4), sink);
    free(head);
    return good;
}

bool sse_reader_take(struct sse_reader *reader, char *bytes, size_t count, const struct sse_sink *sink)
{
    if (reader->phase == SSE_READER_HEAD)
        return take_head(reader, bytes, count, sink);
    return take_body(reader, bytes, count, sink);
}

void sse_reader_free(struct sse_reader *reader)
{
    forget_unfinished(reader);
    inflater_destroy(reader->inflater);
    reader->inflater = NULL;
}
