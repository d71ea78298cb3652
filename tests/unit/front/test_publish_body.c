#include "front/publish_body.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "front_text.h"

static const struct publish_limits limits = { .items_max = 3, .maxlen_default = 10000 };

static unsigned parse(enum publish_body_kind kind, struct text text, struct publish_body *ret_body)
{
    /* A copy of the exact size, so that ASan sees a read behind it. */
    char *copy = malloc(text.length ? text.length : 1);
    memcpy(copy, text.bytes, text.length);
    struct problem problem = { 0 };
    bool parsed =
        publish_body_parse(kind, text_of(copy, text.length), (struct text){ 0 }, &limits, ret_body, &problem);
    cr_assert_eq(parsed, problem.status == 0);
    cr_assert(parsed || *problem.detail);
    free(copy);
    return problem.status;
}

static void check_buffer(const struct buffer *buffer, const char *expected)
{
    cr_assert_eq(buffer->size, strlen(expected), "\"%.*s\" instead of \"%s\"", (int)buffer->size,
                 buffer->data, expected);
    cr_assert(buffer->size == 0 || memcmp(buffer->data, expected, buffer->size) == 0,
              "\"%.*s\" instead of \"%s\"", (int)buffer->size, buffer->data, expected);
}

#define ACCEPTED(kind, text) cr_assert_eq(parse((kind), TEXT(text), &body), 0, "%s", text)
#define REFUSED(kind, status, text)                                                                          \
    do {                                                                                                     \
        struct publish_body refused;                                                                         \
        unsigned actual = parse((kind), TEXT(text), &refused);                                               \
        cr_assert_eq(actual, (status), "%u for %s", actual, text);                                           \
    } while (0)
#define JSON_REFUSED(status, text) REFUSED(PUBLISH_BODY_JSON, status, text)
#define FORM_REFUSED(status, text) REFUSED(PUBLISH_BODY_FORM, status, text)

Test(publish_body, channel)
{
    struct publish_body body;
    ACCEPTED(PUBLISH_BODY_JSON,
             " {\"channel\" : \"a\\u00e4\", \"payload\" : { \"n\" : 12345678901234567890123 } } ");
    cr_assert(!body.is_array);
    cr_assert_eq(body.count, 1);
    check_buffer(&body.items[0].channel, "a\xc3\xa4");
    check_buffer(&body.items[0].payload, "{\"n\":12345678901234567890123}");
    cr_assert(!publish_item_is_durable(&body.items[0]));
    publish_body_clear(&body);
}

Test(publish_body, any_payload)
{
    struct publish_body body;
    ACCEPTED(PUBLISH_BODY_JSON, "{\"channel\":\"a\",\"payload\":null}");
    check_buffer(&body.items[0].payload, "null");
    publish_body_clear(&body);
    ACCEPTED(PUBLISH_BODY_JSON, "{\"channel\":\"a\",\"data\":\"x y\"}");
    check_buffer(&body.items[0].payload, "\"x y\"");
    publish_body_clear(&body);
    ACCEPTED(PUBLISH_BODY_JSON, "{\"channel\":\"a\",\"payload\":false,\"stream\":null,\"id\":null}");
    check_buffer(&body.items[0].payload, "false");
    publish_body_clear(&body);
}

static void check_field(const struct publish_item *item, size_t index, const char *name, const char *value)
{
    const struct publish_field *field = &item->fields[index];
    cr_assert(text_is(text_of(item->entry.data + field->name_at, field->name_length), name));
    cr_assert_eq(field->value_length, strlen(value));
    cr_assert(memcmp(item->entry.data + field->value_at, value, field->value_length) == 0);
}

Test(publish_body, stream_entry)
{
    struct publish_body body;
    ACCEPTED(PUBLISH_BODY_JSON,
             "{\"stream\":\"s\",\"maxlen\":5,\"payload\":{\"a\":\"x\\n\",\"b\":1.50,\"c\":true,"
             "\"d\":{ \"e\": [1, 2] },\"f\":null,\"\":\"\"}}");
    const struct publish_item *item = &body.items[0];
    cr_assert(publish_item_is_durable(item));
    cr_assert_eq(item->maxlen, 5);
    cr_assert_eq(item->field_count, 6);
    check_field(item, 0, "a", "x\n");
    check_field(item, 1, "b", "1.50");
    check_field(item, 2, "c", "true");
    check_field(item, 3, "d", "{\"e\":[1,2]}");
    check_field(item, 4, "f", "null");
    check_field(item, 5, "", "");
    publish_body_clear(&body);
}

Test(publish_body, event)
{
    struct publish_body body;
    ACCEPTED(PUBLISH_BODY_JSON, "{\"event\":\"order.paid\",\"critical\":true,\"payload\":{\"n\":1}}");
    cr_assert(body.items[0].critical);
    cr_assert_eq(body.items[0].maxlen, limits.maxlen_default);
    cr_assert_eq(body.items[0].field_count, 1);
    publish_body_clear(&body);
    ACCEPTED(PUBLISH_BODY_JSON, "{\"event\":\"order.paid\",\"critical\":false,\"payload\":1}");
    cr_assert(!publish_item_is_durable(&body.items[0]));
    publish_body_clear(&body);
}

