#include "access/grant_json.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "../front/front_text.h"

static struct grant *read_rights(const char *json, char *ret_problem)
{
    json_t *rights = access_json_parse(json, strlen(json));
    cr_assert_not_null(rights, "%s", json);
    const struct grant_draft base = { .means = GRANT_TOKEN, .subject = TEXT("u") };
    struct grant *grant = grant_from_rights(rights, &base, ret_problem);
    json_decref(rights);
    return grant;
}

static void expect_refused(const char *json, const char *part)
{
    char problem[GRANT_PROBLEM_MAX] = "";
    cr_assert_null(read_rights(json, problem), "%s", json);
    cr_assert_not_null(strstr(problem, part), "%s: %s", json, problem);
}

Test(grant_json, reads_rights)
{
    char problem[GRANT_PROBLEM_MAX];
    struct grant *grant = read_rights(
        "{\"subscribe\": [\"a\", \"stream:b*\"], \"publish\": [\"c\"], \"admin\": true}", problem);
    cr_assert_not_null(grant);
    cr_assert_eq(grant_pattern_count(grant, ACCESS_SUBSCRIBE), 2);
    CHECK_TEXT(grant_pattern(grant, ACCESS_SUBSCRIBE, 1), "stream:b*");
    CHECK_TEXT(grant_pattern(grant, ACCESS_PUBLISH, 0), "c");
    cr_assert(grant_is_admin(grant));
    grant_release(grant);
}

Test(grant_json, refuses_what_could_be_misunderstood)
{
    expect_refused("{\"subscribe\": \"*\"}", "not an array");
    expect_refused("{\"subscribe\": {\"0\": \"*\"}}", "not an array");
    expect_refused("{\"subscribe\": [1]}", "something else than strings");
    expect_refused("{\"subscribe\": [[\"*\"]]}", "something else than strings");
    expect_refused("{\"subscribe\": [\"\"]}", "is empty");
    expect_refused("{\"admin\": \"false\"}", "neither true nor false");
    expect_refused("{\"admin\": 1}", "neither true nor false");
    expect_refused("{\"Subscribe\": [\"a\"]}", "is no right");
    expect_refused("{\"subcribe\": [\"a\"]}", "is no right");
}

Test(grant_json, json_that_is_ambiguous_is_none)
{
    static const char *const wrong[] = {
        "",
        "[]",
        "\"a\"",
        "{\"a\":1,\"a\":2}",
        "{\"a\":{\"b\":1,\"b\":1}}",
        "{} {}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\xff\"}",
        "{'a':1}",
        "{\"a\":1,}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_assert_null(access_json_parse(wrong[i], strlen(wrong[i])), "%s", wrong[i]);
}

Test(grant_json, comes_back_as_it_was)
{
    const struct text patterns[] = { TEXT("a\"b"), TEXT("stream:x*") };
    struct grant_draft draft = { .means = GRANT_KEY,
                                 .subject = TEXT("key:n8n"),
                                 .credential = UINT64_C(0xfedcba9876543210),
                                 .expires_wall_ms = UINT64_C(1763700000123) };
    draft.lists[ACCESS_PUBLISH] = (struct grant_list){ .patterns = patterns, .count = 2 };
    char problem[GRANT_PROBLEM_MAX];
    struct grant *grant = grant_create(&draft, problem);
    struct buffer out = { 0 };
    grant_append_json(grant, &out);
    struct grant *again = grant_from_json(out.data, out.size);
    cr_assert_not_null(again, "%.*s", (int)out.size, out.data);
    cr_assert_eq(grant_means(again), GRANT_KEY);
    cr_assert_eq(grant_credential(again), UINT64_C(0xfedcba9876543210));
    cr_assert_eq(grant_expires_wall_ms(again), UINT64_C(1763700000123));
    CHECK_TEXT(grant_subject(again), "key:n8n");
    cr_assert_eq(grant_pattern_count(again, ACCESS_PUBLISH), 2);
    CHECK_TEXT(grant_pattern(again, ACCESS_PUBLISH, 0), "a\"b");
    cr_assert_not(grant_is_admin(again));
    grant_release(again);
    grant_release(grant);
    buffer_free(&out);
    cr_assert_null(grant_from_json("{}", 2));
}
