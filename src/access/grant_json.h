/*
 * A grant as JSON. The same reader takes the claims of a token, a line of the file of keys, what the
 * application answers, and what a ticket kept:
 *
 *     {"sub": "u1", "exp": 1763700000, "sluice": {"subscribe": ["batch:42"], "publish": [], "consume": [],
 *                                                 "admin": true}}
 *
 * Everything but "sluice" may be absent. A member of "sluice" that is unknown or of the wrong type refuses
 * the whole: a misspelt right must not silently be none, nor "admin": "false" be true.
 */
#pragma once

#include <jansson.h>

#include "access/grant.h"

/* Bytes to JSON the way everything in this folder reads it: one object, no member twice, no NUL, valid UTF-8.
 * NULL if it is none; the caller has json_decref(). */
json_t *access_json_parse(const char *bytes, size_t length);

/* `rights` is the object "sluice". `base` gives means, credential, subject and expiry. NULL with a sentence.
 */
struct grant *grant_from_rights(const json_t *rights, const struct grant_draft *base,
                                char ret_problem[static GRANT_PROBLEM_MAX]);

/* Appends all of a grant: sub, exp, sluice, and "means" and "credential" of our own. */
void grant_append_json(const struct grant *grant, struct buffer *out);

/* Reads back what grant_append_json() wrote; of trusted bytes only (our own, from Redis). NULL: it is
 * none. */
struct grant *grant_from_json(const char *bytes, size_t length);
