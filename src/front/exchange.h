/*
 * One request and its answer.
 *
 *   on_request_line   head complete: gate, route      body complete: endpoint
 *   NEW ───────────────▶ RECEIVING ─────────────────────▶ RUNNING ──▶ ANSWERED ──▶ queued with the library
 *    │                                                       │             ▲
 *    │ refused by the gate                                   ▼             │ exchange_answer(), later
 *    └────────────────────▶ ANSWERED, then closed         WAITING ─────────┘ (suspended in the library)
 *
 * While WAITING the library neither reads nor notices that the client has gone, so the exchange stays until
 * it is answered; front_destroy() cancels what an endpoint waits for and answers 503.
 */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/list.h"
#include "front/client.h"
#include "front/permit.h"
#include "front/request.h"
#include "front/response.h"
#include "front/route.h"

struct connection;
struct exchange;
struct front;
struct stream_place;
struct subscriber;

enum exchange_state {
    EXCHANGE_NEW,
    EXCHANGE_RECEIVING,
    EXCHANGE_RUNNING,
    EXCHANGE_WAITING,
    EXCHANGE_ANSWERED
};

struct exchange {
    enum exchange_state state;
    struct list node; /* among front->exchanges, from RECEIVING on */
    struct front *front;
    struct connection *connection;
    struct MHD_Connection *mhd;
    char *uri; /* raw, NUL-terminated */
    struct client
        client; /* whose request it is, as far as a trusted proxy knows better than its connection */
    struct request request;
    struct route route;
    struct permit permit; /* while it is asked whether the caller may */
    struct grant *grant;  /* the caller's, once he may; NULL while access is open */
    bool has_route;
    struct buffer body;
    struct response response;
    bool is_stream;                /* the answer is the head of a stream … */
    struct subscriber *subscriber; /* … which goes to this one; NULL for HEAD */
    struct stream_place *place;    /* in the quota, until the subscriber has it (front/limits.h) */
    uint64_t head_complete_ns;
    bool is_queued;
    /* While WAITING: what for, and how to be called off. */
    void *operation;
    void (*cancel)(struct exchange *exchange);
};

/* Who the caller is: by his grant, or else by what a trusted proxy says; without bytes if nobody does. */
struct text exchange_subject(const struct exchange *exchange);

/* The endpoint has filled in exchange->response. */
void exchange_answer(struct exchange *exchange);

/* Answers with a problem. */
void exchange_answer_problem(struct exchange *exchange, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The endpoint will answer later. `cancel` is called instead if that is not wanted any more. */
void exchange_wait(struct exchange *exchange, void *operation, void (*cancel)(struct exchange *exchange));

/* Ends a wait with 503; for front_destroy(). */
void exchange_call_off(struct exchange *exchange);

/* The library's callbacks; `context` is the front. */
void *exchange_on_request_line(void *context, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result exchange_on_request(void *context, struct MHD_Connection *mhd, const char *url,
                                    const char *method, const char *version, const char *upload,
                                    size_t *upload_bytes, void **exchange);
void exchange_on_completed(void *context, struct MHD_Connection *mhd, void **exchange,
                           enum MHD_RequestTerminationCode code);

/* Lets go of a request that the library has not told the end of; it is over with its connection at the
 * latest. */
void exchange_forget(struct connection *connection);
