/* What `publish` and `tail` share: a libcurl handle for a running gateway, and words for what goes wrong. */
#pragma once

#include <curl/curl.h>

#include "base/buffer.h"

#define HTTP_CALL_URL_DEFAULT "http://127.0.0.1:8000"

/*
 * A handle for `path` (with query) of the gateway at `url`: http://…, https://… or unix:/path. NULL after
 * saying on standard error what is wrong. Ended by http_call_destroy().
 */
CURL *http_call_create(const char *url, const char *path);
void http_call_destroy(CURL *call);

/*
 * Sends the token or key that stands in the file, read anew each time: on the command line everybody could
 * see it. False after saying what is wrong; a NULL file is nothing.
 */
bool http_call_authorize(CURL *call, const char *token_file);

/* Appends `text` percent-encoded. */
void http_call_append_escaped(struct buffer *out, const char *text, size_t length);

/* Says on standard error why nothing came back from `url`. */
void http_call_print_failure(const char *url, CURLcode result);

/* Says on standard error what the gateway answered: a Problem Details object (RFC 9457) by its title and
 * detail, else the status. */
void http_call_print_refusal(long status, const char *body, size_t length);
