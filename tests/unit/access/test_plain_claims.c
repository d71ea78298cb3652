#include "access/plain_claims.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "../front/front_text.h"

static bool read_claims(const char *text, struct plain_claims *ret_claims)
{
    return plain_claims_read(text, strlen(text), "sluice, live", ret_claims);
}

Test(plain_claims, what_nearly_all_tokens_have)
{
    struct plain_claims read;
    cr_assert(read_claims("{\"sub\":\"ann\",\"exp\":1763700000,\"nbf\":1763600000,\"iat\":1763600000,"
                          "\"iss\":\"https://id.example\",\"aud\":\"live\",\"roles\":[\"a\",\"b\"],"
                          "\"sluice\":{\"subscribe\":[\"batch:42\",\"user:u1.*\"],\"publish\":[],"
                          "\"admin\":true}}",
                          &read));
    CHECK_TEXT(read.draft.subject, "ann");
    CHECK_TEXT(read.claims.issuer, "https://id.example");
    cr_expect_eq(read.claims.expires_ms, UINT64_C(1763700000000));
    cr_expect_eq(read.claims.not_before_ms, UINT64_C(1763600000000));
    cr_expect(read.claims.is_for_us);
    cr_expect_eq(read.draft.lists[ACCESS_SUBSCRIBE].count, 2);
    CHECK_TEXT(read.draft.lists[ACCESS_SUBSCRIBE].patterns[1], "user:u1.*");
    cr_expect_eq(read.draft.lists[ACCESS_PUBLISH].count, 0);
    cr_expect_eq(read.draft.lists[ACCESS_CONSUME].count, 0);
    cr_expect(read.draft.admin);
    cr_expect_eq(read.draft.means, GRANT_TOKEN);
}

Test(plain_claims, what_is_absent_is_nothing)
{
    struct plain_claims read;
    cr_assert(read_claims("{}", &read));
    cr_expect_null(read.draft.subject.bytes);
    cr_expect_null(read.claims.issuer.bytes);
    cr_expect_eq(read.claims.expires_ms, 0);
    cr_expect_not(read.claims.is_for_us, "an audience is set, and none is named");
    cr_expect_not(read.draft.admin);
    cr_assert(plain_claims_read("{}", 2, "", &read));
    cr_expect(read.claims.is_for_us);
    cr_assert(read_claims("{\"sluice\":{\"admin\":false}}", &read));
    cr_expect_not(read.draft.admin);
}

Test(plain_claims, audiences)
{
    static const struct {
        const char *claims;
        bool is_for_us;
    } cases[] = {
        { "{\"aud\":\"sluice\"}", true },
        { "{\"aud\":[\"x\",\"live\"]}", true },
        { "{\"aud\":[\"live\",\"x\"]}", true },
        { "{\"aud\":[\"x\"]}", false },
        { "{\"aud\":[]}", false },
        { "{\"aud\":\"\"}", false },
        { "{\"aud\":\"sluice, live\"}", false },
    };
    struct plain_claims read;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert(read_claims(cases[i].claims, &read), "%s", cases[i].claims);
        cr_expect_eq(read.claims.is_for_us, cases[i].is_for_us, "%s", cases[i].claims);
    }
    cr_assert(plain_claims_read("{\"aud\":\"sluice\"}", 16, "", &read));
    cr_expect_not(read.claims.is_for_us);
}

/* All of this is for the parser to read or to refuse. */
Test(plain_claims, what_is_not_plain)
{
    static const char *const others[] = {
        "",
        "[]",
        "1",
        "{",
        "{}x",
        "{\"sub\":1}",
        "{\"sub\":null}",
        "{\"sub\":\"a\",\"sub\":\"b\"}",
        "{\"sub\":\"\\u0061\"}",
        "{\"s\\u0075b\":\"a\"}",
        "{\"sub\":\"\xc3\xa9\"}",
        "{\"exp\":0}",
        "{\"exp\":-1}",
        "{\"exp\":1.5}",
        "{\"exp\":\"1\"}",
        "{\"exp\":null}",
        "{\"exp\":100000000001}",
        "{\"nbf\":true}",
        "{\"iss\":[\"a\"]}",
        "{\"aud\":1}",
        "{\"aud\":[1]}",
        "{\"aud\":{\"0\":\"live\"}}",
        "{\"sluice\":[]}",
        "{\"sluice\":null}",
        "{\"sluice\":{},\"sluice\":{}}",
        "{\"sluice\":{\"all\":[]}}",
        "{\"sluice\":{\"subscribe\":[],\"subscribe\":[]}}",
        "{\"sluice\":{\"subscribe\":\"a\"}}",
        "{\"sluice\":{\"subscribe\":[1]}}",
        "{\"sluice\":{\"subscribe\":{}}}",
        "{\"sluice\":{\"admin\":\"true\"}}",
        "{\"sluice\":{\"admin\":1}}",
        "{\"sluice\":{\"admin\":[]}}",
        "{\"sluice\":{\"admin\":true,\"admin\":true}}",
        "{\"x\":{\"a\":1,\"a\":1}}",
    };
    struct plain_claims read;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        cr_expect_not(read_claims(others[i], &read), "%s", others[i]);
    char many[1024] = "{\"sluice\":{\"subscribe\":[\"a\"";
    for (int i = 1; i < PLAIN_PATTERNS_MAX; i++)
        strcat(many, ",\"a\"");
    char more[1100];
    snprintf(more, sizeof(more), "%s,\"a\"]}}", many);
    strcat(many, "]}}");
    cr_expect(read_claims(many, &read));
    cr_expect_eq(read.draft.lists[ACCESS_SUBSCRIBE].count, PLAIN_PATTERNS_MAX);
    cr_expect_not(read_claims(more, &read));
}
