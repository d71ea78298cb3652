#include "wire/composite_cursor.h"

#include <inttypes.h>
#include <string.h>

#define SEPARATOR '~'
#define TAG_DIGITS 8
#define BASE 36
#define BASE36_DIGITS_MAX 13 /* of 2^64 - 1 */

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";

static void append_base36(struct buffer *out, uint64_t value)
{
    char text[BASE36_DIGITS_MAX];
    size_t at = sizeof(text);
    do {
        text[--at] = digits[value % BASE];
        value /= BASE;
    } while (value > 0);
    buffer_append(out, text + at, sizeof(text) - at);
}

static bool parse_base36(const char *text, size_t length, uint64_t *ret_value)
{
    if (length == 0 || length > BASE36_DIGITS_MAX)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++) {
        const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
        if (!digit || __builtin_mul_overflow(value, (uint64_t)BASE, &value) ||
            __builtin_add_overflow(value, (uint64_t)(digit - digits), &value))
            return false;
    }
    *ret_value = value;
    return true;
}

void composite_cursor_begin(struct buffer *out, const struct cursor *channels, uint32_t tag)
{
    if (channels) {
        char text[CURSOR_LENGTH_MAX];
        buffer_append(out, text, cursor_format(channels, text));
    }
    buffer_printf(out, "%c%0*" PRIx32, SEPARATOR, TAG_DIGITS, tag);
}

void composite_cursor_add(struct buffer *out, struct entry_id position)
{
    buffer_append_byte(out, SEPARATOR);
    append_base36(out, position.ms);
    buffer_append_byte(out, '.');
    append_base36(out, position.sequence);
}

/* The text up to the next separator; *text moves behind it. */
static size_t next_part(const char **text, const char *end, const char **ret_part)
{
    const char *separator = *text < end ? memchr(*text, SEPARATOR, (size_t)(end - *text)) : NULL;
    size_t length = (size_t)((separator ? separator : end) - *text);
    *ret_part = *text;
    *text = separator ? separator + 1 : end;
    return length;
}

static bool parse_position(const char *part, size_t length, struct entry_id *ret_position)
{
    const char *dot = memchr(part, '.', length);
    if (!dot)
        return false;
    size_t ms_length = (size_t)(dot - part);
    return parse_base36(part, ms_length, &ret_position->ms) &&
           parse_base36(dot + 1, length - ms_length - 1, &ret_position->sequence);
}

bool composite_cursor_parse(const char *text, size_t length, uint32_t tag, size_t position_count,
                            struct entry_id *ret_positions, bool *ret_has_channels,
                            struct cursor *ret_channels)
{
    const char *end = text + length;
    const char *part;
    size_t part_length = next_part(&text, end, &part);
    *ret_has_channels = part_length > 0;
    if (part_length > 0 && (!cursor_parse(part, part_length, ret_channels) || ret_channels->complete))
        return false;
    struct buffer wanted = { 0 };
    buffer_printf(&wanted, "%0*" PRIx32, TAG_DIGITS, tag);
    part_length = next_part(&text, end, &part);
    bool valid = !wanted.failed && part_length == wanted.size && memcmp(part, wanted.data, part_length) == 0;
    buffer_free(&wanted);
    for (size_t i = 0; i < position_count && valid; i++) {
        part_length = next_part(&text, end, &part);
        valid = part_length > 0 && parse_position(part, part_length, &ret_positions[i]);
    }
    return valid && text == end && length > 0 && end[-1] != SEPARATOR;
}

/* FNV-1a, 32 bits. */
uint32_t composite_cursor_tag(uint32_t tag, const char *stream, size_t length)
{
    if (tag == 0)
        tag = UINT32_C(2166136261);
    for (size_t i = 0; i < length; i++)
        tag = (tag ^ (unsigned char)stream[i]) * UINT32_C(16777619);
    return (tag ^ 0x100) * UINT32_C(16777619); /* no byte is 0x100, so ("a","bc") is not ("ab","c") */
}
