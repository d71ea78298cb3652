#include "base/text.h"

#include <criterion/criterion.h>

#include "../front/front_text.h"

Test(text, compares_bytes)
{
    cr_assert(text_is(TEXT("abc"), "abc"));
    cr_assert(!text_is(TEXT("abc\0"), "abc"));
    cr_assert(!text_is(TEXT("ABC"), "abc"));
    cr_assert(text_is_caseless(TEXT("ABC"), "abc"));
    cr_assert(!text_is_caseless(TEXT("ABCD"), "abc"));
    cr_assert(text_is(TEXT(""), ""));
    cr_assert(!text_is((struct text){ 0 }, ""));
}

Test(text, trim)
{
    CHECK_TEXT(text_trim(TEXT(" \ta b\t ")), "a b");
    CHECK_TEXT(text_trim(TEXT(" \t ")), "");
    CHECK_TEXT(text_trim(TEXT("")), "");
}

Test(text, split)
{
    struct text rest = TEXT("a,,b,");
    struct text part;
    cr_assert(text_split(&rest, ',', &part));
    CHECK_TEXT(part, "a");
    cr_assert(text_split(&rest, ',', &part));
    CHECK_TEXT(part, "");
    cr_assert(text_split(&rest, ',', &part));
    CHECK_TEXT(part, "b");
    cr_assert(text_split(&rest, ',', &part));
    CHECK_TEXT(part, "");
    cr_assert(!text_split(&rest, ',', &part));
    rest = TEXT("");
    cr_assert(text_split(&rest, ',', &part));
    cr_assert(!text_split(&rest, ',', &part));
}
