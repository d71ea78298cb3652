#include "access/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/base64url.h"
#include "access/grant_json.h"

#define SIGNATURE_BYTES_MAX 2048   /* RSA of 16384 bits */
#define SECONDS_MAX 100000000000.0 /* the year 5138: whoever is above it counts milliseconds */

/* The parts, as they were sent. */
struct token_parts {
    struct text header;
    struct text payload;
    struct text signature;
    struct text signed_bytes; /* header and payload with the dot between them */
};

struct token_header {
    enum signature_algorithm algorithm;
    struct text key_id; /* refers to the JSON */
};

static bool split(struct text token, struct token_parts *ret_parts)
{
    const char *first = token.length ? memchr(token.bytes, '.', token.length) : NULL;
    size_t left = first ? token.length - (size_t)(first + 1 - token.bytes) : 0;
    const char *second = left ? memchr(first + 1, '.', left) : NULL;
    if (!second)
        return false;
    const char *end = token.bytes + token.length;
    ret_parts->header = text_of(token.bytes, (size_t)(first - token.bytes));
    ret_parts->payload = text_of(first + 1, (size_t)(second - first - 1));
    ret_parts->signature = text_of(second + 1, (size_t)(end - second - 1));
    ret_parts->signed_bytes = text_of(token.bytes, (size_t)(second - token.bytes));
    return memchr(second + 1, '.', ret_parts->signature.length) == NULL;
}

bool token_looks_like_one(struct text text)
{
    struct token_parts parts;
    for (size_t at = 0; at < text.length; at++) {
        char letter = text.bytes[at];
        if (!((letter >= '0' && letter <= '9') || (letter >= 'A' && letter <= 'Z') ||
              (letter >= 'a' && letter <= 'z') || letter == '-' || letter == '_' || letter == '.'))
            return false;
    }
    return split(text, &parts);
}

static enum token_verdict refuse(char *ret_problem, const char *problem)
{
    snprintf(ret_problem, TOKEN_PROBLEM_MAX, "%s", problem);
    return TOKEN_REFUSED;
}

/* NULL if it is no object of JSON in base64url. */
static json_t *decode_object(struct text part)
{
    char *bytes = malloc(BASE64URL_DECODED_MAX(part.length));
    size_t length;
    json_t *object = NULL;
    if (bytes && base64url_decode(part, bytes, &length))
        object = access_json_parse(bytes, length);
    free(bytes);
    return object;
}

static struct text text_member(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    if (!json_is_string(value))
        return (struct text){ 0 };
    return text_of(json_string_value(value), json_string_length(value));
}

/* RFC 8725, section 3.11: a token for something else does not pass for one of ours. */
static bool is_our_type(const json_t *header)
{
    struct text type = text_member(header, "typ");
    return !json_object_get(header, "typ") || text_is_caseless(type, "JWT") ||
           text_is_caseless(type, "at+jwt") || text_is_caseless(type, "application/at+jwt");
}

static enum token_verdict read_header(const json_t *header, struct token_header *ret_header,
                                      char *ret_problem)
{
    const json_t *id = json_object_get(header, "kid");
    ret_header->key_id = text_member(header, "kid");
    ret_header->algorithm = signature_algorithm_of(text_member(header, "alg"));
    if (ret_header->algorithm == SIGNATURE_ALGORITHMS)
        return refuse(ret_problem, "The token's algorithm is none that is accepted.");
    if (id && !json_is_string(id))
        return refuse(ret_problem, "The token's \"kid\" is not a string.");
    if (json_object_get(header, "crit"))
        return refuse(ret_problem, "The token asks for an extension (\"crit\") that is not known.");
    if (!is_our_type(header) || json_object_get(header, "cty"))
        return refuse(ret_problem, "The token is of another type (\"typ\", \"cty\").");
    return TOKEN_GOOD;
}

static enum token_verdict check_signature(const struct token_parts *parts, const struct token_header *header,
                                          const struct key_ring *const *rings, size_t ring_count,
                                          char *ret_problem)
{
    char signature[SIGNATURE_BYTES_MAX + 2];
    size_t length;
    bool has_key = false;
    if (parts->signature.length > BASE64URL_ENCODED_MAX(SIGNATURE_BYTES_MAX) - 1 ||
        !base64url_decode(parts->signature, signature, &length) || length == 0)
        return refuse(ret_problem, "The token's signature is not base64url.");
    for (size_t i = 0; i < ring_count; i++) {
        enum key_ring_verdict verdict = key_ring_check(rings[i], header->algorithm, header->key_id,
                                                       parts->signed_bytes, text_of(signature, length));
        if (verdict == KEY_RING_GOOD)
            return TOKEN_GOOD;
        has_key |= verdict == KEY_RING_BAD;
    }
    if (has_key)
        return refuse(ret_problem, "The token's signature is wrong.");
    refuse(ret_problem, "The token is signed with a key or an algorithm that is not accepted.");
    return TOKEN_NO_KEY;
}

/* --- claims --- */

/* A NumericDate (RFC 7519, section 2); 0 where it is absent. */
static bool read_time(const json_t *claims, const char *member, uint64_t *ret_ms)
{
    const json_t *value = json_object_get(claims, member);
    double seconds = json_number_value(value);
    *ret_ms = 0;
    if (!value)
        return true;
    if (!json_is_number(value) || !(seconds > 0) || seconds > SECONDS_MAX)
        return false;
    *ret_ms = (uint64_t)(seconds * 1000);
    return true;
}

