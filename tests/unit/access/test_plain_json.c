#include "access/plain_json.h"

#include <criterion/criterion.h>
#include <jansson.h>

#include "../front/front_text.h"

static bool is_plain(const char *text)
{
    struct plain_json json = plain_json_of(text, strlen(text));
    return plain_json_skip(&json) && plain_json_is_read(&json);
}

Test(plain_json, is_plain)
{
    static const char *const plain[] = {
        "0",
        "7",
        "999999999999999",
        "\"\"",
        "\"a b~!\"",
        "true",
        "false",
        "null",
        "[]",
        "{}",
        " [ ] ",
        "{ }\n",
        "[1,2]",
        "[ \"a\" , [ ] , { } ]",
        "{\"a\":1,\"b\":[true,null],\"c\":{\"a\":{}}}",
        "{\"\":0}",
        "\t{ \"a\" : \"b\" }\r\n",
        "{\"a\":{\"x\":1},\"b\":{\"x\":1}}",
    };
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        cr_expect(is_plain(plain[i]), "%s", plain[i]);
        json_t *value = json_loads(plain[i], JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
        cr_expect_not_null(value, "%s", plain[i]);
        json_decref(value);
    }
}

Test(plain_json, is_not_plain)
{
    static const char *const others[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "{}{}",
        "{} x",
        "1 2",
        "\"",
        "\"a",
        "\"\\n\"",
        "\"\\u0061\"",
        "\"\x1f\"",
        "\"\x7f\"",
        "\"\xc3\xa9\"",
        "01",
        "-1",
        "1.5",
        "1e3",
        "1E3",
        "+1",
        "0x1",
        "1000000000000000",
        "tru",
        "truex",
        "True",
        "nul",
        "{\"a\":1,\"a\":2}",
        "{\"b\":{\"a\":1,\"a\":1}}",
        "[[[[[[1]]]]]]",
        "{\"a\":\"b\"\"c\"}",
        "'a'",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        cr_expect_not(is_plain(others[i]), "%s", others[i]);
    struct plain_json json = plain_json_of("1\0", 2);
    cr_expect_not(plain_json_skip(&json) && plain_json_is_read(&json), "a NUL is no end");
    json = plain_json_of("\"a\0b\"", 5);
    cr_expect_not(plain_json_skip(&json));
}

/* Whatever is cut off or changed in it, what is taken for plain is JSON to a parser, too. */
Test(plain_json, takes_nothing_that_is_no_json)
{
    static const char text[] = "{\"alg\":\"HS256\", \"a\":[1,0,\"x\"],\"b\":{\"c\":true,\"d\":null}}";
    static const char letters[] = "{}[]\",:\\ 0aet-.\n\x01\xff";
    unsigned taken = 0;
    for (size_t at = 0; at < sizeof(text) - 1; at++) {
        for (size_t letter = 0; letter < sizeof(letters); letter++) {
            char changed[sizeof(text)];
            memcpy(changed, text, sizeof(text));
            changed[at] = letters[letter];
            struct plain_json json = plain_json_of(changed, sizeof(text) - 1);
            if (!plain_json_skip(&json) || !plain_json_is_read(&json))
                continue;
            json_t *value = json_loadb(changed, sizeof(text) - 1, JSON_REJECT_DUPLICATES, NULL);
            cr_expect_not_null(value, "%s", changed);
            json_decref(value);
            taken++;
        }
        struct plain_json json = plain_json_of(text, at);
        cr_expect_not(plain_json_skip(&json) && plain_json_is_read(&json), "%.*s", (int)at, text);
    }
    cr_expect_gt(taken, 100, "%u", taken);
}

Test(plain_json, is_walked_member_by_member)
{
    static const char text[] =
        "{\"n\":12,\"s\":\"x y\",\"t\":true,\"f\":false,\"list\":[\"a\",\"b\"],\"end\":[]}";
    struct plain_json json = plain_json_of(text, sizeof(text) - 1);
    struct text name, string;
    uint64_t number;
    bool is_true, is_false;
    cr_assert(plain_json_enter(&json, '{'));
    cr_assert(plain_json_next(&json, '}') && plain_json_name(&json, &name) &&
              plain_json_number(&json, &number));
    CHECK_TEXT(name, "n");
    cr_expect_eq(number, 12);
    cr_assert(plain_json_next(&json, '}') && plain_json_name(&json, &name) &&
              plain_json_string(&json, &string));
    CHECK_TEXT(string, "x y");
    cr_assert(plain_json_next(&json, '}') && plain_json_name(&json, &name) &&
              plain_json_boolean(&json, &is_true));
    cr_assert(plain_json_next(&json, '}') && plain_json_name(&json, &name) &&
              plain_json_boolean(&json, &is_false));
    cr_expect(is_true && !is_false);
    cr_assert(plain_json_next(&json, '}') && plain_json_name(&json, &name) && plain_json_enter(&json, '['));
    cr_assert(plain_json_next(&json, ']') && plain_json_string(&json, &string));
    CHECK_TEXT(string, "a");
    cr_assert(plain_json_next(&json, ']') && plain_json_string(&json, &string));
    cr_assert_not(plain_json_next(&json, ']'));
    cr_assert(plain_json_next(&json, '}') && plain_json_name(&json, &name) && plain_json_enter(&json, '['));
    CHECK_TEXT(name, "end");
    cr_assert_not(plain_json_next(&json, ']'));
    cr_assert_not(plain_json_is_read(&json));
    cr_assert_not(plain_json_next(&json, '}'));
    cr_assert(plain_json_is_read(&json));
}

Test(plain_json, nothing_follows_what_was_not_plain)
{
    struct plain_json json = plain_json_of("{\"a\":1.5,\"b\":2}", 15);
    struct text name;
    uint64_t number;
    bool value;
    cr_assert(plain_json_enter(&json, '{') && plain_json_next(&json, '}') && plain_json_name(&json, &name));
    cr_assert_not(plain_json_number(&json, &number));
    cr_expect_not(plain_json_next(&json, '}'));
    cr_expect_not(plain_json_name(&json, &name));
    cr_expect_not(plain_json_number(&json, &number));
    cr_expect_not(plain_json_boolean(&json, &value));
    cr_expect_not(plain_json_enter(&json, '{'));
    cr_expect_not(plain_json_skip(&json));
    cr_expect_not(plain_json_is_read(&json));
}

Test(plain_json, names_are_bounded_and_each_there_once)
{
    struct plain_names names = { .count = 0 };
    char storage[PLAIN_JSON_NAMES_MAX];
    for (unsigned i = 0; i < PLAIN_JSON_NAMES_MAX; i++) {
        storage[i] = (char)('a' + i);
        cr_expect(plain_names_add(&names, text_of(&storage[i], 1)));
        cr_expect_not(plain_names_add(&names, text_of(&storage[i], 1)));
    }
    cr_expect_not(plain_names_add(&names, TEXT("one more")));
}
