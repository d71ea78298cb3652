/* The reader of `sluice tail` sees what a parser sees that follows the standard to the letter, in pieces of
 * any size. Input: length of the pieces, text/event-stream. */
#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"
#include "command/event_reader.h"
#include "event_source.h"
#include "fuzz.h"

#define BYTE_ORDER_MARK "\xEF\xBB\xBF"

static void write_down(struct buffer *out, const char *name, size_t name_length, const char *data,
                       size_t length)
{
    buffer_append(out, name, name_length);
    buffer_append_byte(out, '\0');
    buffer_append(out, data, length);
    buffer_append_byte(out, '\0');
}

static void on_expected(void *context, const struct received_event *event)
{
    write_down(context, event->type, event->type_length, event->data, event->data_length);
}

static bool on_event(void *context, const struct event_view *event)
{
    write_down(context, event->name, event->name_length, event->data, event->data_length);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    size_t piece = (size_t)input_take_byte(&input) + 1;
    struct input stream = input;
    struct buffer expected = { 0 }, seen = { 0 };
    struct event_reader reader = { .on_event = on_event, .context = &seen };
    while (input.length > 0) {
        struct input part = input_take(&input, piece);
        REQUIRE(event_reader_feed(&reader, part.bytes, part.length));
    }
    event_source_parse(stream.bytes, stream.length, on_expected, &expected);
    /* It leaves the bytes as they are, and no gateway sends a byte order mark. */
    bool has_mark = stream.length >= 3 && memcmp(stream.bytes, BYTE_ORDER_MARK, 3) == 0;
    if (!has_mark && utf8_valid_prefix(stream.bytes, stream.length) == stream.length) {
        REQUIRE(seen.size == expected.size);
        REQUIRE(seen.size == 0 || memcmp(seen.data, expected.data, seen.size) == 0);
    }
    event_reader_restart(&reader);
    event_reader_free(&reader);
    buffer_free(&expected);
    buffer_free(&seen);
    return 0;
}
