/*
 * A token. Input: with a first byte `t`, a whole token, which nobody can have signed, so it is never good;
 * else a header and claims, a line each, which are signed here. What a good one grants is what is read back
 * from its JSON.
 */
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "access/base64url.h"
#include "access/grant_json.h"
#include "access/token.h"
#include "fuzz.h"

#define SECRET "the fuzzer does not know this, and cannot find it out"
#define NOW_MS UINT64_C(1763700000000)

static enum token_verdict read_token(struct text token, struct grant **ret_grant)
{
    static const struct token_rules rules = { .audience = "a,b", .issuer = "", .leeway_ms = 5000 };
    char problem[TOKEN_PROBLEM_MAX] = "";
    struct key_ring *ring = key_ring_create();
    const struct key_ring *rings[] = { ring };
    REQUIRE(ring && key_ring_add_secret(ring, text_of(SECRET, strlen(SECRET)), problem));
    enum token_verdict verdict = token_read(token, rings, 1, &rules, NOW_MS, ret_grant, problem);
    REQUIRE((verdict == TOKEN_GOOD) == (*ret_grant != NULL));
    REQUIRE((verdict == TOKEN_GOOD) == (*problem == '\0'));
    key_ring_destroy(ring);
    return verdict;
}

static void check_grant(const struct grant *grant)
{
    struct buffer first = { 0 }, second = { 0 };
    grant_append_json(grant, &first);
    struct grant *again = grant_from_json(first.data, first.size);
    REQUIRE(again != NULL);
    grant_append_json(again, &second);
    REQUIRE(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    uint64_t expires_ms = grant_expires_wall_ms(grant);
    REQUIRE(expires_ms == 0 || expires_ms > NOW_MS);
    grant_release(again);
    buffer_free(&first);
    buffer_free(&second);
}

static struct text sign(struct text header, struct text claims, char *storage)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_length;
    char *at = storage;
    base64url_encode(header.bytes, header.length, at);
    at += strlen(at);
    *at++ = '.';
    base64url_encode(claims.bytes, claims.length, at);
    at += strlen(at);
    HMAC(EVP_sha256(), SECRET, (int)strlen(SECRET), (unsigned char *)storage, (size_t)(at - storage), digest,
         &digest_length);
    *at++ = '.';
    base64url_encode(digest, digest_length, at);
    return text_of(storage, (size_t)(at - storage) + strlen(at));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text rest = text_of((const char *)data, size);
    struct text header = { 0 };
    struct grant *grant;
    if (size == 0 || size > TOKEN_BYTES_MAX)
        return 0;
    if (data[0] == 't') {
        REQUIRE(read_token(text_of(rest.bytes + 1, rest.length - 1), &grant) != TOKEN_GOOD);
        return 0;
    }
    text_split(&rest, '\n', &header);
    char *storage = malloc(2 * size + 256);
    REQUIRE(storage != NULL);
    if (read_token(sign(header, rest, storage), &grant) == TOKEN_GOOD)
        check_grant(grant);
    grant_release(grant);
    free(storage);
    return 0;
}
