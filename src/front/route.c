#include "front/route.h"

#include <stdio.h>

#define BIT(method) (1u << (method))
#define POST (BIT(METHOD_POST) | BIT(METHOD_OPTIONS))
#define READ (BIT(METHOD_GET) | BIT(METHOD_HEAD) | BIT(METHOD_OPTIONS))

#define ROUTE_SEGMENTS_MAX 5

/* NULL stands for a name: of a batch or of a stream, and behind that of a group. */
static const struct {
    const char *segments[ROUTE_SEGMENTS_MAX];
    size_t segment_count;
    enum endpoint endpoint;
    enum route_label label;
    unsigned methods;
} routes[] = {
    { { "events", "publish" }, 2, ENDPOINT_PUBLISH, ROUTE_EVENTS_PUBLISH, POST },
    { { "events", "stream" }, 2, ENDPOINT_EVENTS, ROUTE_EVENTS_STREAM, READ },
    { { "batches", NULL }, 2, ENDPOINT_BATCH, ROUTE_BATCH, READ | BIT(METHOD_PUT) | BIT(METHOD_DELETE) },
    { { "batches", NULL, "stream" }, 3, ENDPOINT_BATCH_STREAM, ROUTE_BATCH_STREAM, READ },
    { { "streams" }, 1, ENDPOINT_STREAMS, ROUTE_STREAMS, READ },
    { { "streams", NULL }, 2, ENDPOINT_STREAM, ROUTE_STREAM, READ },
    { { "streams", NULL, "groups", NULL, "events" }, 5, ENDPOINT_GROUP_EVENTS, ROUTE_GROUP_EVENTS, READ },
    { { "streams", NULL, "groups", NULL, "ack" }, 5, ENDPOINT_GROUP_ACK, ROUTE_GROUP_ACK, POST },
    { { "streams", NULL, "groups", NULL, "nack" }, 5, ENDPOINT_GROUP_NACK, ROUTE_GROUP_NACK, POST },
    { { "tickets" }, 1, ENDPOINT_TICKETS, ROUTE_TICKETS, POST },
    { { "subscribers" }, 1, ENDPOINT_SUBSCRIBERS, ROUTE_SUBSCRIBERS, READ | BIT(METHOD_DELETE) },
    { { "metrics" }, 1, ENDPOINT_METRICS, ROUTE_METRICS, READ },
    { { "healthz" }, 1, ENDPOINT_HEALTHZ, ROUTE_HEALTHZ, READ },
    { { "readyz" }, 1, ENDPOINT_READYZ, ROUTE_READYZ, READ },
};

/* Segments to leave out in front: 0, 1 (`api`) or 2 (`api`, `v1`). */
static size_t prefix_length(const struct request *request)
{
    if (request->segment_count < 2 || !text_is(request->segments[0], "api"))
        return 0;
    return request->segment_count > 2 && text_is(request->segments[1], "v1") ? 2 : 1;
}

static bool route_matches(size_t index, const struct text *segments, size_t segment_count,
                          struct route *ret_route)
{
    *ret_route = (struct route){ .endpoint = routes[index].endpoint,
                                 .label = routes[index].label,
                                 .methods = routes[index].methods };
    if (segment_count != routes[index].segment_count)
        return false;
    for (size_t i = 0; i < segment_count; i++) {
        const char *wanted = routes[index].segments[i];
        if (wanted ? !text_is(segments[i], wanted) : segments[i].length == 0)
            return false;
        if (!wanted)
            *(ret_route->name.bytes ? &ret_route->group : &ret_route->name) = segments[i];
    }
    return true;
}

bool route_find(const struct request *request, struct route *ret_route)
{
    if (request->too_deep)
        return false;
    size_t skip = prefix_length(request);
    const struct text *segments = request->segments + skip;
    size_t segment_count = request->segment_count - skip;

    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (route_matches(i, segments, segment_count, ret_route))
            return true;
    if (segment_count != 1)
        return false;
    const struct asset *asset = asset_find(segments[0].length ? segments[0] : text_of("index.html", 10));
    if (!asset)
        return false;
    *ret_route =
        (struct route){ .endpoint = ENDPOINT_PAGE, .label = ROUTE_PAGE, .methods = READ, .asset = asset };
    return true;
}

void route_format_allow(const struct route *route, char ret_text[static ROUTE_ALLOW_MAX])
{
    size_t length = 0;
    ret_text[0] = '\0';
    for (int method = 0; method < METHOD_OTHER; method++)
        if (route_allows(route, (enum request_method)method))
            length += (size_t)snprintf(ret_text + length, ROUTE_ALLOW_MAX - length, "%s%s",
                                       length ? ", " : "", request_method_name((enum request_method)method));
}

bool route_is_for_admins(const struct route *route)
{
    return route->endpoint == ENDPOINT_METRICS || route->endpoint == ENDPOINT_PAGE ||
           route->endpoint == ENDPOINT_STREAMS || route->endpoint == ENDPOINT_STREAM ||
           route->endpoint == ENDPOINT_SUBSCRIBERS;
}
