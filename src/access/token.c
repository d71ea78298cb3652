#include "access/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/base64url.h"
#include "access/grant_json.h"
#include "access/plain_claims.h"
#include "access/plain_json.h"

#define SIGNATURE_BYTES_MAX 2048 /* RSA of 16384 bits */

/* The parts, as they were sent. */
struct token_parts {
    struct text header;
    struct text payload;
    struct text signature;
    struct text signed_bytes; /* header and payload with the dot between them */
};

struct token_header {
    enum signature_algorithm algorithm;
    struct text key_id; /* refers to one of the two below */
    json_t *json;       /* NULL: it was plain */
    char bytes[BASE64URL_DECODED_MAX(TOKEN_BYTES_MAX)];
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
    return split(text, &parts) && base64url_is_text(parts.header) && base64url_is_text(parts.payload) &&
           base64url_is_text(parts.signature);
}

static enum token_verdict refuse(char *ret_problem, const char *problem)
{
    snprintf(ret_problem, TOKEN_PROBLEM_MAX, "%s", problem);
    return TOKEN_REFUSED;
}

static struct text text_member(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    if (!json_is_string(value))
        return (struct text){ 0 };
    return text_of(json_string_value(value), json_string_length(value));
}

/* RFC 8725, section 3.11: a token for something else does not pass for one of ours. */
static bool is_our_type(struct text type)
{
    return text_is_caseless(type, "JWT") || text_is_caseless(type, "at+jwt") ||
           text_is_caseless(type, "application/at+jwt");
}

/* --- the header --- */

static bool read_plain_member(struct plain_json *json, struct text name, struct token_header *header)
{
    struct text value;
    if (text_is(name, "alg")) {
        if (!plain_json_string(json, &value))
            return false;
        header->algorithm = signature_algorithm_of(value);
        return header->algorithm != SIGNATURE_ALGORITHMS;
    }
    if (text_is(name, "kid"))
        return plain_json_string(json, &header->key_id);
    if (text_is(name, "typ"))
        return plain_json_string(json, &value) && is_our_type(value);
    return !text_is(name, "crit") && !text_is(name, "cty") && plain_json_skip(json);
}

/* False for what is not plain, and for what is wrong: read_json_header() says what. */
static bool read_plain_header(size_t length, struct token_header *header)
{
    struct plain_json json = plain_json_of(header->bytes, length);
    struct plain_names names = { .count = 0 };
    struct text name;
    header->algorithm = SIGNATURE_ALGORITHMS;
    header->key_id = (struct text){ 0 };
    for (bool more = plain_json_enter(&json, '{'); more && plain_json_next(&json, '}');)
        if (!plain_json_name(&json, &name) || !plain_names_add(&names, name) ||
            !read_plain_member(&json, name, header))
            return false;
    return plain_json_is_read(&json) && header->algorithm != SIGNATURE_ALGORITHMS;
}

static enum token_verdict read_json_header(size_t length, struct token_header *header, char *ret_problem)
{
    header->json = access_json_parse(header->bytes, length);
    if (!header->json)
        return refuse(ret_problem, "The token's header is not one JSON object with each member once.");
    const json_t *id = json_object_get(header->json, "kid");
    header->key_id = text_member(header->json, "kid");
    header->algorithm = signature_algorithm_of(text_member(header->json, "alg"));
    if (header->algorithm == SIGNATURE_ALGORITHMS)
        return refuse(ret_problem, "The token's algorithm is none that is accepted.");
    if (id && !json_is_string(id))
        return refuse(ret_problem, "The token's \"kid\" is not a string.");
    if (json_object_get(header->json, "crit"))
        return refuse(ret_problem, "The token asks for an extension (\"crit\") that is not known.");
    if ((json_object_get(header->json, "typ") && !is_our_type(text_member(header->json, "typ"))) ||
        json_object_get(header->json, "cty"))
        return refuse(ret_problem, "The token is of another type (\"typ\", \"cty\").");
    return TOKEN_GOOD;
}

/* The caller has json_decref(ret_header->json), whatever comes of it. */
static enum token_verdict read_header(struct text part, struct token_header *ret_header, char *ret_problem)
{
    size_t length;
    ret_header->json = NULL;
    if (!base64url_decode(part, ret_header->bytes, &length))
        return refuse(ret_problem, "The token's header is not base64url.");
    return read_plain_header(length, ret_header) ? TOKEN_GOOD
                                                 : read_json_header(length, ret_header, ret_problem);
}

/* --- the signature --- */

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
    /* What comes out as 0 would be never. */
    if (!json_is_number(value) || !(seconds * 1000 >= 1) || seconds > (double)CLAIM_SECONDS_MAX)
        return false;
    *ret_ms = (uint64_t)(seconds * 1000);
    return true;
}

/* RFC 7519, section 4.1.3: whoever does not find himself in it must reject it. */
static bool is_our_audience(const json_t *claims, const char *audience)
{
    const json_t *value = json_object_get(claims, "aud");
    if (!value)
        return !*audience;
    if (json_is_string(value))
        return claims_is_one_of(text_member(claims, "aud"), audience);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *one = json_array_get(value, i);
        if (json_is_string(one) &&
            claims_is_one_of(text_of(json_string_value(one), json_string_length(one)), audience))
            return true;
    }
    return false;
}

