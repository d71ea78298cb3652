/* Positions in streams and channels come back from an id as they went in, and what is taken as an id means
 * what it says. Input: number of streams, whether there are channels, tag, positions, an id. */
#include <string.h>

#include "fuzz.h"
#include "wire/composite_cursor.h"

#define STREAMS_MAX 8

static uint64_t take_number(struct input *input)
{
    struct input part = input_take(input, 8);
    uint64_t number = 0;
    for (size_t i = 0; i < part.length; i++)
        number = number << 8 | (unsigned char)part.bytes[i];
    return number;
}

static void format(struct buffer *out, const struct cursor *channels, uint32_t tag,
                   const struct entry_id *positions, size_t count)
{
    composite_cursor_begin(out, channels, tag);
    for (size_t i = 0; i < count; i++)
        composite_cursor_add(out, positions[i]);
    REQUIRE(!out->failed);
    for (size_t i = 0; i < out->size; i++)
        REQUIRE(!strchr("\"():<>?@[\\]{} \t\r\n", out->data[i]));
}

static void check_same(const struct buffer *text, const struct cursor *channels, uint32_t tag,
                       const struct entry_id *positions, size_t count)
{
    struct entry_id read[STREAMS_MAX];
    struct cursor cursor;
    bool has_channels;
    REQUIRE(composite_cursor_parse(text->data, text->size, tag, count, read, &has_channels, &cursor));
    REQUIRE(has_channels == (channels != NULL));
    REQUIRE(!channels || (cursor.epoch == channels->epoch && cursor.sequence == channels->sequence));
    for (size_t i = 0; i < count; i++)
        REQUIRE(entry_id_compare(read[i], positions[i]) == 0);
    REQUIRE(!composite_cursor_parse(text->data, text->size, tag + 1, count, read, &has_channels, &cursor));
    REQUIRE(
        !composite_cursor_parse(text->data, text->size - 1, tag, count + 1, read, &has_channels, &cursor) ||
        count + 1 > STREAMS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    size_t count = input_take_byte(&input) % (STREAMS_MAX - 1) + 1;
    bool has_channels = input_take_byte(&input) % 2;
    uint32_t tag = (uint32_t)take_number(&input);
    struct cursor channels = { .epoch = take_number(&input), .sequence = take_number(&input) };
    struct entry_id positions[STREAMS_MAX];
    for (size_t i = 0; i < count; i++)
        positions[i] = (struct entry_id){ .ms = take_number(&input), .sequence = take_number(&input) };

    struct buffer text = { 0 };
    format(&text, has_channels ? &channels : NULL, tag, positions, count);
    check_same(&text, has_channels ? &channels : NULL, tag, positions, count);

    /* What is left is somebody else's id. */
    if (composite_cursor_parse(input.bytes, input.length, tag, count, positions, &has_channels, &channels)) {
        buffer_reset(&text);
        format(&text, has_channels ? &channels : NULL, tag, positions, count);
        check_same(&text, has_channels ? &channels : NULL, tag, positions, count);
    }
    buffer_free(&text);
    return 0;
}
