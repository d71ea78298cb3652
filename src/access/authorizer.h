/*
 * Asks the application whether a caller may do something, so that its own sessions work without a token.
 *
 *     POST <url>                            answer
 *     Cookie: …, Authorization: …           2xx   yes
 *     {"action": "subscribe",               401, 403   no
 *      "topics": [{"kind": "channel",       anything else, a redirect too: no, and it counts as a failure
 *                  "name": "batch:42"}]}
 *
 * What the caller sent stands in JSON and in headers of its own, never in the address. The body of a yes is
 * empty, which allows what was asked, or an object that says more; see authorizer_answer.h.
 *
 *            ask                  fewer than concurrency_max under way       answered
 *   (new) ─────────▶ QUEUED ──────────────────────────────────────▶ ASKED ─────────────▶ KNOWN ──▶ forgotten
 *                      ▲ too long: UNAVAILABLE                        │                    │
 *                      └────── a subject was revoked meanwhile ───────┘◀───── too old ─────┘
 *
 * All who ask the same with the same credential share one question, and its answer for some seconds,
 * whichever thread they are of: there is one authorizer for the whole gateway, in the main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/access.h"
#include "base/list.h"

struct authorizer;

struct authorizer_options {
    const char *url;
    uint64_t timeout_ms;     /* how long a question may wait before it is put; the client has its own */
    uint64_t ttl_ms;         /* a yes is kept so long, unless it says */
    uint64_t refusal_ttl_ms; /* and a no */
    uint64_t hold_ms;        /* a stream that a yes has opened ends after this, unless it says; 0: never */
    size_t concurrency_max;
    size_t entries_max; /* answers kept and questions under way */
    size_t waiting_max; /* requests that wait for an answer */
};

/* `status` is 0 with `problem` when no answer came. */
typedef void authorizer_posted(void *context, long status, const char *body, size_t length,
                               const char *problem);

/* POST by the gateway's HTTP client, which follows no redirect; `done` comes later, once, if the call
 * returned true. Everything is copied. */
struct authorizer_client {
    bool (*post)(void *context, const char *url, const char *const *headers, size_t header_count,
                 const char *body, size_t length, authorizer_posted *done, void *done_context);
    void *context;
};

/* NULL when memory is short. `options` is copied, the address too. */
struct authorizer *authorizer_create(const struct authorizer_options *options,
                                     const struct authorizer_client *client, struct metrics *metrics,
                                     struct log *log);
/* After the client has ended what was under way. Who still waits is told that it cannot be found out. */
void authorizer_destroy(struct authorizer *authorizer);

/* What came of a question. */
struct authorizer_outcome {
    enum access_verdict verdict;
    enum refusal_reason reason; /* these two unless it is a yes */
    const char *detail;         /* static */
    struct grant *grant;        /* of a yes; whoever keeps it holds it */
};

/* Whoever waits for it; zeroed, and the asker's. Nothing that was given for the question is looked at once
 * `done` is called. */
struct authorizer_waiter {
    struct list node;
    void (*done)(struct authorizer_waiter *waiter, const struct authorizer_outcome *outcome);
};

/* False with a refusal: there is nothing to show to the application, and authorizer_ask() would say the same.
 * Any thread. */
bool authorizer_may_ask(const struct access_credentials *credentials, struct authorizer_outcome *ret_refusal);

/* `waiter->done` follows once, inside the call or later, unless it is called off. */
void authorizer_ask(struct authorizer *authorizer, const struct access_credentials *credentials,
                    const struct access_question *question, struct authorizer_waiter *waiter);
/* Nothing for one that was told. */
void authorizer_cancel(struct authorizer *authorizer, struct authorizer_waiter *waiter);

/* The subject was revoked: what the application said of it before holds no more, and what is being asked is
 * asked again. */
void authorizer_forget(struct authorizer *authorizer, struct text subject);
