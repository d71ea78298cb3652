/*
 * Which web pages of other origins may talk to us (Fetch, "CORS protocol"). The setting is a comma-separated
 * list of exact origins, or `*`. No cookies are involved, so credentials are never allowed.
 */
#pragma once

#include <stdbool.h>

#include "base/text.h"

#define CORS_ALLOW_HEADERS                                                                                   \
    "Content-Type, Last-Event-ID, If-None-Match, Idempotency-Key, Authorization, Cache-Control"
#define CORS_EXPOSE_HEADERS "ETag, Age, X-Cache, Retry-After"
#define CORS_MAX_AGE "86400"

enum cors_verdict {
    CORS_NONE,   /* no Origin header, or nothing is configured: no CORS headers */
    CORS_DENIED, /* an origin that is not in the list */
    CORS_ANY,    /* answer `*` */
    CORS_ECHO,   /* answer the origin itself */
};

/* `origins` may be NULL. `origin` is the value of the Origin header. */
enum cors_verdict cors_judge(const char *origins, struct text origin);

/*
 * Whether a page of `origin` is one of ours: same host and port as the Host header, whatever the scheme (TLS
 * may end in front of us). True without an Origin header: that is no browser, or a request of the page
 * itself.
 */
bool cors_is_same_origin(struct text origin, struct text host);
