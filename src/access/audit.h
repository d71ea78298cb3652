/*
 * Who was refused what, and what an administrator did: one structured line each, at a level that survives
 * `log_level: warn`.
 *
 *     2026-11-21T10:00:00.123Z warn access refused reason=not-granted subject=ann action=subscribe
 * topic=batch:42 method=GET path=/batches/42/stream peer=203.0.113.7
 *
 * A stranger can cause refusals as fast as he can connect, so of those at most so many lines a second are
 * written; one more line says how many were left out. Acts of an administrator are always written.
 *
 * There is no field for a credential: what must not be in a log cannot be given to it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "metrics/metrics.h"

struct audit;

/* Texts are borrowed for the call, not NUL-terminated, and absent without bytes. */
struct audit_text {
    const char *bytes;
    size_t length;
};

struct audit_entry {
    struct audit_text subject; /* of the token, ticket or session; absent: nobody knows */
    struct audit_text key;     /* the name of a machine's key */
    struct audit_text topic;
    struct audit_text path; /* without its query */
    struct audit_text peer; /* the client's address, behind trusted proxies the one they say */
    const char *action;     /* "subscribe", "publish", "ticket", "revoke", … */
    const char *method;
    const char *detail; /* a few words more, or NULL */
};

/* Borrows metrics and log. NULL when memory is short. */
struct audit *audit_create(uint64_t lines_per_second_max, struct metrics *metrics, struct log *log);
void audit_destroy(struct audit *audit);

/* Counts a refusal, and writes its line if there is room for it in this second. */
void audit_refusal(struct audit *audit, enum refusal_reason reason, const struct audit_entry *entry);

/* Writes the line of an administrator's act; `count` is how many it touched. */
void audit_act(struct audit *audit, const struct audit_entry *entry, uint64_t count);

/* Once a second or so: says how many lines were left out, when nothing else does. */
void audit_sweep(struct audit *audit);
