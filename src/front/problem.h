/* What went wrong with a request, for people and programs: Problem Details (RFC 9457). */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"

#define PROBLEM_DETAIL_MAX 320
#define PROBLEM_TYPE "application/problem+json"

/* `status` 0: no problem. */
struct problem {
    unsigned status;
    char detail[PROBLEM_DETAIL_MAX]; /* NUL-terminated; what a user can do about it */
};

/* Returns false, so that a parser ends with `return problem_set(…)`. A detail that is too long is cut. */
bool problem_set(struct problem *problem, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "Not Found" for 404; "Error" for a status that we never send. */
const char *problem_title(unsigned status);

void problem_append_json(const struct problem *problem, struct buffer *out);
