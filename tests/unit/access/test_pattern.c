#include "access/pattern.h"

#include <criterion/criterion.h>

#include "../front/front_text.h"

static bool is_pattern(struct text text)
{
    struct pattern pattern;
    const char *why = NULL;
    bool parsed = pattern_parse(text, &pattern, &why);
    cr_assert(parsed || why);
    return parsed;
}

static bool covers(struct text text, enum access_topic_kind kind, struct text name)
{
    struct pattern pattern;
    const char *why;
    cr_assert(pattern_parse(text, &pattern, &why), "%.*s", (int)text.length, text.bytes);
    const struct access_topic topic = { .kind = kind, .name = name };
    return pattern_covers(&pattern, &topic);
}

Test(pattern, forms)
{
    cr_assert(is_pattern(TEXT("*")));
    cr_assert(is_pattern(TEXT("batch:*")));
    cr_assert(is_pattern(TEXT("stream:*")));
    cr_assert(is_pattern(TEXT("stream:a")));
    cr_assert(is_pattern(TEXT("a b/c?[x]")));
    cr_assert_not(is_pattern(TEXT("")));
    cr_assert_not(is_pattern(TEXT("stream:")));
    cr_assert_not(is_pattern(TEXT("a*b")));
    cr_assert_not(is_pattern(TEXT("**")));
    cr_assert_not(is_pattern(TEXT("*a")));
    cr_assert_not(is_pattern(TEXT("stream:a*b")));
    cr_assert_not(is_pattern(TEXT("a\0b")));
    char longest[PATTERN_BYTES_MAX + 1];
    memset(longest, 'a', sizeof(longest));
    cr_assert(is_pattern(text_of(longest, PATTERN_BYTES_MAX)));
    cr_assert_not(is_pattern(text_of(longest, PATTERN_BYTES_MAX + 1)));
}

Test(pattern, an_exact_name_does_not_widen)
{
    cr_assert(covers(TEXT("batch:4"), ACCESS_CHANNEL, TEXT("batch:4")));
    cr_assert_not(covers(TEXT("batch:4"), ACCESS_CHANNEL, TEXT("batch:42")));
    cr_assert_not(covers(TEXT("batch:42"), ACCESS_CHANNEL, TEXT("batch:4")));
    cr_assert_not(covers(TEXT("batch:4"), ACCESS_CHANNEL, TEXT("batch:4\0")));
    cr_assert_not(covers(TEXT("batch:4"), ACCESS_CHANNEL, TEXT("batch:%34")));
    cr_assert_not(covers(TEXT("batch:%34"), ACCESS_CHANNEL, TEXT("batch:4")));
    cr_assert_not(covers(TEXT("batch:4"), ACCESS_CHANNEL, TEXT("Batch:4")));
    cr_assert_not(covers(TEXT("batch:4"), ACCESS_CHANNEL, TEXT("batch:*")));
    /* é as one code point, and as e with an accent */
    cr_assert_not(covers(TEXT("caf\xC3\xA9"), ACCESS_CHANNEL, TEXT("cafe\xCC\x81")));
    cr_assert(covers(TEXT("caf\xC3\xA9"), ACCESS_CHANNEL, TEXT("caf\xC3\xA9")));
}

Test(pattern, a_prefix)
{
    cr_assert(covers(TEXT("batch:*"), ACCESS_CHANNEL, TEXT("batch:42")));
    cr_assert(covers(TEXT("batch:*"), ACCESS_CHANNEL, TEXT("batch:")));
    cr_assert(covers(TEXT("batch:*"), ACCESS_CHANNEL, TEXT("batch:*")));
    cr_assert_not(covers(TEXT("batch:*"), ACCESS_CHANNEL, TEXT("batch")));
    cr_assert_not(covers(TEXT("batch:*"), ACCESS_CHANNEL, TEXT("xbatch:1")));
    cr_assert(covers(TEXT("*"), ACCESS_CHANNEL, TEXT("anything")));
    cr_assert(covers(TEXT("*"), ACCESS_STREAM, TEXT("anything")));
}

Test(pattern, streams_and_channels_are_two_worlds)
{
    cr_assert(covers(TEXT("stream:x"), ACCESS_STREAM, TEXT("x")));
    cr_assert_not(covers(TEXT("stream:x"), ACCESS_CHANNEL, TEXT("stream:x")));
    cr_assert_not(covers(TEXT("stream:x"), ACCESS_CHANNEL, TEXT("x")));
    cr_assert_not(covers(TEXT("stream:x"), ACCESS_STREAM, TEXT("stream:x")));
    cr_assert(covers(TEXT("stream:stream:x"), ACCESS_STREAM, TEXT("stream:x")));
    cr_assert_not(covers(TEXT("x"), ACCESS_STREAM, TEXT("x")));
    cr_assert_not(covers(TEXT("s*"), ACCESS_STREAM, TEXT("x")));
    cr_assert_not(covers(TEXT("s*"), ACCESS_STREAM, TEXT("sx")));
    cr_assert_not(covers(TEXT("stream*"), ACCESS_STREAM, TEXT("x")));
    cr_assert_not(covers(TEXT("stream:*"), ACCESS_CHANNEL, TEXT("stream:x")));
    cr_assert(covers(TEXT("stream:*"), ACCESS_STREAM, TEXT("x")));
    cr_assert_not(covers(TEXT("stream:*"), ACCESS_GLOB, TEXT("*")));
    cr_assert_not(covers(TEXT("stream:*"), ACCESS_GLOB, TEXT("stream:*")));
}

Test(pattern, a_glob_is_covered_with_all_it_matches)
{
    cr_assert(covers(TEXT("*"), ACCESS_GLOB, TEXT("*")));
    cr_assert(covers(TEXT("orders.*"), ACCESS_GLOB, TEXT("orders.*")));
    cr_assert(covers(TEXT("orders.*"), ACCESS_GLOB, TEXT("orders.eu.*")));
    cr_assert(covers(TEXT("orders.*"), ACCESS_GLOB, TEXT("orders.?")));
    cr_assert(covers(TEXT("orders.*"), ACCESS_GLOB, TEXT("orders.[ab]*")));
    cr_assert(covers(TEXT("orders.*"), ACCESS_GLOB, TEXT("orders.new")));
    cr_assert(covers(TEXT("orders.new"), ACCESS_GLOB, TEXT("orders.new")));
    cr_assert_not(covers(TEXT("orders.*"), ACCESS_GLOB, TEXT("orders*")));
    cr_assert_not(covers(TEXT("orders.*"), ACCESS_GLOB, TEXT("order?.*")));
    cr_assert_not(covers(TEXT("orders.*"), ACCESS_GLOB, TEXT("[o]rders.*")));
    cr_assert_not(covers(TEXT("orders.*"), ACCESS_GLOB, TEXT("*orders.*")));
    cr_assert_not(covers(TEXT("orders.*"), ACCESS_GLOB, TEXT("orders\\.*")));
    cr_assert_not(covers(TEXT("orders.new"), ACCESS_GLOB, TEXT("orders.*")));
    cr_assert_not(covers(TEXT("orders.?"), ACCESS_GLOB, TEXT("orders.?")));
    cr_assert_not(covers(TEXT("orders.new"), ACCESS_GLOB, TEXT("orders.ne?")));
}
