#include "command/options.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>

#define ARGUMENTS(...)                                                                                       \
    (int)(sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *)), (char *[])                                    \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }

struct parsed {
    const char *url;
    bool loud;
    const char *patterns[8];
    size_t pattern_count;
    const char *rest[8];
    size_t rest_count;
};

static bool parse(struct parsed *parsed, int count, char *const *arguments)
{
    const struct option options[] = {
        { .name = "--url", .value = &parsed->url },
        { .name = "--loud", .given = &parsed->loud },
        { .name = "--pattern", .values = parsed->patterns, .count = &parsed->pattern_count },
    };
    cr_redirect_stderr();
    return options_parse(options, 3, count, arguments, parsed->rest, &parsed->rest_count);
}

Test(options, stand_anywhere_between_the_rest)
{
    struct parsed parsed = { 0 };
    cr_assert(
        parse(&parsed, ARGUMENTS("news", "--url", "u", "--pattern=a*", "-", "--loud", "--pattern", "b*")));
    cr_assert_str_eq(parsed.url, "u");
    cr_assert(parsed.loud);
    cr_assert_eq(parsed.pattern_count, 2);
    cr_assert_str_eq(parsed.patterns[0], "a*");
    cr_assert_str_eq(parsed.patterns[1], "b*");
    cr_assert_eq(parsed.rest_count, 2);
    cr_assert_str_eq(parsed.rest[1], "-");
}

Test(options, behind_two_dashes_all_is_rest)
{
    struct parsed parsed = { 0 };
    cr_assert(parse(&parsed, ARGUMENTS("--", "--url", "-1")));
    cr_assert_null(parsed.url);
    cr_assert_eq(parsed.rest_count, 2);
}

Test(options, what_is_wrong_is_said)
{
    struct parsed parsed = { 0 };
    cr_assert(!parse(&parsed, ARGUMENTS("--url")));
    cr_assert(!parse(&parsed, ARGUMENTS("--urls", "x")));
    cr_assert(!parse(&parsed, ARGUMENTS("-x")));
    cr_assert(!parse(&parsed, ARGUMENTS("--loud=yes")));
}