/* False with a sentence when a member that counts is of the wrong type. */
static bool read_claims(const json_t *json, const struct token_rules *rules, struct claims *ret_claims,
                        char *ret_problem)
{
    const json_t *subject = json_object_get(json, "sub");
    ret_claims->issuer = text_member(json, "iss");
    ret_claims->is_for_us = is_our_audience(json, rules->audience);
    if (!read_time(json, "exp", &ret_claims->expires_ms) ||
        !read_time(json, "nbf", &ret_claims->not_before_ms))
        refuse(ret_problem, "The token's \"exp\" or \"nbf\" is not a time in seconds.");
    else if (subject && !json_is_string(subject))
        refuse(ret_problem, "The token's \"sub\" is not a string.");
    else
        return true;
    return false;
}

static enum token_verdict check_claims(const struct claims *claims, const struct token_rules *rules,
                                       uint64_t now_ms, struct grant_draft *draft, char *ret_problem)
{
    uint64_t expires_ms = claims->expires_ms;
    if (expires_ms && now_ms >= expires_ms + rules->leeway_ms) {
        refuse(ret_problem, "The token has expired.");
        return TOKEN_EXPIRED;
    }
    if (claims->not_before_ms > now_ms + rules->leeway_ms)
        return refuse(ret_problem, "The token is not valid yet.");
    if (*rules->issuer && !text_is(claims->issuer, rules->issuer))
        return refuse(ret_problem, "The token is of another issuer (\"iss\").");
    if (!claims->is_for_us)
        return refuse(ret_problem, *rules->audience
                                       ? "The token is for another audience (\"aud\")."
                                       : "The token is for an audience (\"aud\"), and jwt_audience does not "
                                         "say that this gateway is it.");
    /* One that lives by the leeway alone ends with it, or its stream would end as it begins. */
    draft->expires_wall_ms = expires_ms > now_ms || !expires_ms ? expires_ms : expires_ms + rules->leeway_ms;
    return TOKEN_GOOD;
}

/* Someone who may nothing is known nevertheless: the answer is that it is not granted. `rights` is NULL where
 * the draft has them. */
static enum token_verdict make_grant(const struct grant_draft *draft, const json_t *rights,
                                     struct grant **ret_grant, char *ret_problem)
{
    char problem[GRANT_PROBLEM_MAX];
    *ret_grant = rights ? grant_from_rights(rights, draft, problem) : grant_create(draft, problem);
    if (*ret_grant)
        return TOKEN_GOOD;
    snprintf(ret_problem, TOKEN_PROBLEM_MAX, "The token's claims will not do: %s", problem);
    return TOKEN_REFUSED;
}

static enum token_verdict read_json_payload(const char *bytes, size_t length, const struct token_rules *rules,
                                            uint64_t now_ms, struct grant **ret_grant, char *ret_problem)
{
    struct claims claims;
    struct grant_draft draft = { .means = GRANT_TOKEN };
    enum token_verdict verdict = TOKEN_REFUSED;
    json_t *json = access_json_parse(bytes, length);
    if (!json)
        return refuse(ret_problem, "The token's claims are not one JSON object with each member once.");
    draft.subject = text_member(json, "sub");
    if (read_claims(json, rules, &claims, ret_problem))
        verdict = check_claims(&claims, rules, now_ms, &draft, ret_problem);
    if (verdict == TOKEN_GOOD)
        verdict = make_grant(&draft, json_object_get(json, "sluice"), ret_grant, ret_problem);
    json_decref(json);
    return verdict;
}

static enum token_verdict read_payload(struct text payload, const struct token_rules *rules, uint64_t now_ms,
                                       struct grant **ret_grant, char *ret_problem)
{
    char bytes[BASE64URL_DECODED_MAX(TOKEN_BYTES_MAX)];
    struct plain_claims plain;
    size_t length;
    if (!base64url_decode(payload, bytes, &length))
        return refuse(ret_problem, "The token's claims are not base64url.");
    if (!plain_claims_read(bytes, length, rules->audience, &plain))
        return read_json_payload(bytes, length, rules, now_ms, ret_grant, ret_problem);
    enum token_verdict verdict = check_claims(&plain.claims, rules, now_ms, &plain.draft, ret_problem);
    return verdict == TOKEN_GOOD ? make_grant(&plain.draft, NULL, ret_grant, ret_problem) : verdict;
}

enum token_verdict token_read(struct text token, const struct key_ring *const *rings, size_t ring_count,
                              const struct token_rules *rules, uint64_t now_wall_ms, struct grant **ret_grant,
                              bool *ret_is_worth_keeping, char ret_problem[static TOKEN_PROBLEM_MAX])
{
    struct token_parts parts;
    struct token_header header;
    *ret_grant = NULL;
    *ret_is_worth_keeping = false;
    if (token.length > TOKEN_BYTES_MAX)
        return refuse(ret_problem, "The token is larger than 8 KiB.");
    if (!split(token, &parts))
        return refuse(ret_problem, "It is not a token: header.payload.signature.");
    enum token_verdict verdict = read_header(parts.header, &header, ret_problem);
    if (verdict == TOKEN_GOOD)
        verdict = check_signature(&parts, &header, rings, ring_count, ret_problem);
    if (verdict == TOKEN_GOOD)
        verdict = read_payload(parts.payload, rules, now_wall_ms, ret_grant, ret_problem);
    *ret_is_worth_keeping = verdict == TOKEN_GOOD && header.algorithm > SIGNATURE_HS512;
    json_decref(header.json);
    return verdict;
}
