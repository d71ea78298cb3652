#include "sse_reader.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

size_t sse_reader_restore(struct sse_reader *reader, char *buffer)
{
    size_t kept = reader->unfinished_length;
    if (kept)
        memcpy(buffer, reader->unfinished, kept);
    reader->unfinished_length = 0;
    return kept;
}

static bool keep_unfinished(struct sse_reader *reader, const char *bytes, size_t length)
{
    if (length > SSE_READER_UNFINISHED_MAX)
        return false;
    if (length == 0) { /* most reads end with an event: an idle client holds nothing */
        sse_reader_free(reader);
        return true;
    }
    char *memory = realloc(reader->unfinished, length);
    if (!memory)
        abort(); /* a measurement that drops data is worth nothing */
    memcpy(memory, bytes, length);
    reader->unfinished = memory;
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

static bool head_opens_a_stream(const char *head, size_t length)
{
    return length > 12 && memcmp(head, "HTTP/1.", 7) == 0 && memcmp(head + 8, " 200", 4) == 0 &&
           header_contains(head, length, "content-type", "text/event-stream");
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

bool sse_reader_take(struct sse_reader *reader, char *buffer, size_t kept, size_t count,
                     const struct sse_sink *sink)
{
    char *start = buffer;
    char *end = buffer + kept + count;
    char *fresh = buffer + kept; /* not unchunked yet */
    if (reader->phase == SSE_READER_HEAD) {
        char *blank = memmem(buffer, kept + count, "\r\n\r\n", 4);
        if (!blank)
            return keep_unfinished(reader, buffer, kept + count);
        size_t head_length = (size_t)(blank + 2 - buffer);
        if (!head_opens_a_stream(buffer, head_length))
            return false;
        reader->chunked = header_contains(buffer, head_length, "transfer-encoding", "chunked");
        reader->phase = SSE_READER_EVENTS;
        sink->head(sink->context);
        start = fresh = blank + 4;
    }
    if (reader->chunked) {
        size_t length;
        if (!unchunk(reader, fresh, (size_t)(end - fresh), &length))
            return false;
        end = fresh + length;
    }
    const char *rest = take_blocks(start, end, sink);
    return keep_unfinished(reader, rest, (size_t)(end - rest));
}

void sse_reader_free(struct sse_reader *reader)
{
    free(reader->unfinished);
    reader->unfinished = NULL;
    reader->unfinished_length = 0;
}
