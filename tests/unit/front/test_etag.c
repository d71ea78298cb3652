#include "front/etag.h"

#include <criterion/criterion.h>

#include "front_text.h"

static const char tag[] = "\"00000000000000ff\"";

Test(etag, format)
{
    char etag[ETAG_LENGTH_MAX];
    etag_format(255, etag);
    cr_assert_str_eq(etag, tag);
    etag_format(UINT64_MAX, etag);
    cr_assert_str_eq(etag, "\"ffffffffffffffff\"");
}

Test(etag, matches)
{
    cr_assert(etag_matches(TEXT("\"00000000000000ff\""), tag));
    cr_assert(etag_matches(TEXT("W/\"00000000000000ff\""), tag));
    cr_assert(etag_matches(TEXT("\"a\", \"b,c\" ,W/\"00000000000000ff\", \"d\""), tag));
    cr_assert(etag_matches(TEXT("\"a\",\"00000000000000ff\""), tag));
    cr_assert(etag_matches(TEXT("*"), tag));
    cr_assert(etag_matches(TEXT(" * "), tag));
    cr_assert(etag_matches(TEXT(", ,\"00000000000000ff\""), tag));
}

Test(etag, does_not_match)
{
    cr_assert(!etag_matches((struct text){ 0 }, tag));
    cr_assert(!etag_matches(TEXT(""), tag));
    cr_assert(!etag_matches(TEXT("00000000000000ff"), tag));
    cr_assert(!etag_matches(TEXT("\"00000000000000fe\""), tag));
    cr_assert(!etag_matches(TEXT("\"00000000000000ff"), tag));
    cr_assert(!etag_matches(TEXT("w/\"00000000000000ff\""), tag));
    cr_assert(!etag_matches(TEXT("W/"), tag));
    cr_assert(!etag_matches(TEXT("\""), tag));
    cr_assert(!etag_matches(TEXT("\"a,\"00000000000000ff\""), tag));
    cr_assert(!etag_matches(TEXT("**"), tag));
}
