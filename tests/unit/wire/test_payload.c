#include "wire/payload.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct sample {
    const char *bytes;
    size_t length;
};
#define SAMPLE(text)                                                                                         \
    {                                                                                                        \
        (text), sizeof(text) - 1                                                                             \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct sample terminal[] = {
    SAMPLE("{\"status\":\"COMPLETED\"}"),
    SAMPLE("{\"status\":\"PARTIAL\"}"),
    SAMPLE("{\"status\":\"FAILED\"}"),
    SAMPLE(" \t\r\n{ \"batchId\" : \"b\", \"status\"\n:\t\"COMPLETED\" , \"progress\":1e2 } \n"),
    SAMPLE("{\"status\":\"COMPLE\\u0054ED\"}"),
    SAMPLE("{\"st\\u0061tus\":\"FAILED\"}"),
    SAMPLE("{\"status\":\"RUNNING\",\"status\":\"FAILED\"}"), /* the last one counts, as in JSON.parse */
    SAMPLE("{\"status\":\"FAILED\",\"total\":123456789012345678901234567890}"),
    SAMPLE("{\"status\":\"FAILED\",\"total\":1e999}"),
    SAMPLE("{\"status\":\"FAILED\",\"text\":\"\\u0000\"}"),
    SAMPLE("{\"status\":\"FAILED\",\"\\u0000\":1}"),
    SAMPLE("{\"status\":\"FAILED\",\"text\":\"\\ud800\"}"),
};

static const struct sample objects[] = {
    SAMPLE("{}"),
    SAMPLE("{\"status\":\"RUNNING\"}"),
    SAMPLE("{\"status\":\"completed\"}"),
    SAMPLE("{\"status\":\"COMPLETED \"}"),
    SAMPLE("{\"status\":\"COMPLETED\\u0000\"}"),
    SAMPLE("{\"status\":\"FAIL\"}"),
    SAMPLE("{\"status\":null}"),
    SAMPLE("{\"status\":[\"COMPLETED\"]}"),
    SAMPLE("{\"status\":{\"status\":\"COMPLETED\"}}"),
    SAMPLE("{\"inner\":{\"status\":\"COMPLETED\"}}"),
    SAMPLE("{\"Status\":\"COMPLETED\"}"),
    SAMPLE("{\"status\":\"FAILED\",\"status\":\"RUNNING\"}"),
    SAMPLE("{\"note\":\"\\\"status\\\":\\\"COMPLETED\\\"\"}"),
};

static const struct sample values[] = {
    SAMPLE("[]"),
    SAMPLE("[{\"status\":\"COMPLETED\"}]"),
    SAMPLE("\"text\""),
    SAMPLE("\"{\\\"status\\\":\\\"COMPLETED\\\"}\""),
    SAMPLE("0"),
    SAMPLE("-1.5e+3"),
    SAMPLE("true"),
    SAMPLE(" null "),
    SAMPLE("\"\xC3\xA4\""),
    SAMPLE("\"\\u0000\""),
};

static const struct sample broken[] = {
    SAMPLE(""),
    SAMPLE(" "),
    SAMPLE("{"),
    SAMPLE("{\"status\":\"COMPLETED\""),
    SAMPLE("{\"status\":\"COMPLETED\"}}"),
    SAMPLE("{\"status\":\"COMPLETED\"} x"),
    SAMPLE("{\"status\":\"COMPLETED\"}{}"),
    SAMPLE("{\"status\":\"COMPLETED\",}"),
    SAMPLE("{'status':'COMPLETED'}"),
    SAMPLE("{status:\"COMPLETED\"}"),
    SAMPLE("{\"status\":\"COMPLETED\"}\0"),
    SAMPLE("[0,-4\0]"),
    SAMPLE("{\"a\":\"\xFF\"}"),
    SAMPLE("{\"a\":\"\xED\xA0\x80\"}"),
    SAMPLE("{\"a\":\"\n\"}"),
    SAMPLE("{\"a\":\"\0\"}"),
    SAMPLE("\xEF\xBB\xBF{}"),
    SAMPLE("[1,]"),
    SAMPLE("01"),
    SAMPLE("1."),
    SAMPLE(".5"),
    SAMPLE("+1"),
    SAMPLE("-"),
    SAMPLE("1e"),
    SAMPLE("0x1"),
    SAMPLE("NaN"),
    SAMPLE("Infinity"),
    SAMPLE("tru"),
    SAMPLE("trues"),
    SAMPLE("\"\\x\""),
    SAMPLE("\"\\u12\""),
    SAMPLE("1 2"),
    SAMPLE("plain text"),
    SAMPLE("/* c */ {}"),
    SAMPLE("[1 2]"),
    SAMPLE("{\"a\" 1}"),
    SAMPLE("{1:1}"),
    SAMPLE("[}"),
    SAMPLE("]"),
    SAMPLE("\"a"),
    SAMPLE("\"a\\\""),
};

Test(payload, tells_what_ends_a_batch)
{
    for (size_t i = 0; i < COUNT(terminal); i++) {
        cr_assert_eq(payload_classify(terminal[i].bytes, terminal[i].length), PAYLOAD_TERMINAL, "%s",
                     terminal[i].bytes);
        cr_assert(payload_is_json(terminal[i].bytes, terminal[i].length));
    }
    for (size_t i = 0; i < COUNT(objects); i++) {
        cr_assert_eq(payload_classify(objects[i].bytes, objects[i].length), PAYLOAD_OBJECT, "%s",
                     objects[i].bytes);
        cr_assert(payload_is_json(objects[i].bytes, objects[i].length));
    }
}

Test(payload, what_is_no_object_is_opaque)
{
    for (size_t i = 0; i < COUNT(values); i++) {
        cr_assert_eq(payload_classify(values[i].bytes, values[i].length), PAYLOAD_OPAQUE, "%s",
                     values[i].bytes);
        cr_assert(payload_is_json(values[i].bytes, values[i].length), "%s", values[i].bytes);
    }
    for (size_t i = 0; i < COUNT(broken); i++) {
        cr_assert_eq(payload_classify(broken[i].bytes, broken[i].length), PAYLOAD_OPAQUE, "%s",
                     broken[i].bytes);
        cr_assert(!payload_is_json(broken[i].bytes, broken[i].length), "%s", broken[i].bytes);
    }
    cr_assert_eq(payload_classify(NULL, 0), PAYLOAD_OPAQUE);
    cr_assert(!payload_is_json(NULL, 0));
}

Test(payload, every_prefix_of_an_object_is_opaque)
{
    static const char text[] =
        "{\"a\":[1,-2.5e3,true,null,\"x\\n\\u00e4\"],\"status\":\"COMPLETED\",\"b\":{}}";
    for (size_t length = 0; length < sizeof(text) - 1; length++) {
        /* A copy of just that length, so that the sanitizer sees any byte read behind it. */
        char *prefix = malloc(length > 0 ? length : 1);
        cr_assert_not_null(prefix);
        memcpy(prefix, text, length);
        cr_assert_eq(payload_classify(prefix, length), PAYLOAD_OPAQUE, "at %zu", length);
        free(prefix);
    }
    cr_assert_eq(payload_classify(text, sizeof(text) - 1), PAYLOAD_TERMINAL);
}

Test(payload, nesting_is_bounded)
{
    size_t depth = 1000000;
    char *nested = malloc(2 * depth);
    cr_assert_not_null(nested);
    memset(nested, '[', depth);
    memset(nested + depth, ']', depth);
    cr_assert(!payload_is_json(nested, 2 * depth));
    cr_assert(payload_is_json(nested + depth - 500, 1000));
    free(nested);
}

static void check_envelope(const char *channel, size_t channel_length, const char *bytes, size_t length,
                           const char *expected)
{
    struct buffer out = { 0 };
    payload_append_envelope(&out, channel, channel_length, bytes, length);
    cr_assert(!out.failed);
    cr_assert_eq(out.size, strlen(expected), "%.*s", (int)out.size, out.data);
    cr_assert_arr_eq(out.data, expected, out.size, "%.*s", (int)out.size, out.data);
    cr_assert(payload_is_json(out.data, out.size));
    buffer_free(&out);
}

Test(payload, envelope_embeds_json_as_it_is)
{
    check_envelope("c", 1, "{ \"a\" : 1.00 }\n", 15, "{\"channel\":\"c\",\"data\":{ \"a\" : 1.00 }\n}");
    check_envelope("c", 1, "12345678901234567890123", 23,
                   "{\"channel\":\"c\",\"data\":12345678901234567890123}");
    check_envelope("c", 1, "null", 4, "{\"channel\":\"c\",\"data\":null}");
    check_envelope("c", 1, "\"x\"", 3, "{\"channel\":\"c\",\"data\":\"x\"}");
}

Test(payload, envelope_makes_a_string_of_anything_else)
{
    check_envelope("c", 1, "plain", 5, "{\"channel\":\"c\",\"data\":\"plain\"}");
    check_envelope("c", 1, "", 0, "{\"channel\":\"c\",\"data\":\"\"}");
    check_envelope("c", 1, NULL, 0, "{\"channel\":\"c\",\"data\":\"\"}");
    check_envelope("c", 1, "{\"a\":", 5, "{\"channel\":\"c\",\"data\":\"{\\\"a\\\":\"}");
    check_envelope("c", 1, "\xFF", 1, "{\"channel\":\"c\",\"data\":\"\xEF\xBF\xBD\"}");
    check_envelope("c", 1, "1},{\"x\":2", 9, "{\"channel\":\"c\",\"data\":\"1},{\\\"x\\\":2\"}");
}

Test(payload, envelope_escapes_the_channel)
{
    check_envelope("a\"b\\\xFF", 5, "1", 1, "{\"channel\":\"a\\\"b\\\\\xEF\xBF\xBD\",\"data\":1}");
    check_envelope("", 0, "1", 1, "{\"channel\":\"\",\"data\":1}");
}

/* Read back by another parser: whatever the bytes, the envelope is JSON and holds the channel's name. */
Test(payload, envelope_is_json_for_every_pair_of_bytes)
{
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            char bytes[] = { (char)first, (char)second };
            struct buffer out = { 0 };
            payload_append_envelope(&out, bytes, 2, bytes, 2);
            json_t *value = json_loadb(out.data, out.size, JSON_ALLOW_NUL, NULL);
            cr_assert(json_is_object(value), "%02x %02x", first, second);
            cr_assert_eq(json_object_size(value), 2);
            cr_assert(json_is_string(json_object_get(value, "channel")));
            json_decref(value);
            buffer_free(&out);
        }
    }
}
