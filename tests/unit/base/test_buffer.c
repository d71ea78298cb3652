#include "base/buffer.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void expect(const struct buffer *buffer, const char *bytes, size_t length)
{
    cr_assert_not(buffer->failed);
    cr_assert_eq(buffer->size, length, "%zu bytes instead of %zu: %.*s", buffer->size, length,
                 (int)buffer->size, buffer->data ? buffer->data : "");
    cr_assert(length == 0 || memcmp(buffer->data, bytes, length) == 0, "got %.*s", (int)buffer->size,
              buffer->data);
}

static void expect_text(const struct buffer *buffer, const char *text)
{
    expect(buffer, text, strlen(text));
}

Test(buffer, builds_from_pieces)
{
    struct buffer out = { 0 };
    buffer_append_text(&out, "id: ");
    buffer_append(&out, "a\0b", 3);
    buffer_append_byte(&out, '\n');
    buffer_append_unsigned(&out, 0);
    buffer_append_byte(&out, ' ');
    buffer_append_unsigned(&out, UINT64_MAX);
    buffer_printf(&out, " %s=%d", "n", -5);
    buffer_append(&out, NULL, 0);
    expect(&out, "id: a\0b\n0 18446744073709551615 n=-5", 8 + 27);
    buffer_free(&out);
    cr_assert_null(out.data);
}

Test(buffer, grows_and_keeps_content)
{
    struct buffer out = { 0 };
    for (unsigned i = 0; i < 100000; i++)
        buffer_append_byte(&out, (char)(i % 251));
    cr_assert_eq(out.size, 100000);
    cr_assert_leq(out.capacity, 2 * out.size);
    for (unsigned i = 0; i < 100000; i++)
        cr_assert_eq(out.data[i], (char)(i % 251));
    buffer_free(&out);
}

Test(buffer, printf_longer_than_any_scratch)
{
    struct buffer out = { 0 };
    buffer_printf(&out, "%5000d|", 7);
    cr_assert_eq(out.size, 5001);
    cr_assert_eq(out.data[4999], '7');
    cr_assert_eq(out.data[5000], '|');
    buffer_free(&out);
}

Test(buffer, failure_is_sticky_until_reset)
{
    struct buffer out = { 0 };
    buffer_append_text(&out, "lost");
    cr_assert_not(buffer_reserve(&out, SIZE_MAX - 2));
    cr_assert(out.failed);
    cr_assert_null(out.data);
    cr_assert_eq(out.size, 0);
    buffer_append_text(&out, "more");
    buffer_printf(&out, "%d", 1);
    buffer_append_json_string(&out, "x", 1);
    cr_assert(out.failed);
    cr_assert_eq(out.size, 0);
    size_t size = 1;
    cr_assert_null(buffer_take(&out, &size));
    cr_assert_eq(size, 0);

    buffer_reset(&out);
    buffer_append_text(&out, "again");
    expect_text(&out, "again");
    buffer_free(&out);
}

Test(buffer, reset_keeps_memory)
{
    struct buffer out = { 0 };
    buffer_append_text(&out, "first");
    size_t capacity = out.capacity;
    buffer_reset(&out);
    cr_assert_eq(out.size, 0);
    cr_assert_eq(out.capacity, capacity);
    buffer_free(&out);
}

Test(buffer, take_hands_over)
{
    struct buffer out = { 0 };
    size_t size;
    cr_assert_null(buffer_take(&out, &size));
    buffer_append_text(&out, "mine");
    char *data = buffer_take(&out, &size);
    cr_assert_eq(size, 4);
    cr_assert_eq(memcmp(data, "mine", 4), 0);
    cr_assert_null(out.data);
    cr_assert_eq(out.capacity, 0);
    free(data);
}

static void expect_json(const char *bytes, size_t length, const char *json)
{
    struct buffer out = { 0 };
    buffer_append_json_string(&out, bytes, length);
    expect_text(&out, json);
    buffer_free(&out);
}

Test(buffer, json_strings)
{
    expect_json("", 0, "\"\"");
    expect_json("plain / text", 12, "\"plain / text\"");
    expect_json("\"\\\b\f\n\r\t", 7, "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
    expect_json("\0\x1f\x7f", 3, "\"\\u0000\\u001f\x7f\"");
    expect_json("gr\xC3\xBC\xC3\x9F", 6, "\"gr\xC3\xBC\xC3\x9F\"");
    expect_json("a\xFF\xE2\x82", 4, "\"a\xEF\xBF\xBD\xEF\xBF\xBD\"");
    expect_json("\xED\xA0\x80z", 4, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\"");
}
