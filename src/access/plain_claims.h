/*
 * The claims of a token as nearly all have them: plain JSON (plain_json.h), each claim that counts of its
 * usual type. Read in place, so that ten thousand callers who come at once cost little. What is not of that
 * kind is not refused here: the whole of it is for a JSON parser to read, and to say what is wrong.
 */
#pragma once

#include "access/grant.h"

#define PLAIN_PATTERNS_MAX 32          /* in a list */
#define CLAIM_SECONDS_MAX 100000000000 /* the year 5138: whoever is above it counts milliseconds */

/* What of a token's claims is checked, whoever read it. */
struct claims {
    uint64_t expires_ms;    /* 0: it does not say */
    uint64_t not_before_ms; /* likewise */
    struct text issuer;
    bool is_for_us; /* by "aud" */
};

struct plain_claims {
    struct claims claims;
    struct grant_draft draft; /* subject and rights; all refers to the bytes read, and to `patterns` */
    struct text patterns[ACCESS_LISTS][PLAIN_PATTERNS_MAX];
};

/* False: they are not plain. `audience` is as in struct token_rules. */
bool plain_claims_read(const char *bytes, size_t length, const char *audience,
                       struct plain_claims *ret_claims);

/* Whether `value` is one of a comma-separated list. */
bool claims_is_one_of(struct text value, const char *expected);
