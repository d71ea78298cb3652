/* Vectors of RFC 7515, appendix A, and RFC 8037, appendix A. */
#include "access/key_ring.h"

#include <criterion/criterion.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "../front/front_text.h"
#include "access/base64url.h"

#define JOE "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define HS256_JWK                                                                                            \
    "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"                                 \
    "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr"                                                                     \
    "1Z9CAow\"}"
#define HS256_SIGNED "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." JOE
#define HS256_SIGNATURE "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define ES256_MEMBERS                                                                                        \
    "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define ES256_SIGNED "eyJhbGciOiJFUzI1NiJ9." JOE
#define ES256_SIGNATURE                                                                                      \
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define EDDSA_MEMBERS                                                                                        \
    "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
#define EDDSA_SIGNED "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
#define EDDSA_SIGNATURE                                                                                      \
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"

static enum key_ring_verdict check(const struct key_ring *ring, enum signature_algorithm algorithm,
                                   struct text id, struct text signed_bytes, struct text signature)
{
    char bytes[512];
    size_t length;
    cr_assert(base64url_decode(signature, bytes, &length));
    return key_ring_check(ring, algorithm, id, signed_bytes, text_of(bytes, length));
}

static struct key_ring *ring_of(struct text jwks)
{
    char problem[KEY_RING_PROBLEM_MAX];
    struct key_ring *ring = key_ring_create();
    cr_assert(key_ring_add_jwks(ring, jwks, true, problem), "%s", problem);
    return ring;
}

static void expect_no_key(struct text jwks, bool with_secrets)
{
    char problem[KEY_RING_PROBLEM_MAX] = "";
    struct key_ring *ring = key_ring_create();
    cr_assert_not(key_ring_add_jwks(ring, jwks, with_secrets, problem), "%.*s", (int)jwks.length, jwks.bytes);
    cr_assert_str_neq(problem, "");
    key_ring_destroy(ring);
}

static const struct text no_id = { 0 };

Test(key_ring, vectors)
{
    struct key_ring *ring =
        ring_of(TEXT("{\"keys\":[" HS256_JWK ",{" ES256_MEMBERS ",\"kid\":\"a\"},{" EDDSA_MEMBERS "}]}"));
    cr_assert_eq(key_ring_count(ring), 3);
    cr_expect_eq(check(ring, SIGNATURE_HS256, no_id, TEXT(HS256_SIGNED), TEXT(HS256_SIGNATURE)),
                 KEY_RING_GOOD);
    cr_expect_eq(check(ring, SIGNATURE_ES256, no_id, TEXT(ES256_SIGNED), TEXT(ES256_SIGNATURE)),
                 KEY_RING_GOOD);
    cr_expect_eq(check(ring, SIGNATURE_EDDSA, no_id, TEXT(EDDSA_SIGNED), TEXT(EDDSA_SIGNATURE)),
                 KEY_RING_GOOD);
    cr_expect_eq(check(ring, SIGNATURE_HS256, no_id, TEXT(ES256_SIGNED), TEXT(HS256_SIGNATURE)),
                 KEY_RING_BAD);
    cr_expect_eq(check(ring, SIGNATURE_ES256, no_id, TEXT(HS256_SIGNED), TEXT(ES256_SIGNATURE)),
                 KEY_RING_BAD);
    cr_expect_eq(check(ring, SIGNATURE_EDDSA, no_id, TEXT(HS256_SIGNED), TEXT(EDDSA_SIGNATURE)),
                 KEY_RING_BAD);
    cr_expect_eq(check(ring, SIGNATURE_ES256, no_id, TEXT(ES256_SIGNED), TEXT("AAAA")), KEY_RING_BAD);
    key_ring_destroy(ring);
}

/* A secret is keyed once: what came before leaves nothing behind, be it good, forged or of another algorithm.
 */
Test(key_ring, a_secret_serves_again_and_again)
{
    static const char secret[] = "a secret that is long enough for a test";
    char problem[KEY_RING_PROBLEM_MAX], message[400];
    struct key_ring *ring = key_ring_create();
    const EVP_MD *digests[] = { EVP_sha256(), EVP_sha384(), EVP_sha512() };
    cr_assert(key_ring_add_secret(ring, TEXT("another secret, which comes first in it"), problem));
    cr_assert(key_ring_add_secret(ring, TEXT(secret), problem));
    for (unsigned round = 0; round < 300; round++) {
        enum signature_algorithm algorithm = (enum signature_algorithm)(round * 7 % 3);
        unsigned char signature[EVP_MAX_MD_SIZE];
        unsigned length;
        size_t message_length = round;
        memset(message, (int)round, sizeof(message));
        HMAC(digests[algorithm], secret, sizeof(secret) - 1, (unsigned char *)message, message_length,
             signature, &length);
        const struct text signed_bytes = text_of(message, message_length);
        const struct text good = text_of((char *)signature, length);
        cr_expect_eq(key_ring_check(ring, algorithm, no_id, signed_bytes, good), KEY_RING_GOOD, "%u", round);
        cr_expect_eq(key_ring_check(ring, algorithm, no_id, signed_bytes, text_of(good.bytes, length - 1)),
                     KEY_RING_BAD);
        cr_expect_eq(key_ring_check(ring, algorithm, no_id, text_of(message, message_length + 1), good),
                     KEY_RING_BAD);
        signature[round % length] ^= 1;
        cr_expect_eq(key_ring_check(ring, algorithm, no_id, signed_bytes, good), KEY_RING_BAD, "%u", round);
    }
    key_ring_destroy(ring);
}

