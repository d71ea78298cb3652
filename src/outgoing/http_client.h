/*
 * Outgoing HTTP by libcurl's multi interface on the event loop: bounded in time, size and number. http and
 * https only, no redirects to other schemes (http to https is allowed), no proxy from the environment,
 * certificates verified.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

struct http_client;

struct http_client_options {
    size_t transfers_max;      /* more than this fail at once */
    uint64_t timeout_ms;       /* one transfer, connecting and redirects included */
    size_t response_bytes_max; /* a larger body fails */
    bool response_cut;         /* instead it is cut there, for those who go by the status */
    unsigned redirects_max; /* followed; 0: a redirect is itself the answer, as whoever asks for a permission
                               wants it */
};

/* `status` is the HTTP status, or 0 with `problem` set to a sentence. `body` lives for the call and is never
 * NULL. */
typedef void http_client_done(void *context, long status, const char *body, size_t body_length,
                              const char *problem);

/* NULL when memory is short. Initialises libcurl for the process: call it while there is only one thread. */
struct http_client *http_client_create(struct event_base *base, const struct http_client_options *options,
                                       struct log *log);
/* Running transfers are ended; their `done` is called with a problem. Not to be called from a `done`. */
void http_client_destroy(struct http_client *client);

/* GET. `headers` are "Name: value" lines (copied), may be NULL with 0. `done` is called from the loop, never
 * inside this call. False when memory is short, too many run, or a header holds a line break: `done` is not
 * called. */
bool http_client_get(struct http_client *client, const char *url, const char *const *headers,
                     size_t header_count, http_client_done *done, void *context);

/* POST, the same way. `body` is copied; its Content-Type is among the headers. */
bool http_client_post(struct http_client *client, const char *url, const char *const *headers,
                      size_t header_count, const char *body, size_t body_length, http_client_done *done,
                      void *context);

/* Inside a `done`: how long the answer asks to wait (Retry-After, RFC 9110 §10.2.3); 0: it does not say. */
uint64_t http_client_retry_after_ms(const struct http_client *client);

/* Whether it is a URL that requests can be made to: its host and port are such. */
bool http_client_takes(const char *url);

/*
 * `url_template` with each `{name}` replaced by the value, percent-encoded as one path segment (only the
 * unreserved characters of RFC 3986 stay). Caller frees. NULL: no memory, or a value that would be no segment
 * ("", ".", "..").
 */
char *http_client_expand(const char *url_template, const char *name, const char *value, size_t value_length);
