#include "access/token.h"

#include "../front/front_text.h"
#include "access/grant_json.h"
#include "token_fixture.h"

#define NOW_MS UINT64_C(1763700000000)
#define NOW "1763700000"

static struct key_ring *ring;
static const struct token_rules no_rules = { .audience = "", .issuer = "", .leeway_ms = 5000 };

static void make_ring(void)
{
    char problem[KEY_RING_PROBLEM_MAX];
    ring = key_ring_create();
    cr_assert(key_ring_add_secret(ring, TEXT(TOKEN_FIXTURE_SECRET), problem));
}

static void free_ring(void)
{
    key_ring_destroy(ring);
}

TestSuite(token, .init = make_ring, .fini = free_ring);

static enum token_verdict read_with(const char *header, const char *claims, const struct token_rules *rules,
                                    struct grant **ret_grant)
{
    char storage[20000], problem[TOKEN_PROBLEM_MAX] = "";
    struct text token = token_fixture_make(header, claims, storage, sizeof(storage));
    const struct key_ring *rings[] = { ring };
    bool keep = true;
    enum token_verdict verdict = token_read(token, rings, 1, rules, NOW_MS, ret_grant, &keep, problem);
    cr_assert_eq(verdict == TOKEN_GOOD, *ret_grant != NULL);
    cr_assert_eq(verdict == TOKEN_GOOD, *problem == '\0', "%s", problem);
    cr_expect_not(keep, "HMAC is quicker than to remember it");
    return verdict;
}

static enum token_verdict verdict_of(const char *header, const char *claims, const struct token_rules *rules)
{
    struct grant *grant;
    enum token_verdict verdict = read_with(header, claims, rules, &grant);
    grant_release(grant);
    return verdict;
}

static enum token_verdict claims_verdict(const char *claims)
{
    return verdict_of(TOKEN_FIXTURE_HEADER, claims, &no_rules);
}

static enum token_verdict header_verdict(const char *header)
{
    return verdict_of(header, "{}", &no_rules);
}

Test(token, grants_what_it_claims)
{
    struct grant *grant;
    cr_assert_eq(read_with(TOKEN_FIXTURE_HEADER,
                           "{\"sub\":\"ann\",\"exp\":1763700001.5,\"sluice\":{\"subscribe\":[\"batch:*\"]}}",
                           &no_rules, &grant),
                 TOKEN_GOOD);
    CHECK_TEXT(grant_subject(grant), "ann");
    cr_expect_eq(grant_expires_wall_ms(grant), NOW_MS + 1500);
    cr_expect_eq(grant_means(grant), GRANT_TOKEN);
    CHECK_TEXT(grant_pattern(grant, ACCESS_SUBSCRIBE, 0), "batch:*");
    grant_release(grant);
    cr_assert_eq(read_with(TOKEN_FIXTURE_HEADER, "{}", &no_rules, &grant), TOKEN_GOOD);
    cr_expect_null(grant_subject(grant).bytes);
    cr_expect_eq(grant_expires_wall_ms(grant), 0);
    cr_expect_eq(grant_pattern_count(grant, ACCESS_SUBSCRIBE), 0);
    grant_release(grant);
}