Test(key_ring, the_key_fixes_the_algorithm)
{
    struct key_ring *ring = ring_of(TEXT("{" ES256_MEMBERS "}"));
    for (int algorithm = 0; algorithm < SIGNATURE_ALGORITHMS; algorithm++)
        cr_expect_eq(check(ring, (enum signature_algorithm)algorithm, no_id, TEXT(ES256_SIGNED),
                           TEXT(ES256_SIGNATURE)),
                     algorithm == SIGNATURE_ES256 ? KEY_RING_GOOD : KEY_RING_NO_KEY);
    key_ring_destroy(ring);
    expect_no_key(TEXT("{" ES256_MEMBERS ",\"alg\":\"ES384\"}"), true);
    expect_no_key(TEXT("{" ES256_MEMBERS ",\"alg\":\"none\"}"), true);
    expect_no_key(TEXT("{" ES256_MEMBERS ",\"alg\":\"HS256\"}"), true);
    expect_no_key(TEXT("{" ES256_MEMBERS ",\"alg\":7}"), true);
}

Test(key_ring, ids_are_compared_and_nothing_else)
{
    struct key_ring *ring = ring_of(TEXT("{\"keys\":[{" ES256_MEMBERS ",\"kid\":\"a\"}]}"));
    const struct text signed_bytes = TEXT(ES256_SIGNED), signature = TEXT(ES256_SIGNATURE);
    cr_expect_eq(check(ring, SIGNATURE_ES256, TEXT("a"), signed_bytes, signature), KEY_RING_GOOD);
    cr_expect_eq(check(ring, SIGNATURE_ES256, TEXT("b"), signed_bytes, signature), KEY_RING_NO_KEY);
    cr_expect_eq(check(ring, SIGNATURE_ES256, TEXT("a\0"), signed_bytes, signature), KEY_RING_NO_KEY);
    cr_expect_eq(check(ring, SIGNATURE_ES256, TEXT(""), signed_bytes, signature), KEY_RING_NO_KEY);
    cr_expect_eq(check(ring, SIGNATURE_ES256, TEXT("../a"), signed_bytes, signature), KEY_RING_NO_KEY);
    key_ring_destroy(ring);
}

Test(key_ring, keys_that_are_none_for_us)
{
    expect_no_key(TEXT(""), true);
    expect_no_key(TEXT("{}"), true);
    expect_no_key(TEXT("{\"keys\":[]}"), true);
    expect_no_key(TEXT("{\"keys\":[1,null,\"a\",[]]}"), true);
    expect_no_key(TEXT(HS256_JWK), false);
    expect_no_key(TEXT("{" ES256_MEMBERS ",\"use\":\"enc\"}"), true);
    expect_no_key(TEXT("{" ES256_MEMBERS ",\"key_ops\":[\"sign\"]}"), true);
    expect_no_key(TEXT("{" ES256_MEMBERS ",\"d\":\"AA\"}"), true);
    /* not on its curve, of another length, of an unknown curve */
    expect_no_key(
        TEXT("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
             "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"}"),
        true);
    expect_no_key(TEXT("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83O\",\"y\":\"x_FE\"}"), true);
    expect_no_key(
        TEXT("{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"),
        true);
    /* RSA of 64 bits; with the exponent 1 */
    expect_no_key(TEXT("{\"kty\":\"RSA\",\"n\":\"wQAAAAAAAAE\",\"e\":\"AQAB\"}"), true);
    expect_no_key(TEXT("{\"kty\":\"RSA\",\"n\":\"wQAAAAAAAAE\",\"e\":\"AQ\"}"), true);
}

/* A PEM of a new key; private or public. */
static struct text pem_of(const char *kind, const char *group, unsigned bits, bool is_private, char *storage,
                          size_t size)
{
    EVP_PKEY *key = group ? EVP_PKEY_Q_keygen(NULL, NULL, kind, group)
                          : EVP_PKEY_Q_keygen(NULL, NULL, kind, (size_t)bits);
    BIO *bio = BIO_new(BIO_s_mem());
    cr_assert(key && (is_private ? PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
                                 : PEM_write_bio_PUBKEY(bio, key)));
    int length = BIO_read(bio, storage, (int)size);
    cr_assert_gt(length, 0);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return text_of(storage, (size_t)length);
}

Test(key_ring, pem)
{
    char storage[4096], problem[KEY_RING_PROBLEM_MAX] = "";
    struct key_ring *ring = key_ring_create();
    cr_expect(key_ring_add_pem(ring, pem_of("EC", "P-384", 0, false, storage, sizeof(storage)), problem));
    cr_expect(key_ring_add_pem(ring, pem_of("RSA", NULL, 2048, false, storage, sizeof(storage)), problem));
    cr_expect_not(
        key_ring_add_pem(ring, pem_of("RSA", NULL, 1024, false, storage, sizeof(storage)), problem));
    cr_expect_not_null(strstr(problem, "2048"));
    cr_expect_not(key_ring_add_pem(ring, pem_of("EC", "P-256", 0, true, storage, sizeof(storage)), problem));
    cr_expect_not_null(strstr(problem, "private"));
    cr_expect_not(key_ring_add_pem(ring, TEXT("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
                                   problem));
    cr_expect_not(key_ring_add_pem(ring, TEXT("nothing"), problem));
    cr_expect_eq(key_ring_count(ring), 2);
    struct buffer summary = { 0 };
    key_ring_append_summary(ring, &summary);
    buffer_append_byte(&summary, '\0');
    cr_expect_str_eq(summary.data, "ES384; RS256 RS384 RS512 PS256 PS384 PS512");
    buffer_free(&summary);
    key_ring_destroy(ring);
}