/* `expected` is a comma-separated list. */
static bool is_one_of(struct text value, const char *expected)
{
    struct text rest = text_of(expected, strlen(expected));
    struct text one;
    while (value.bytes && text_split(&rest, ',', &one)) {
        one = text_trim(one);
        if (one.length && one.length == value.length && memcmp(one.bytes, value.bytes, one.length) == 0)
            return true;
    }
    return false;
}

/* RFC 7519, section 4.1.3: whoever does not find himself in it must reject it. */
static bool is_our_audience(const json_t *claims, const char *audience)
{
    const json_t *value = json_object_get(claims, "aud");
    if (!value)
        return !*audience;
    if (json_is_string(value))
        return is_one_of(text_member(claims, "aud"), audience);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *one = json_array_get(value, i);
        if (json_is_string(one) &&
            is_one_of(text_of(json_string_value(one), json_string_length(one)), audience))
            return true;
    }
    return false;
}

static enum token_verdict check_claims(const json_t *claims, const struct token_rules *rules, uint64_t now_ms,
                                       uint64_t *ret_expires_ms, char *ret_problem)
{
    uint64_t expires_ms, not_before_ms;
    struct text issuer = text_member(claims, "iss");
    if (!read_time(claims, "exp", &expires_ms) || !read_time(claims, "nbf", &not_before_ms))
        return refuse(ret_problem, "The token's \"exp\" or \"nbf\" is not a time in seconds.");
    if (expires_ms && now_ms >= expires_ms + rules->leeway_ms) {
        refuse(ret_problem, "The token has expired.");
        return TOKEN_EXPIRED;
    }
    if (not_before_ms > now_ms + rules->leeway_ms)
        return refuse(ret_problem, "The token is not valid yet.");
    if (*rules->issuer && !(issuer.bytes && text_is(issuer, rules->issuer)))
        return refuse(ret_problem, "The token is of another issuer (\"iss\").");
    if (!is_our_audience(claims, rules->audience))
        return refuse(ret_problem, *rules->audience
                                       ? "The token is for another audience (\"aud\")."
                                       : "The token is for an audience (\"aud\"), and jwt_audience does not "
                                         "say that this gateway is it.");
    /* One that lives by the leeway alone ends with it, or its stream would end as it begins. */
    *ret_expires_ms = expires_ms > now_ms || !expires_ms ? expires_ms : expires_ms + rules->leeway_ms;
    return TOKEN_GOOD;
}

static enum token_verdict read_grant(const json_t *claims, uint64_t expires_ms, struct grant **ret_grant,
                                     char *ret_problem)
{
    const json_t *subject = json_object_get(claims, "sub");
    const json_t *rights = json_object_get(claims, "sluice");
    struct grant_draft draft = { .means = GRANT_TOKEN, .expires_wall_ms = expires_ms };
    char problem[GRANT_PROBLEM_MAX];
    if (subject && !json_is_string(subject))
        return refuse(ret_problem, "The token's \"sub\" is not a string.");
    draft.subject = text_member(claims, "sub");
    /* Someone who may nothing is known nevertheless: the answer is that it is not granted. */
    *ret_grant = rights ? grant_from_rights(rights, &draft, problem) : grant_create(&draft, problem);
    if (*ret_grant)
        return TOKEN_GOOD;
    snprintf(ret_problem, TOKEN_PROBLEM_MAX, "The token's claims will not do: %s", problem);
    return TOKEN_REFUSED;
}

static enum token_verdict read_payload(struct text payload, const struct token_rules *rules, uint64_t now_ms,
                                       struct grant **ret_grant, char *ret_problem)
{
    uint64_t expires_ms = 0;
    json_t *claims = decode_object(payload);
    if (!claims)
        return refuse(ret_problem, "The token's claims are not one JSON object with each member once.");
    enum token_verdict verdict = check_claims(claims, rules, now_ms, &expires_ms, ret_problem);
    if (verdict == TOKEN_GOOD)
        verdict = read_grant(claims, expires_ms, ret_grant, ret_problem);
    json_decref(claims);
    return verdict;
}

enum token_verdict token_read(struct text token, const struct key_ring *const *rings, size_t ring_count,
                              const struct token_rules *rules, uint64_t now_wall_ms, struct grant **ret_grant,
                              char ret_problem[static TOKEN_PROBLEM_MAX])
{
    struct token_parts parts;
    struct token_header header;
    *ret_grant = NULL;
    if (token.length > TOKEN_BYTES_MAX)
        return refuse(ret_problem, "The token is larger than 8 KiB.");
    if (!split(token, &parts))
        return refuse(ret_problem, "It is not a token: header.payload.signature.");
    json_t *head = decode_object(parts.header);
    if (!head)
        return refuse(ret_problem, "The token's header is not one JSON object with each member once.");
    enum token_verdict verdict = read_header(head, &header, ret_problem);
    if (verdict == TOKEN_GOOD)
        verdict = check_signature(&parts, &header, rings, ring_count, ret_problem);
    if (verdict == TOKEN_GOOD)
        verdict = read_payload(parts.payload, rules, now_wall_ms, ret_grant, ret_problem);
    json_decref(head);
    return verdict;
}
