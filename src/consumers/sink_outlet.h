/*
 * Where a sink's messages leave: posted to its URL, so many at a time, each again after a while when it
 * fails.
 *
 *   outlet_post ─▶ READY ─▶ SENDING ─▶ done: OUTLET_DELIVERED, OUTLET_REFUSED
 *                    ▲         │ failed
 *                    └─ WAITING ┘
 *                          └─▶ done: OUTLET_EXHAUSTED, when the wait behind the last retry is over
 *
 * A receiver that asks for a pause (429 or 503 with Retry-After) gets nothing from this sink until it is
 * over.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "consumers/sink_figures.h"
#include "consumers/sink_options.h"

#define OUTLET_EVENT_MAX 256 /* a longer name of an event is left out */

struct outlet;

enum outlet_end {
    OUTLET_DELIVERED,
    OUTLET_REFUSED,   /* trying again would not help */
    OUTLET_EXHAUSTED, /* all retries failed */
    OUTLET_STOPPED,   /* by outlet_drain(); not posted, or without success so far */
};

/* `reason` says what the receiver did wrong, NULL when there was nothing; it lives for the call. */
typedef void outlet_done(void *context, enum outlet_end end, const char *reason);

/* Copied. */
struct outlet_message {
    const char *id; /* printable ASCII: receivers know repetitions by it */
    const char *event;
    size_t event_length; /* 0: it has no name */
    const char *body;
    size_t body_length;
    uint64_t failures; /* attempts that failed before: waits go on where they were */
};

/* Borrows what the options point at, figures and log. NULL when memory is short. */
struct outlet *outlet_create(struct event_base *base, const struct sink_options *options,
                             struct sink_figures *figures, struct log *log);
/* Messages that are left are forgotten without a call. Not to be called from a `done`. */
void outlet_destroy(struct outlet *outlet);

/* `done` is called once, never inside this call. False when memory is short, or after outlet_drain(). */
bool outlet_post(struct outlet *outlet, const struct outlet_message *message, outlet_done *done,
                 void *context);

/* Messages that are not done. */
size_t outlet_count(const struct outlet *outlet);

/* Ends (inside this call) what is not being sent; what is being sent gets no further attempt. */
void outlet_drain(struct outlet *outlet);
