#include "front/json_text.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "front_text.h"

static void check_compact(struct text input, const char *expected)
{
    struct buffer out = { 0 };
    json_text_append_compact(&out, input);
    cr_assert_eq(out.size, strlen(expected), "%.*s", (int)out.size, out.data);
    cr_assert(out.size == 0 || memcmp(out.data, expected, out.size) == 0, "%.*s", (int)out.size, out.data);
    buffer_free(&out);
}

Test(json_text, compact_keeps_every_digit_and_every_escape)
{
    check_compact(TEXT(" { \"a\" : [ 1 , 2.50 , 1e400 ] ,\n\t\"b c\" : \" d \\\" e \" }\r\n"),
                  "{\"a\":[1,2.50,1e400],\"b c\":\" d \\\" e \"}");
    check_compact(TEXT("123456789012345678901234567890"), "123456789012345678901234567890");
    check_compact(TEXT("\"\\u00e4\\\\\""), "\"\\u00e4\\\\\"");
    check_compact(TEXT("\"\\\\\" "), "\"\\\\\"");
    check_compact(TEXT("  "), "");
}

Test(json_text, check_says_where)
{
    struct problem problem;
    cr_assert(json_text_check(TEXT(" {\"a\":1e400} "), &problem));
    cr_assert(json_text_check(TEXT("\"x\""), &problem));
    cr_assert(!json_text_check(TEXT("{\"a\":1,\n \"b\" 2}"), &problem));
    cr_assert_eq(problem.status, 400);
    cr_assert_not_null(strstr(problem.detail, "line 2"));
    cr_assert(!json_text_check(TEXT(""), &problem));
    cr_assert(!json_text_check(TEXT("{} {}"), &problem));
    cr_assert(!json_text_check(TEXT("\"\xff\""), &problem));
    cr_assert(!json_text_check(TEXT("nul"), &problem));
    cr_assert(!json_text_check(TEXT("\0"), &problem));
}

Test(json_text, nesting_is_bounded)
{
    size_t depth = 200000;
    char *deep = malloc(2 * depth);
    memset(deep, '[', depth);
    memset(deep + depth, ']', depth);
    struct problem problem;
    cr_assert(!json_text_check(text_of(deep, 2 * depth), &problem));
    cr_assert_eq(problem.status, 400);
    free(deep);
}

Test(json_text, members)
{
    struct json_walk walk =
        json_walk_start(TEXT(" { \"a\" : {\"x\":[1,2],\"}\":\"]\"} , \"b\":null,\"c\\\"\":-1.5 }"));
    struct text name, value;
    cr_assert(json_walk_member(&walk, &name, &value));
    CHECK_TEXT(name, "\"a\"");
    CHECK_TEXT(value, "{\"x\":[1,2],\"}\":\"]\"}");
    cr_assert(json_walk_member(&walk, &name, &value));
    CHECK_TEXT(value, "null");
    cr_assert(json_walk_member(&walk, &name, &value));
    CHECK_TEXT(name, "\"c\\\"\"");
    CHECK_TEXT(value, "-1.5");
    cr_assert(!json_walk_member(&walk, &name, &value));
    walk = json_walk_start(TEXT("{}"));
    cr_assert(!json_walk_member(&walk, &name, &value));
}

Test(json_text, elements)
{
    struct json_walk walk = json_walk_start(TEXT("[1, \"a,]\" ,[ ],{}]"));
    struct text value;
    cr_assert(json_walk_element(&walk, &value));
    CHECK_TEXT(value, "1");
    cr_assert(json_walk_element(&walk, &value));
    CHECK_TEXT(value, "\"a,]\"");
    cr_assert(json_walk_element(&walk, &value));
    CHECK_TEXT(value, "[ ]");
    cr_assert(json_walk_element(&walk, &value));
    CHECK_TEXT(value, "{}");
    cr_assert(!json_walk_element(&walk, &value));
}

/* Every prefix of a document, each in a buffer of its own so that ASan sees a read behind it. */
Test(json_text, stays_inside_any_input)
{
    static const char document[] = "{\"a\\\"\":[1,{\"b\":\"c\\\\\"}],\"d\":nul,,]}\"";
    for (size_t length = 0; length < sizeof(document); length++) {
        char *copy = malloc(length ? length : 1);
        memcpy(copy, document, length);
        struct text text = text_of(copy, length), name, value;
        struct buffer out = { 0 };
        struct json_walk walk = json_walk_start(text);
        for (int i = 0; i < 100 && json_walk_member(&walk, &name, &value); i++)
            ;
        walk = json_walk_start(text);
        for (int i = 0; i < 100 && json_walk_element(&walk, &value); i++)
            ;
        json_text_append_compact(&out, text);
        buffer_free(&out);
        free(copy);
    }
}

Test(json_text, decoded_strings)
{
    struct buffer out = { 0 };
    cr_assert(json_text_append_decoded(&out, TEXT("\"plain\"")));
    cr_assert(json_text_append_decoded(&out, TEXT("\"\"")));
    cr_assert(json_text_append_decoded(&out, TEXT("\"\\u00e4\\n\\u0000\\ud83d\\ude00\"")));
    cr_assert_eq(out.size, 5 + 2 + 1 + 1 + 4);
    cr_assert(memcmp(out.data, "plain\xc3\xa4\n\0\xf0\x9f\x98\x80", out.size) == 0);
    cr_assert(!json_text_append_decoded(&out, TEXT("\"\\ud83d\"")));
    buffer_free(&out);
}
