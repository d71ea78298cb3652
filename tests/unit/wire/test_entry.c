#include "wire/entry.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/payload.h"

#define FIELD(name, value)                                                                                   \
    {                                                                                                        \
        (name), sizeof(name) - 1, (value), sizeof(value) - 1                                                 \
    }
#define CHECK(expected, ...)                                                                                 \
    do {                                                                                                     \
        const struct entry_field list[] = { __VA_ARGS__ };                                                   \
        check(list, sizeof(list) / sizeof(list[0]), expected);                                               \
    } while (0)

static void check(const struct entry_field *fields, size_t count, const char *expected)
{
    struct buffer out = { 0 };
    entry_append_json(&out, fields, count);
    cr_assert(!out.failed);
    cr_assert(out.size == strlen(expected) && memcmp(out.data, expected, out.size) == 0,
              "expected %s, not %.*s", expected, (int)out.size, out.data);
    cr_assert(payload_is_json(out.data, out.size));
    buffer_free(&out);
}

Test(entry, fields_keep_their_order)
{
    CHECK("{\"b\":\"1\",\"a\":\"2\",\"c\":\"\"}", FIELD("b", "1"), FIELD("a", "2"), FIELD("c", ""));
    CHECK("{\"\":\"\"}", { NULL, 0, NULL, 0 });
    check(NULL, 0, "{}");
}

Test(entry, objects_and_arrays_are_embedded_as_they_are)
{
    CHECK("{\"a\":{ \"x\" : 1.00 }}", FIELD("a", "{ \"x\" : 1.00 }"));
    CHECK("{\"a\":[1,2]}", FIELD("a", "[1,2]"));
    CHECK("{\"a\": \r\n\t{}\n}", FIELD("a", " \r\n\t{}\n"));
    CHECK("{\"a\":[12345678901234567890123,1e999]}", FIELD("a", "[12345678901234567890123,1e999]"));
}

Test(entry, everything_else_stays_a_string)
{
    CHECK("{\"a\":\"1\"}", FIELD("a", "1"));
    CHECK("{\"a\":\"true\"}", FIELD("a", "true"));
    CHECK("{\"a\":\"null\"}", FIELD("a", "null"));
    CHECK("{\"a\":\"\\\"x\\\"\"}", FIELD("a", "\"x\""));
    CHECK("{\"a\":\"{\"}", FIELD("a", "{"));
    CHECK("{\"a\":\"{}}\"}", FIELD("a", "{}}"));
    CHECK("{\"a\":\"[1,]\"}", FIELD("a", "[1,]"));
    CHECK("{\"a\":\"{'x':1}\"}", FIELD("a", "{'x':1}"));
    CHECK("{\"a\":\"[1],\\\"b\\\":[2]\"}", FIELD("a", "[1],\"b\":[2]"));
    CHECK("{\"a\":\" \"}", FIELD("a", " "));
    CHECK("{\"a\":\"x\\u0000\\n\xC3\xA4\"}", FIELD("a", "x\0\n\xC3\xA4"));
}

Test(entry, nesting_that_is_too_deep_is_a_string)
{
    size_t depth = 100000;
    char *nested = malloc(2 * depth);
    cr_assert_not_null(nested);
    memset(nested, '[', depth);
    memset(nested + depth, ']', depth);
    const struct entry_field field = { "a", 1, nested, 2 * depth };
    struct buffer out = { 0 };
    entry_append_json(&out, &field, 1);
    cr_assert_eq(memcmp(out.data, "{\"a\":\"[[[", 9), 0);
    cr_assert(payload_is_json(out.data, out.size));
    buffer_free(&out);
    free(nested);
}