Test(publish_body, json_that_is_none)
{
    JSON_REFUSED(400, "");
    JSON_REFUSED(400, " ");
    JSON_REFUSED(400, "{");
    JSON_REFUSED(400, "{\"channel\":\"a\",}");
    JSON_REFUSED(400, "{\"channel\":\"a\",\"payload\":1}x");
    JSON_REFUSED(400, "{\"channel\":\"a\xff\",\"payload\":1}");
    JSON_REFUSED(400, "{\"channel\":\"a\",\"payload\":01}");
    JSON_REFUSED(400, "\0");
}

Test(publish_body, what_is_not_an_event)
{
    JSON_REFUSED(400, "1");
    JSON_REFUSED(400, "\"channel\"");
    JSON_REFUSED(400, "{}");
    JSON_REFUSED(400, "{\"payload\":1}");
    JSON_REFUSED(400, "{\"channel\":\"a\"}");
    JSON_REFUSED(400, "{\"channel\":\"\",\"payload\":1}");
    JSON_REFUSED(400, "{\"channel\":1,\"payload\":1}");
    JSON_REFUSED(400, "{\"channel\":[\"a\"],\"payload\":1}");
    JSON_REFUSED(400, "{\"channel\":\"a\",\"payload\":1,\"extra\":2}");
    JSON_REFUSED(400, "{\"channel\":\"a\",\"payload\":1,\"data\":2}");
    JSON_REFUSED(400, "{\"channel\":\"a\",\"channel\":\"b\",\"payload\":2}");
    JSON_REFUSED(400, "{\"channel\":\"a\",\"ch\\u0061nnel\":\"b\",\"payload\":2}");
    JSON_REFUSED(400, "{\"event\":\"a\",\"critical\":1,\"payload\":{\"a\":1}}");
    JSON_REFUSED(422, "{\"channel\":\"a\",\"critical\":true,\"payload\":{\"a\":1}}");
    JSON_REFUSED(422, "{\"channel\":\"a\",\"maxlen\":5,\"payload\":1}");
    JSON_REFUSED(400, "{\"stream\":\"a\",\"maxlen\":0,\"payload\":{\"a\":1}}");
    JSON_REFUSED(400, "{\"stream\":\"a\",\"maxlen\":1.5,\"payload\":{\"a\":1}}");
    JSON_REFUSED(400, "{\"stream\":\"a\",\"maxlen\":\"5\",\"payload\":{\"a\":1}}");
    JSON_REFUSED(422, "{\"stream\":\"a\",\"payload\":1}");
    JSON_REFUSED(422, "{\"stream\":\"a\",\"payload\":{}}");
    JSON_REFUSED(422, "{\"event\":\"a\",\"critical\":true,\"payload\":[]}");
    JSON_REFUSED(400, "{\"channel\":\"\\ud800\",\"payload\":1}");
    JSON_REFUSED(400, "{\"stream\":\"a\",\"payload\":{\"a\":\"\\ud800\"}}");
}

Test(publish_body, our_own_channels_are_not_for_others)
{
    JSON_REFUSED(422, "{\"channel\":\"sluice:fence:0\",\"payload\":1}");
    JSON_REFUSED(422, "{\"channel\":\"__redis__:invalidate\",\"payload\":1}");
    JSON_REFUSED(422, "{\"stream\":\"sluice:idempotency:x\",\"payload\":{\"a\":1}}");
    struct publish_body body;
    ACCEPTED(PUBLISH_BODY_JSON, "{\"channel\":\"sluice\",\"payload\":1,\"id\":\"sluice:1\"}");
    publish_body_clear(&body);
}

Test(publish_body, lengths_are_bounded)
{
    char name[PUBLISH_NAME_MAX + 2];
    char text[sizeof(name) + 64];
    struct publish_body body;
    memset(name, 'a', sizeof(name));
    name[PUBLISH_NAME_MAX] = '\0';
    int length = snprintf(text, sizeof(text), "{\"channel\":\"%s\",\"payload\":1}", name);
    cr_assert_eq(parse(PUBLISH_BODY_JSON, text_of(text, (size_t)length), &body), 0);
    publish_body_clear(&body);
    name[PUBLISH_NAME_MAX] = 'a';
    name[PUBLISH_NAME_MAX + 1] = '\0';
    length = snprintf(text, sizeof(text), "{\"channel\":\"%s\",\"payload\":1}", name);
    cr_assert_eq(parse(PUBLISH_BODY_JSON, text_of(text, (size_t)length), &body), 400);
    name[PUBLISH_ID_MAX + 1] = '\0';
    length = snprintf(text, sizeof(text), "{\"channel\":\"a\",\"id\":\"%s\",\"payload\":1}", name);
    cr_assert_eq(parse(PUBLISH_BODY_JSON, text_of(text, (size_t)length), &body), 400);
}

