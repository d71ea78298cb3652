/*
 * Which web pages of other origins may talk to us (Fetch, "CORS protocol"). The setting is a comma-separated
 * list, or a lone star for all of them:
 *
 *   https, app.example.com        this origin: scheme, host and port
 *   https, *.example.com          hosts with one label or more in front of it; not example.com itself
 *   https, *.example.com, 8443    the same on that port alone
 *
 * Origins are compared byte by byte, as browsers send them. Who is listed may send cookies where the settings
 * say so; the lone star names nobody, and never goes with credentials.
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

/* Whether the setting makes sense; false with a static sentence. */
bool cors_check(const char *origins, const char **ret_problem);

/* Whether answers differ by origin, so that caches must keep them apart, those to requests without one too.
 */
bool cors_varies(const char *origins);

/* `origins` may be NULL. `origin` is the value of the Origin header. */
enum cors_verdict cors_judge(const char *origins, struct text origin);

/*
 * Whether a page of `origin` is one of ours: same host and port as the Host header, whatever the scheme (TLS
 * may end in front of us). True without an Origin header: that is no browser, or a request of the page
 * itself.
 */
bool cors_is_same_origin(struct text origin, struct text host);
