/* Which endpoint a path means, and what may be done there. `/api` and `/api/v1` in front of any path mean the
 * same path. */
#pragma once

#include <stdbool.h>

#include "front/asset.h"
#include "front/request.h"
#include "metrics/metrics.h"

enum endpoint {
    ENDPOINT_PUBLISH,
    ENDPOINT_EVENTS,
    ENDPOINT_BATCH,
    ENDPOINT_BATCH_STREAM,
    ENDPOINT_METRICS,
    ENDPOINT_HEALTHZ,
    ENDPOINT_READYZ,
    ENDPOINT_PAGE,
    ENDPOINT_STREAMS,
    ENDPOINT_STREAM,
    ENDPOINT_GROUP_EVENTS,
    ENDPOINT_GROUP_ACK,
    ENDPOINT_GROUP_NACK,
    ENDPOINT_TICKETS,
    ENDPOINT_SUBSCRIBERS,
    ENDPOINTS,
};

struct route {
    enum endpoint endpoint;
    enum route_label label; /* for the metrics */
    unsigned
        methods; /* a bit (1 << METHOD_…) for each that is allowed; HEAD wherever GET is, OPTIONS always */
    struct text name;          /* the segment that names a batch or a stream; without bytes elsewhere */
    struct text group;         /* the segment that names a group of the stream */
    const struct asset *asset; /* ENDPOINT_PAGE */
};

/* False when the path is unknown. The names refer to the request. */
bool route_find(const struct request *request, struct route *ret_route);

static inline bool route_allows(const struct route *route, enum request_method method)
{
    return (route->methods & (1u << method)) != 0;
}

/* The page, the figures, the reports. */
bool route_is_for_admins(const struct route *route);

#define ROUTE_ALLOW_MAX 64

/* The value of an `Allow` header, NUL-terminated. */
void route_format_allow(const struct route *route, char ret_text[static ROUTE_ALLOW_MAX]);