Test(token, time)
{
    struct grant *grant;
    cr_expect_eq(claims_verdict("{\"exp\":" NOW "}"), TOKEN_GOOD, "by the leeway");
    cr_expect_eq(claims_verdict("{\"exp\":1763699995}"), TOKEN_EXPIRED);
    cr_expect_eq(claims_verdict("{\"exp\":1763699996}"), TOKEN_GOOD);
    cr_expect_eq(claims_verdict("{\"nbf\":1763700005}"), TOKEN_GOOD);
    cr_expect_eq(claims_verdict("{\"nbf\":1763700006}"), TOKEN_REFUSED);
    cr_assert_eq(read_with(TOKEN_FIXTURE_HEADER, "{\"exp\":1763699998}", &no_rules, &grant), TOKEN_GOOD);
    cr_expect_eq(grant_expires_wall_ms(grant), NOW_MS + 3000, "what lives by the leeway ends with it");
    grant_release(grant);
    static const char *const wrong[] = {
        "{\"exp\":0}",     "{\"exp\":-1}",    "{\"exp\":\"" NOW "\"}",   "{\"exp\":null}",
        "{\"exp\":1e300}", "{\"exp\":[]}",    "{\"exp\":1763700000000}", "{\"nbf\":\"x\"}",
        "{\"nbf\":true}",  "{\"exp\":false}", "{\"exp\":0.0001}"
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect_eq(claims_verdict(wrong[i]), TOKEN_REFUSED, "%s", wrong[i]);
}

Test(token, audience_and_issuer)
{
    const struct token_rules rules = { .audience = "sluice, live", .issuer = "https://id.example" };
    const struct {
        const char *claims;
        enum token_verdict verdict;
    } cases[] = {
        { "{\"iss\":\"https://id.example\",\"aud\":\"sluice\"}", TOKEN_GOOD },
        { "{\"iss\":\"https://id.example\",\"aud\":[\"x\",\"live\"]}", TOKEN_GOOD },
        { "{\"iss\":\"https://id.example\",\"aud\":[\"x\"]}", TOKEN_REFUSED },
        { "{\"iss\":\"https://id.example\",\"aud\":[]}", TOKEN_REFUSED },
        { "{\"iss\":\"https://id.example\",\"aud\":\"\"}", TOKEN_REFUSED },
        { "{\"iss\":\"https://id.example\",\"aud\":\"sluice, live\"}", TOKEN_REFUSED },
        { "{\"iss\":\"https://id.example\",\"aud\":{\"0\":\"sluice\"}}", TOKEN_REFUSED },
        { "{\"iss\":\"https://id.example\"}", TOKEN_REFUSED },
        { "{\"iss\":\"https://id.example/\",\"aud\":\"sluice\"}", TOKEN_REFUSED },
        { "{\"iss\":[\"https://id.example\"],\"aud\":\"sluice\"}", TOKEN_REFUSED },
        { "{\"aud\":\"sluice\"}", TOKEN_REFUSED },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(verdict_of(TOKEN_FIXTURE_HEADER, cases[i].claims, &rules), cases[i].verdict, "%s",
                     cases[i].claims);
    cr_expect_eq(claims_verdict("{\"aud\":\"sluice\"}"), TOKEN_REFUSED, "we do not know that it is for us");
    cr_expect_eq(claims_verdict("{\"iss\":\"anybody\"}"), TOKEN_GOOD);
}

Test(token, headers)
{
    cr_expect_eq(header_verdict("{\"alg\":\"HS256\"}"), TOKEN_GOOD);
    cr_expect_eq(header_verdict("{\"alg\":\"HS256\",\"typ\":\"jwt\",\"kid\":\"any\"}"), TOKEN_GOOD);
    cr_expect_eq(header_verdict("{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}"), TOKEN_GOOD);
    static const char *const wrong[] = {
        "{}",
        "[]",
        "{\"alg\":\"none\"}",
        "{\"alg\":\"\"}",
        "{\"alg\":\"hs256\"}",
        "{\"alg\":\"HS256 \"}",
        "{\"alg\":[\"HS256\"]}",
        "{\"alg\":\"none\",\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"crit\":[]}",
        "{\"alg\":\"HS256\",\"cty\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"typ\":\"secevent+jwt\"}",
        "{\"alg\":\"HS256\",\"typ\":1}",
        "{\"alg\":\"HS256\",\"kid\":1}",
        "{\"alg\":\"A128KW\",\"enc\":\"A128GCM\"}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect_eq(header_verdict(wrong[i]), TOKEN_REFUSED, "%s", wrong[i]);
    cr_expect_eq(header_verdict("{\"alg\":\"HS512\"}"), TOKEN_REFUSED, "another signature");
    cr_expect_eq(header_verdict("{\"alg\":\"RS256\"}"), TOKEN_NO_KEY);
}

Test(token, claims)
{
    static const char *const wrong[] = {
        "",
        "[]",
        "1",
        "{\"sub\":\"a\",\"sub\":\"b\"}",
        "{\"sluice\":{},\"sluice\":{}}",
        "{\"sub\":1}",
        "{\"sluice\":[]}",
        "{\"sluice\":null}",
        "{\"sluice\":{\"subscribe\":[\"a*b\"]}}",
        "{\"sluice\":{\"subscribe\":[\"a\\u0000\"]}}",
        "{\"sluice\":{\"all\":true}}",
        "{\"sub\":\"\xff\"}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect_eq(claims_verdict(wrong[i]), TOKEN_REFUSED, "%s", wrong[i]);
}

/* The same claims or header with one letter escaped are read by the other reader, which must say the same. */
static void expect_same_by_both_readers(const char *header, const char *claims,
                                        const struct token_rules *rules)
{
    char other_header[1024], other_claims[4096];
    struct grant *grants[3] = { 0 };
    struct buffer rights[3] = { 0 };
    snprintf(other_header, sizeof(other_header), "{\"\\u%04x%s", header[2], header + 3);
    snprintf(other_claims, sizeof(other_claims), "{\"\\u%04x%s", claims[2], claims + 3);
    enum token_verdict verdict = read_with(header, claims, rules, &grants[0]);
    cr_expect_eq(read_with(other_header, claims, rules, &grants[1]), verdict, "%s", other_header);
    cr_expect_eq(read_with(header, other_claims, rules, &grants[2]), verdict, "%s", other_claims);
    for (int i = 0; i < 3; i++) {
        if (grants[i])
            grant_append_json(grants[i], &rights[i]);
        cr_expect(rights[i].size == rights[0].size &&
                      (rights[0].size == 0 || memcmp(rights[i].data, rights[0].data, rights[0].size) == 0),
                  "%s: %.*s", claims, (int)rights[i].size, rights[i].data);
    }
    for (int i = 0; i < 3; i++) {
        grant_release(grants[i]);
        buffer_free(&rights[i]);
    }
}

Test(token, both_readers_say_the_same)
{
    static const char *const headers[] = {
        TOKEN_FIXTURE_HEADER,
        "{\"typ\":\"AT+jwt\",\"alg\":\"HS256\",\"kid\":\"a\",\"jku\":\"https://"
        "evil.example\",\"x5c\":[\"AA\"]}",
        "{\"alg\":\"none\"}",
        "{\"alg\":\"RS256\"}",
        "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}",
        "{\"alg\":\"HS256\",\"typ\":\"JWE\"}",
        "{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
        "{\"typ\":\"JWT\"}",
    };
    static const char *const claims[] = {
        "{\"sub\":\"ann\",\"exp\":1763700001,\"iat\":1,\"sluice\":{\"subscribe\":[\"batch:*\",\"a\"],"
        "\"admin\":true}}",
        "{\"sub\":\"\",\"exp\":1763699998}",
        "{\"exp\":1763699995}",
        "{\"exp\":100000000000}",
        "{\"exp\":100000000001}",
        "{\"nbf\":1763700006}",
        "{\"nbf\":1763700005,\"aud\":[\"x\",\"sluice\"],\"iss\":\"https://id.example\"}",
        "{\"aud\":\"sluice\",\"iss\":\"https://id.example\"}",
        "{\"aud\":\"other\"}",
        "{\"sluice\":{\"subscribe\":[\"a*b\"]}}",
        "{\"sluice\":{\"subscribe\":[\"\"]}}",
        "{\"sluice\":{\"consume\":[\"stream:a\"],\"publish\":[\"*\"]}}",
        "{\"sluice\":{\"all\":[]}}",
        "{\"sub\":\"a\",\"sub\":\"b\"}",
        "{\"scope\":\"openid\",\"roles\":[\"a\"],\"address\":{\"city\":\"X\"},\"azp\":null,\"ok\":true}",
    };
    static const struct token_rules rules = { .audience = "sluice",
                                              .issuer = "https://id.example",
                                              .leeway_ms = 5000 };
    for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        expect_same_by_both_readers(TOKEN_FIXTURE_HEADER, claims[i], &no_rules);
        expect_same_by_both_readers(TOKEN_FIXTURE_HEADER, claims[i], &rules);
    }
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        expect_same_by_both_readers(headers[i], claims[0], &no_rules);
}

/* RFC 7515, appendix A.3. */
Test(token, one_by_a_public_key_is_worth_keeping)
{
    static const char token[] =
        "eyJhbGciOiJFUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    struct key_ring *keys = key_ring_create();
    const struct key_ring *rings[] = { ring, keys };
    const struct token_rules rules = { .audience = "", .issuer = "joe" };
    struct grant *grant;
    bool keep;
    char problem[KEY_RING_PROBLEM_MAX];
    cr_assert(key_ring_add_jwks(keys,
                                TEXT("{\"kty\":\"EC\",\"crv\":\"P-256\","
                                     "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                                     "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"),
                                false, problem));
    cr_assert_eq(token_read(TEXT(token), rings, 2, &rules, UINT64_C(1300819379000), &grant, &keep, problem),
                 TOKEN_GOOD);
    cr_expect(keep);
    cr_expect_eq(grant_expires_wall_ms(grant), UINT64_C(1300819380000));
    grant_release(grant);
    cr_assert_eq(token_read(TEXT(token), rings, 2, &rules, UINT64_C(1300819380000), &grant, &keep, problem),
                 TOKEN_EXPIRED);
    cr_expect_not(keep);
    cr_expect_null(grant);
    key_ring_destroy(keys);
}

Test(token, forms)
{
    static const char *const wrong[] = {
        "", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d", "eyJ9.e30.AA"
    };
    const struct key_ring *rings[] = { ring };
    struct grant *grant;
    bool keep;
    char problem[TOKEN_PROBLEM_MAX], storage[20000];
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect_eq(token_read(text_of(wrong[i], strlen(wrong[i])), rings, 1, &no_rules, NOW_MS, &grant,
                                &keep, problem),
                     TOKEN_REFUSED, "%s", wrong[i]);
    struct text token = token_fixture_make(TOKEN_FIXTURE_HEADER, "{}", storage, sizeof(storage));
    for (size_t at = 0; at < token.length; at++) {
        char kept = storage[at];
        storage[at] = kept == 'x' ? 'y' : 'x';
        /* The last letter of a signature has bits that mean nothing, and must be 0. */
        cr_expect_neq(token_read(token, rings, 1, &no_rules, NOW_MS, &grant, &keep, problem), TOKEN_GOOD,
                      "at %zu", at);
        storage[at] = kept;
    }
    cr_expect_eq(token_read(token, rings, 1, &no_rules, NOW_MS, &grant, &keep, problem), TOKEN_GOOD);
    grant_release(grant);
    char huge[TOKEN_BYTES_MAX + 2];
    memset(huge, 'a', sizeof(huge));
    huge[10] = huge[20] = '.';
    cr_expect_eq(
        token_read(text_of(huge, TOKEN_BYTES_MAX + 1), rings, 1, &no_rules, NOW_MS, &grant, &keep, problem),
        TOKEN_REFUSED);
    cr_expect(token_looks_like_one(TEXT("a.b.c")));
    cr_expect_not(token_looks_like_one(TEXT("sk_abc")));
    cr_expect_not(token_looks_like_one(TEXT("a.b.c.d")));
    cr_expect_not(token_looks_like_one(TEXT("a.b c.d")));
}
