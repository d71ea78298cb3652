#include "front/group_ids_body.h"

#include <criterion/criterion.h>

#include "consumers/group.h"
#include "front_text.h"

static struct group_ids_body parsed(struct text bytes)
{
    struct group_ids_body body;
    struct problem problem = { 0 };
    cr_assert(group_ids_body_parse(bytes, &body, &problem), "%.*s: %s", (int)bytes.length, bytes.bytes,
              problem.detail);
    return body;
}

static void check_refused(struct text bytes, unsigned status, const char *says)
{
    struct group_ids_body body;
    struct problem problem = { 0 };
    cr_assert(!group_ids_body_parse(bytes, &body, &problem), "%.*s", (int)bytes.length, bytes.bytes);
    cr_assert_eq(problem.status, status, "%.*s: %u", (int)bytes.length, bytes.bytes, problem.status);
    cr_assert_not_null(strstr(problem.detail, says), "%s", problem.detail);
}

Test(group_ids_body, ids_in_their_order_each_once)
{
    struct group_ids_body body =
        parsed(TEXT(" \r\n{\"ids\":[\"2-1\", \"1-0\",\"2-1\",\"1\",\"\\u0033-0\"]}"));
    cr_assert_eq(body.count, 3);
    cr_assert_eq(body.ids[0].ms, 2);
    cr_assert_eq(body.ids[0].sequence, 1);
    cr_assert_eq(body.ids[1].ms, 1);
    cr_assert_eq(body.ids[2].ms, 3);
    cr_assert_eq(body.consumer.size, 0);
    group_ids_body_clear(&body);
    cr_assert_null(body.ids);
}

Test(group_ids_body, consumer_and_what_nobody_knows)
{
    struct group_ids_body body =
        parsed(TEXT("{\"more\":{\"ids\":[7]},\"consumer\":\"w\\\"1\",\"ids\":[\"1-0\"]}"));
    cr_assert_eq(body.count, 1);
    cr_assert(text_is(text_of(body.consumer.data, body.consumer.size), "w\"1"));
    group_ids_body_clear(&body);
    body = parsed(TEXT("{\"consumer\":null,\"ids\":[\"1-0\"]}"));
    cr_assert_eq(body.consumer.size, 0);
    group_ids_body_clear(&body);
}

Test(group_ids_body, of_a_repeated_member_the_last_counts)
{
    struct group_ids_body body = parsed(TEXT("{\"ids\":[\"1-0\"],\"ids\":[\"2-0\"]}"));
    cr_assert_eq(body.count, 1);
    cr_assert_eq(body.ids[0].ms, 2);
    group_ids_body_clear(&body);
}

Test(group_ids_body, wrong)
{
    check_refused(TEXT(""), 400, "empty");
    check_refused(TEXT("{\"ids\":[\"1-0\"]"), 400, "line 1");
    check_refused(TEXT("[\"1-0\"]"), 400, "object");
    check_refused(TEXT("{}"), 400, "missing");
    check_refused(TEXT("{\"ids\":[]}"), 400, "empty");
    check_refused(TEXT("{\"ids\":null}"), 400, "array");
    check_refused(TEXT("{\"ids\":{\"1-0\":1}}"), 400, "array");
    check_refused(TEXT("{\"ids\":[\"1-0\",1]}"), 400, "`ids`[1]");
    check_refused(TEXT("{\"ids\":[[\"1-0\"]]}"), 400, "`ids`[0]");
    check_refused(TEXT("{\"ids\":[\"\"]}"), 400, "`ids`[0]");
    check_refused(TEXT("{\"ids\":[\"1-0 \"]}"), 400, "`ids`[0]");
    check_refused(TEXT("{\"ids\":[\"-1-0\"]}"), 400, "`ids`[0]");
    check_refused(TEXT("{\"ids\":[\"$\"]}"), 400, "`ids`[0]");
    check_refused(TEXT("{\"ids\":[\"18446744073709551616-0\"]}"), 400, "`ids`[0]");
    check_refused(TEXT("{\"ids\":[\"1-0\"],\"consumer\":1}"), 400, "consumer");
    check_refused(TEXT("{\"ids\":[\"1-0\"],\"consumer\":\"\"}"), 400, "consumer");
}

static struct buffer many(size_t count)
{
    struct buffer out = { 0 };
    for (size_t i = 0; i < count; i++)
        buffer_printf(&out, "%s\"%zu-1\"", i ? "," : "{\"ids\":[", i + 1);
    buffer_append_text(&out, "]}");
    return out;
}

Test(group_ids_body, bounds)
{
    struct buffer most = many(GROUP_IDS_MAX), more = many(GROUP_IDS_MAX + 1);
    struct group_ids_body body = parsed(text_of(most.data, most.size));
    cr_assert_eq(body.count, GROUP_IDS_MAX);
    group_ids_body_clear(&body);
    check_refused(text_of(more.data, more.size), 422, "1000");
    buffer_free(&most);
    buffer_free(&more);

    struct buffer name = { 0 };
    buffer_append_text(&name, "{\"ids\":[\"1-0\"],\"consumer\":\"");
    for (int i = 0; i <= GROUP_NAME_MAX; i++)
        buffer_append_byte(&name, 'x');
    buffer_append_text(&name, "\"}");
    check_refused(text_of(name.data, name.size), 400, "512");
    buffer_free(&name);
}
