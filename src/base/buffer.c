#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define BUFFER_CAPACITY_MIN 64

static void buffer_fail(struct buffer *buffer)
{
    buffer_free(buffer);
    buffer->failed = true;
}

bool buffer_reserve(struct buffer *buffer, size_t extra)
{
    if (buffer->failed)
        return false;
    if (extra <= buffer->capacity - buffer->size)
        return true;
    /* Half of the address space, so that doubling cannot overflow; malloc() refuses far smaller sizes anyway.
     */
    if (extra > SIZE_MAX / 2 - buffer->size) {
        buffer_fail(buffer);
        return false;
    }
    size_t needed = buffer->size + extra;
    size_t capacity = buffer->capacity * 2;
    if (capacity < BUFFER_CAPACITY_MIN)
        capacity = BUFFER_CAPACITY_MIN;
    if (capacity < needed)
        capacity = needed;
    char *data = realloc(buffer->data, capacity);
    if (!data) {
        buffer_fail(buffer);
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    if (length == 0 || !buffer_reserve(buffer, length))
        return;
    memcpy(buffer->data + buffer->size, bytes, length);
    buffer->size += length;
}

void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_append_byte(struct buffer *buffer, char byte)
{
    buffer_append(buffer, &byte, 1);
}

void buffer_append_unsigned(struct buffer *buffer, uint64_t value)
{
    char digits[20]; /* UINT64_MAX has 20 */
    size_t start = sizeof digits;
    do {
        digits[--start] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buffer_append(buffer, digits + start, sizeof digits - start);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        buffer_fail(buffer);
        return;
    }
    if (!buffer_reserve(buffer, (size_t)length + 1)) /* vsnprintf() insists on its NUL */
        return;
    va_start(arguments, format);
    vsnprintf(buffer->data + buffer->size, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->size += (size_t)length;
}

/* The escape for one byte inside a JSON string, or NULL if it stands for itself. `scratch` holds 7 bytes. */
static const char *json_escape(unsigned char byte, char *scratch)
{
    switch (byte) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        break;
    }
    if (byte >= 0x20)
        return NULL;
    snprintf(scratch, 7, "\\u%04x", (unsigned)byte);
    return scratch;
}

/* Valid UTF-8, without the quotes: what needs no escape is copied in runs. */
static void append_json_escaped(struct buffer *buffer, const char *bytes, size_t length)
{
    size_t run = 0;
    for (size_t i = 0; i < length; i++) {
        char scratch[7];
        const char *escape = json_escape((unsigned char)bytes[i], scratch);
        if (!escape)
            continue;
        buffer_append(buffer, bytes + run, i - run);
        buffer_append_text(buffer, escape);
        run = i + 1;
    }
    buffer_append(buffer, bytes + run, length - run);
}

void buffer_append_json_string(struct buffer *buffer, const char *bytes, size_t length)
{
    buffer_append_byte(buffer, '"');
    while (length > 0) {
        size_t valid = utf8_valid_prefix(bytes, length);
        append_json_escaped(buffer, bytes, valid);
        bytes += valid;
        length -= valid;
        if (length == 0)
            break;
        size_t invalid = utf8_invalid_length(bytes, length);
        buffer_append_text(buffer, UTF8_REPLACEMENT);
        bytes += invalid;
        length -= invalid;
    }
    buffer_append_byte(buffer, '"');
}

void buffer_reset(struct buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){ 0 };
}

char *buffer_take(struct buffer *buffer, size_t *ret_size)
{
    *ret_size = buffer->size;
    if (buffer->failed)
        return NULL;
    if (buffer->size == 0) {
        buffer_free(buffer);
        return NULL;
    }
    char *data = buffer->data;
    *buffer = (struct buffer){ 0 };
    return data;
}
