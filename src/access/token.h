/*
 * A JSON Web Token (RFC 7519, with RFC 8725's advice) and what it grants.
 *
 *   header.payload.signature ─▶ form ─▶ header: alg, kid ─▶ signature by a key of ours ─▶ claims ─▶ grant
 *
 * Nothing of the payload is looked at before the signature holds. Header members that would bring keys along
 * (jwk, jku, x5c, x5u) are never looked at; "crit", a "typ" of something else, and a nested token are
 * refused.
 */
#pragma once

#include "access/grant.h"
#include "access/key_ring.h"
#include "metrics/metrics.h"

#define TOKEN_BYTES_MAX (8 * 1024)

struct token_rules {
    const char *audience; /* comma-separated; "": a token that names an audience is not for us */
    const char *issuer;   /* "": anyone who has the key */
    uint64_t leeway_ms;
};

enum token_verdict {
    TOKEN_GOOD,
    TOKEN_REFUSED,
    TOKEN_EXPIRED,
    TOKEN_NO_KEY, /* may be good by a newer set of keys */
};

#define TOKEN_PROBLEM_MAX 200

/* The grant, one reference, when it is good; a sentence in ret_problem when it is not. It is worth keeping
 * (token_cache.h) when it is good by a public key: HMAC is had again for less than what is kept takes to find
 * and to forget. */
enum token_verdict token_read(struct text token, const struct key_ring *const *rings, size_t ring_count,
                              const struct token_rules *rules, uint64_t now_wall_ms, struct grant **ret_grant,
                              bool *ret_is_worth_keeping, char ret_problem[static TOKEN_PROBLEM_MAX]);

/* Two dots, and nothing but base64url between them: not a key, nor Basic. */
bool token_looks_like_one(struct text text);
