/*
 * A request as endpoints see it: decoded, bounded and free of surprises. Path segments are split at `/` first
 * and decoded then, so a `%2F` stays inside its segment; dot segments, control characters and invalid UTF-8
 * do not get this far.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "front/gate.h"
#include "front/problem.h"

#define REQUEST_SEGMENTS_MAX 8
#define REQUEST_PARAMETERS_MAX 512

enum request_method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_OTHER,
    METHODS,
};

/* The headers that endpoints look at. */
enum request_header {
    HEADER_HOST,
    HEADER_ORIGIN,
    HEADER_ACCEPT,
    HEADER_ACCEPT_ENCODING,
    HEADER_CONTENT_TYPE,
    HEADER_IF_NONE_MATCH,
    HEADER_LAST_EVENT_ID,
    HEADER_IDEMPOTENCY_KEY,
    HEADER_AUTHORIZATION,
    HEADER_COOKIE,
    HEADER_SEC_FETCH_SITE,
    HEADER_REQUEST_METHOD, /* Access-Control-Request-Method */
    REQUEST_HEADERS,
};

struct request_parameter {
    struct text name;
    struct text value;
};

struct request {
    enum request_method method;
    struct text path; /* as it came, for the log */
    struct text segments[REQUEST_SEGMENTS_MAX];
    size_t segment_count;
    bool too_deep;                        /* more segments than any route has */
    struct request_parameter *parameters; /* in their order */
    size_t parameter_count;
    struct text headers[REQUEST_HEADERS]; /* trimmed; without bytes where absent */
    char *storage;                        /* owns all of the above */
};

/*
 * Makes a request of a head that has passed the gate; nothing of `head` is referred to afterwards. False with
 * the answer in *ret_problem (500 when memory is short) and nothing to clear.
 */
bool request_parse(const struct gate_head *head, struct request *ret_request, struct problem *ret_problem);
void request_clear(struct request *request);

/* The first parameter of that name; without bytes if there is none. */
struct text request_parameter(const struct request *request, const char *name);

static inline bool request_has(const struct request *request, enum request_header header)
{
    return request->headers[header].bytes != NULL;
}

const char *request_method_name(enum request_method method);
