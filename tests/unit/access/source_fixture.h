/* What a source of grants says to a check, recorded; in place of access_check.c. */
#pragma once

#include <criterion/criterion.h>
#include <stdlib.h>

#include "access/access.h"

struct access_check {
    int told;
    enum access_verdict verdict;
    enum refusal_reason reason;
    const char *detail;
    struct grant *grant;
};

#define TEXT(literal) text_of(literal, sizeof(literal) - 1)

static inline void check_clear(struct access_check *check)
{
    grant_release(check->grant);
    *check = (struct access_check){ 0 };
}

void access_know(struct access_check *check, struct grant *grant)
{
    check->told++;
    check->verdict = ACCESS_ALLOWED;
    check->grant = grant;
}

void access_refuse(struct access_check *check, enum access_verdict verdict, enum refusal_reason reason,
                   const char *detail)
{
    check->told++;
    check->verdict = verdict;
    check->reason = reason;
    check->detail = detail;
}

static inline bool check_covers(const struct access_check *check, enum access_action action,
                                enum access_topic_kind kind, const char *name)
{
    const struct access_topic topic = { .kind = kind, .name = text_of(name, strlen(name)) };
    return check->told == 1 && check->verdict == ACCESS_ALLOWED && grant_covers(check->grant, action, &topic);
}
