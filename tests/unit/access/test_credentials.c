#include "access/credentials.h"

#include <criterion/criterion.h>

#include "../front/front_text.h"
#include "access/base64url.h"

Test(credentials, bearer)
{
    CHECK_TEXT(credentials_bearer(TEXT("Bearer abc")), "abc");
    CHECK_TEXT(credentials_bearer(TEXT("bEARER   abc ")), "abc");
    cr_assert_null(credentials_bearer(TEXT("Bearer")).bytes);
    cr_assert_null(credentials_bearer(TEXT("Bearerabc")).bytes);
    cr_assert_null(credentials_bearer(TEXT("Basic abc")).bytes);
    cr_assert_null(credentials_bearer((struct text){ 0 }).bytes);
    cr_assert_eq(credentials_bearer(TEXT("Bearer ")).length, 0);
}

Test(credentials, cookies)
{
    bool twice;
    CHECK_TEXT(credentials_cookie(TEXT("a=1; t=x.y; b=2"), "t", &twice), "x.y");
    cr_assert_not(twice);
    CHECK_TEXT(credentials_cookie(TEXT("t=\"x=y\""), "t", &twice), "x=y");
    CHECK_TEXT(credentials_cookie(TEXT("t="), "t", &twice), "");
    cr_assert_null(credentials_cookie(TEXT("xt=1; t2=1; t; T=1"), "t", &twice).bytes);
    cr_assert_null(credentials_cookie((struct text){ 0 }, "t", &twice).bytes);
    credentials_cookie(TEXT("t=1; t=2"), "t", &twice);
    cr_assert(twice);
}

Test(credentials, base64url)
{
    static const char *const wrong[] = { "A",    "AAAAA", "AA=", "AA==", "A+AA",
                                         "A/AA", "A A",   "AB",  "AAB",  "A\nAA" };
    char bytes[64], text[64];
    size_t length;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_assert_not(base64url_decode(text_of(wrong[i], strlen(wrong[i])), bytes, &length), "%s", wrong[i]);
    for (size_t size = 0; size <= 32; size++) {
        char from[32];
        for (size_t i = 0; i < size; i++)
            from[i] = (char)(i * 41 + size);
        base64url_encode(from, size, text);
        cr_assert(base64url_decode(text_of(text, strlen(text)), bytes, &length));
        cr_assert_eq(length, size);
        cr_assert_eq(memcmp(bytes, from, size), 0);
    }
}