Test(publish_body, number_of_fields_is_bounded)
{
    struct buffer text = { 0 };
    struct publish_body body;
    buffer_append_text(&text, "{\"stream\":\"s\",\"payload\":{\"a\":1");
    for (int i = 1; i < PUBLISH_FIELDS_MAX; i++)
        buffer_append_text(&text, ",\"a\":1");
    size_t size = text.size;
    buffer_append_text(&text, "}}");
    cr_assert_eq(parse(PUBLISH_BODY_JSON, text_of(text.data, text.size), &body), 0);
    cr_assert_eq(body.items[0].field_count, PUBLISH_FIELDS_MAX);
    publish_body_clear(&body);
    text.size = size;
    buffer_append_text(&text, ",\"a\":1}}");
    cr_assert_eq(parse(PUBLISH_BODY_JSON, text_of(text.data, text.size), &body), 422);
    buffer_free(&text);
}

Test(publish_body, array_items_fail_alone)
{
    struct publish_body body;
    ACCEPTED(PUBLISH_BODY_JSON,
             " [ {\"channel\":\"a\",\"payload\":1} , 7, {\"channel\":\"b\",\"payload\":[2, 3]}]");
    cr_assert(body.is_array);
    cr_assert_eq(body.count, 3);
    cr_assert_eq(body.items[0].problem.status, 0);
    cr_assert_eq(body.items[1].problem.status, 400);
    cr_assert_eq(body.items[2].problem.status, 0);
    check_buffer(&body.items[2].payload, "[2,3]");
    publish_body_clear(&body);
    ACCEPTED(PUBLISH_BODY_JSON, "[]");
    cr_assert_eq(body.count, 0);
    publish_body_clear(&body);
    JSON_REFUSED(422, "[1,2,3,4]");
    JSON_REFUSED(400, "[{\"channel\":\"a\",\"payload\":1},]");
}

Test(publish_body, idempotency_key)
{
    struct publish_body body;
    struct problem problem;
    cr_assert(publish_body_parse(PUBLISH_BODY_JSON, TEXT("{\"channel\":\"a\",\"payload\":1}"), TEXT("k"),
                                 &limits, &body, &problem));
    check_buffer(&body.items[0].id, "k");
    publish_body_clear(&body);
    cr_assert(publish_body_parse(
        PUBLISH_BODY_JSON,
        TEXT("[{\"channel\":\"a\",\"payload\":1},{\"channel\":\"a\",\"id\":\"own\",\"payload\":1}]"),
        TEXT("k"), &limits, &body, &problem));
    check_buffer(&body.items[0].id, "k:0");
    check_buffer(&body.items[1].id, "own");
    publish_body_clear(&body);
    cr_assert(!publish_body_parse(PUBLISH_BODY_JSON, TEXT("{\"channel\":\"a\",\"payload\":1}"), TEXT(""),
                                  &limits, &body, &problem));
    cr_assert_eq(problem.status, 400);
}

Test(publish_body, form)
{
    struct publish_body body;
    ACCEPTED(PUBLISH_BODY_FORM, "channel=a%20b&payload=%7B+%22n%22%3A1%7D&id=k");
    check_buffer(&body.items[0].channel, "a b");
    check_buffer(&body.items[0].payload, "{\"n\":1}");
    check_buffer(&body.items[0].id, "k");
    publish_body_clear(&body);
    ACCEPTED(PUBLISH_BODY_FORM, "payload=hello+%22you%22&channel=a");
    check_buffer(&body.items[0].payload, "\"hello \\\"you\\\"\"");
    publish_body_clear(&body);
    ACCEPTED(PUBLISH_BODY_FORM, "payload=&channel=a");
    check_buffer(&body.items[0].payload, "\"\"");
    publish_body_clear(&body);
    ACCEPTED(PUBLISH_BODY_FORM, "event=e&critical=true&maxlen=7&payload={\"a\":\"b\"}");
    cr_assert(body.items[0].critical);
    cr_assert_eq(body.items[0].maxlen, 7);
    publish_body_clear(&body);
}

Test(publish_body, form_that_is_none)
{
    FORM_REFUSED(400, "");
    FORM_REFUSED(400, "channel");
    FORM_REFUSED(400, "channel=a");
    FORM_REFUSED(400, "channel=a&payload=1&x=2");
    FORM_REFUSED(400, "channel=a&channel=b&payload=1");
    FORM_REFUSED(400, "event=a&critical=maybe&payload={\"a\":1}");
    FORM_REFUSED(400, "{\"channel\":\"a\"}");
    FORM_REFUSED(400, "channel=%");
    FORM_REFUSED(400, "channel=%zz&payload=1");
}
