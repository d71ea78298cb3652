/*
 * How long a connection may take. libmicrohttpd's own timeout starts again with each byte, so whoever drips
 * one byte at a time holds a connection for ever; these deadlines are absolute, and end a connection by
 * shutdown(2).
 *
 *     accepted ── HEAD ──▶ head complete ── BODY ──▶ body complete ── (none: our turn) ──▶ answered ──
 * RESPONSE ──▶ sent IDLE, until the next head ◀─┘
 *
 * Every phase has one duration, so each is a queue ordered by itself, and arming and disarming cost nothing.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

enum deadline_phase { DEADLINE_HEAD, DEADLINE_BODY, DEADLINE_RESPONSE, DEADLINE_IDLE, DEADLINE_PHASES };

/* A member of what is timed; zeroed is not armed. */
struct deadline {
    struct list node;
    enum deadline_phase phase;
    uint64_t due_ms;
};

struct deadlines;

/* Called for what is over its time; it is not armed any more. */
typedef void deadline_missed(void *context, struct deadline *deadline, enum deadline_phase phase);

struct deadlines *deadlines_create(struct event_base *base, deadline_missed *missed, void *context);
void deadlines_destroy(struct deadlines *deadlines);

/* For what is armed from now on. */
void deadlines_set_duration(struct deadlines *deadlines, enum deadline_phase phase, uint64_t duration_ms);

/* Arms or moves; `now_ms` is clock_now_ms(). */
void deadline_arm(struct deadlines *deadlines, struct deadline *deadline, enum deadline_phase phase,
                  uint64_t now_ms);
void deadline_disarm(struct deadline *deadline);
