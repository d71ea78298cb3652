#include "front/percent.h"

#include <criterion/criterion.h>

#include "front_text.h"

#define DECODES(input, mode, expected)                                                                       \
    do {                                                                                                     \
        char decoded[sizeof(input)];                                                                         \
        size_t length = 99;                                                                                  \
        cr_assert(percent_decode(TEXT(input), (mode), decoded, &length));                                    \
        CHECK_TEXT(text_of(decoded, length), expected);                                                      \
    } while (0)

#define FAILS(input)                                                                                         \
    do {                                                                                                     \
        char decoded[sizeof(input)];                                                                         \
        size_t length;                                                                                       \
        cr_assert(!percent_decode(TEXT(input), PERCENT_PATH, decoded, &length));                             \
    } while (0)

Test(percent, decodes)
{
    DECODES("", PERCENT_PATH, "");
    DECODES("abc", PERCENT_PATH, "abc");
    DECODES("%41%62%2f", PERCENT_PATH, "Ab/");
    DECODES("%c3%A4", PERCENT_PATH, "\xc3\xa4");
    DECODES("%00", PERCENT_PATH, "\0");
    DECODES("%2541", PERCENT_PATH, "%41"); /* once only */
}

Test(percent, plus)
{
    DECODES("a+b%2B", PERCENT_PATH, "a+b+");
    DECODES("a+b%2B", PERCENT_QUERY, "a b+");
}

Test(percent, is_strict)
{
    FAILS("%");
    FAILS("%4");
    FAILS("a%");
    FAILS("%zz");
    FAILS("%4g");
    FAILS("%%41");
    FAILS("%u0041");
    FAILS("% 1");
}

Test(percent, clean)
{
    cr_assert(percent_is_clean(TEXT("")));
    cr_assert(percent_is_clean(TEXT("a b\xc3\xa4\xf0\x9f\x98\x80")));
    cr_assert(!percent_is_clean(TEXT("a\0b")));
    cr_assert(!percent_is_clean(TEXT("a\n")));
    cr_assert(!percent_is_clean(TEXT("\x7f")));
    cr_assert(!percent_is_clean(TEXT("\xff")));
    cr_assert(!percent_is_clean(TEXT("\xc0\xaf")));     /* an overlong slash */
    cr_assert(!percent_is_clean(TEXT("\xed\xa0\x80"))); /* half a surrogate pair */
}
