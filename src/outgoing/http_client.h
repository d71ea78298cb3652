/*
 * Outgoing HTTP by libcurl's multi interface on the event loop: bounded in time, size and number. http and https only, no
 * redirects to other schemes, no proxy from the environment, certificates verified.
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
    uint64_t timeout_ms;       /* one transfer, connecting included */
    size_t response_bytes_max; /* a larger body fails */
};

/* `status` is the HTTP status, or 0 with `problem` set to a sentence. `body` lives for the call. */
typedef void http_client_done(void *context, long status, const char *body, size_t body_length, const char *problem);

struct http_client *http_client_create(struct event_base *base, const struct http_client_options *options, struct log *log);
/* Running transfers are ended; their `done` is called with a problem. */
void http_client_destroy(struct http_client *client);

/* GET. `headers` are "Name: value" lines (copied), may be NULL with 0. `done` is called from the loop, never inside this call.
 * False when memory is short or too many run: `done` is not called. */
bool http_client_get(struct http_client *client, const char *url, const char *const *headers, size_t header_count,
                     http_client_done *done, void *context);

/* Percent-encodes a path segment (RFC 3986 unreserved kept) at the end of a buffer-like string. Caller frees; NULL: no memory. */
char *http_client_expand(const char *url_template, const char *name, const char *value, size_t value_length);