Test(entry, what_is_not_utf8_becomes_base64)
{
    CHECK("{\"a\":{\"base64\":\"/w==\"}}", FIELD("a", "\xFF"));
    CHECK("{\"a\":{\"base64\":\"//8=\"}}", FIELD("a", "\xFF\xFF"));
    CHECK("{\"a\":{\"base64\":\"////\"}}", FIELD("a", "\xFF\xFF\xFF"));
    CHECK("{\"a\":{\"base64\":\"+/9hAA==\"}}", FIELD("a", "\xFB\xFF\x61\0"));
    CHECK("{\"a\":{\"base64\":\"7aCA\"}}", FIELD("a", "\xED\xA0\x80"));
    CHECK("{\"a\":{\"base64\":\"eyJ4IjoiwyJ9\"}}", FIELD("a", "{\"x\":\"\xC3\"}"));
}

Test(entry, a_name_that_is_not_utf8_is_repaired)
{
    CHECK("{\"a\xEF\xBF\xBD\":\"1\"}", FIELD("a\xFF", "1"));
    CHECK("{\"\\\"\\u0000\":\"1\"}", FIELD("\"\0", "1"));
}

Test(entry, repeated_names_become_an_array)
{
    CHECK("{\"a\":[\"1\",\"2\"]}", FIELD("a", "1"), FIELD("a", "2"));
    CHECK("{\"a\":[\"1\",[2],{\"base64\":\"/w==\"}],\"b\":\"x\"}", FIELD("a", "1"), FIELD("b", "x"),
          FIELD("a", "[2]"), FIELD("a", "\xFF"));
    CHECK("{\"b\":[\"1\",\"4\"],\"a\":[\"2\",\"3\"],\"ab\":\"5\"}", FIELD("b", "1"), FIELD("a", "2"),
          FIELD("a", "3"), FIELD("b", "4"), FIELD("ab", "5"));
    /* Two names that look the same to a reader are one. */
    CHECK("{\"\xEF\xBF\xBD\":[\"1\",\"2\",\"3\"]}", FIELD("\xFF", "1"), FIELD("\xFE", "2"),
          FIELD("\xEF\xBF\xBD", "3"));
}

Test(entry, very_many_fields)
{
    size_t count = 100000;
    struct entry_field *fields = calloc(count, sizeof(*fields));
    char(*names)[8] = calloc(count, sizeof(*names));
    for (size_t i = 0; i < count; i++) {
        int length = snprintf(names[i], sizeof(names[i]), "%zu", i % (count / 2));
        fields[i] = (struct entry_field){ names[i], (size_t)length, "v", 1 };
    }
    struct buffer out = { 0 };
    entry_append_json(&out, fields, count);
    cr_assert(!out.failed);
    json_t *value = json_loadb(out.data, out.size, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_eq(json_object_size(value), count / 2);
    cr_assert_eq(json_array_size(json_object_get(value, "77")), 2);
    json_decref(value);
    buffer_free(&out);
    free(names);
    free(fields);
}

Test(entry, appends_and_fails_with_its_buffer)
{
    const struct entry_field field = FIELD("a", "1");
    struct buffer out = { 0 };
    buffer_append_text(&out, "x");
    entry_append_json(&out, &field, 1);
    cr_assert_eq(out.size, strlen("x{\"a\":\"1\"}"));
    cr_assert(!buffer_reserve(&out, SIZE_MAX));
    entry_append_json(&out, &field, 1);
    cr_assert(out.failed);
    buffer_free(&out);
}

/* Read back by another parser, which takes no NUL in a name: whatever the bytes, it is JSON and nothing is
 * lost. */
Test(entry, is_json_for_every_pair_of_bytes)
{
    for (unsigned first = 1; first < 256; first++) {
        for (unsigned second = 1; second < 256; second++) {
            char bytes[] = { (char)first, (char)second };
            const struct entry_field fields[] = { { bytes, 2, bytes, 2 }, { bytes, 2, bytes, 1 } };
            struct buffer out = { 0 };
            entry_append_json(&out, fields, 2);
            json_t *value = json_loadb(out.data, out.size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
            cr_assert(json_is_object(value), "%02x %02x", first, second);
            cr_assert_eq(json_object_size(value), 1);
            cr_assert_eq(json_array_size(json_object_iter_value(json_object_iter(value))), 2);
            json_decref(value);
            buffer_free(&out);
        }
    }
}
