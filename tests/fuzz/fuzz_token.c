/*
 * A token that nobody can have signed is never good. What a good one grants is what is read back from its
 * JSON; and with one letter escaped, which says the same to JSON, all of it comes out the same, although
 * another reader reads it. Input: with a first byte `t`, a whole token; else a header and claims, a line
 * each, which are signed here.
 */
#include <openssl/hmac.h>
#include <stdio.h>
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
    bool keep;
    REQUIRE(ring && key_ring_add_secret(ring, text_of(SECRET, strlen(SECRET)), problem));
    enum token_verdict verdict = token_read(token, rings, 1, &rules, NOW_MS, ret_grant, &keep, problem);
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

/* `{"sub":…` as `{"\u0073ub":…`, into `storage`; as it is where it does not begin so. */
static struct text escaped(struct text json, char *storage)
{
    bool is_object = json.length > 3 && json.bytes[0] == '{' && json.bytes[1] == '"' && json.bytes[2] > ' ' &&
                     json.bytes[2] < 0x7f && json.bytes[2] != '"' && json.bytes[2] != '\\';
    if (!is_object)
        return json;
    int length = sprintf(storage, "{\"\\u%04x", json.bytes[2]);
    memcpy(storage + length, json.bytes + 3, json.length - 3);
    return text_of(storage, (size_t)length + json.length - 3);
}

static void check_other_reader(struct text header, struct text claims, enum token_verdict verdict,
                               const struct grant *grant, char *storage)
{
    struct buffer first = { 0 }, second = { 0 };
    struct grant *again;
    char *other = malloc(header.length + claims.length + 64);
    REQUIRE(other != NULL);
    struct text other_header = escaped(header, other);
    struct text other_claims = escaped(claims, other + header.length + 16);
    /* What is longer may be too long. */
    bool is_longer = header.length + claims.length + 64 > TOKEN_BYTES_MAX / 2;
    if (!is_longer) {
        REQUIRE(read_token(sign(other_header, other_claims, storage), &again) == verdict);
        if (grant) {
            grant_append_json(grant, &first);
            grant_append_json(again, &second);
            REQUIRE(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
        }
        grant_release(again);
    }
    buffer_free(&first);
    buffer_free(&second);
    free(other);
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
    char *storage = malloc(2 * size + 512);
    REQUIRE(storage != NULL);
    enum token_verdict verdict = read_token(sign(header, rest, storage), &grant);
    if (verdict == TOKEN_GOOD)
        check_grant(grant);
    check_other_reader(header, rest, verdict, grant, storage);
    grant_release(grant);
    free(storage);
    return 0;
}
