/*
 * What the application says to a question of the authorizer.
 *
 * An empty body allows exactly what was asked. An object may say who it is, and more or less than that:
 *
 *     {"subject": "u1", "subscribe": ["batch:*"], "publish": [], "consume": [], "admin": false,
 *      "ttl": 60,            // seconds that this answer may be kept
 *      "exp": 1763700000}    // Unix time at which a stream that it opens ends
 *
 * `topics` stands for the list of the action that was asked. Where a list is given, the topics asked must be
 * in it: it can take away, and what it has beyond them gives nothing here. A member that is unknown or of the
 * wrong type refuses the whole, for a misspelt right must not allow.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/access.h"

#define AUTHORIZER_TTL_MS_MAX UINT64_C(3600000)

struct authorizer_answer {
    struct grant *grant; /* the caller's reference */
    bool has_ttl;
    uint64_t ttl_ms;
};

/*
 * `asked` is question->rights_asked, `subject` is taken where the answer names none, `expires_wall_ms`
 * where it ends later or never. False with a sentence in ret_problem.
 */
bool authorizer_answer_parse(const char *body, size_t length, enum access_action action, const json_t *asked,
                             struct text subject, uint64_t expires_wall_ms,
                             struct authorizer_answer *ret_answer,
                             char ret_problem[static GRANT_PROBLEM_MAX]);
