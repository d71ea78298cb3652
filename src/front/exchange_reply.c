#include "front/exchange_reply.h"

#include <stdlib.h>

#include "base/clock.h"
#include "front/access_log.h"
#include "front/connection.h"
#include "front/cors.h"
#include "front/front_state.h"
#include "front/stream_handoff.h"

static struct MHD_Response *make_response(struct exchange *exchange)
{
    struct response *answer = &exchange->response;
    if (exchange->is_stream)
        return stream_make_response(exchange);
    if (answer->static_body)
        return MHD_create_response_from_buffer(answer->static_length, (void *)answer->static_body,
                                               MHD_RESPMEM_PERSISTENT);
    /* Without memory for the answer none is given: an empty one would be taken for it. */
    if (answer->body.failed)
        return NULL;
    size_t size = 0;
    char *bytes = buffer_take(&answer->body, &size);
    if (!bytes)
        return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response = MHD_create_response_from_buffer(size, bytes, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(bytes);
    return response;
}

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static bool add_origin(struct MHD_Response *response, struct text origin)
{
    char *value = strndup(origin.bytes, origin.length);
    bool added = value && add(response, "Access-Control-Allow-Origin", value);
    free(value);
    return added;
}

/* Fetch, "CORS protocol and HTTP responses". */
static bool add_cors(struct MHD_Response *response, const struct exchange *exchange)
{
    struct text origin = exchange->request.headers[HEADER_ORIGIN];
    enum cors_verdict verdict = cors_judge(exchange->front->options.cors_origins, origin);
    bool preflight = exchange->request.method == METHOD_OPTIONS && exchange->has_route;
    bool added = true;

    if (preflight || cors_varies(exchange->front->options.cors_origins))
        added = add(response, "Vary", "Origin");
    if (verdict == CORS_ANY)
        added = added && add(response, "Access-Control-Allow-Origin", "*");
    else if (verdict == CORS_ECHO)
        added = added && add_origin(response, origin) &&
                (!exchange->front->options.cors_credentials ||
                 add(response, "Access-Control-Allow-Credentials", "true"));
    else
        return added;
    if (!preflight)
        return added && add(response, "Access-Control-Expose-Headers", CORS_EXPOSE_HEADERS);
    char methods[ROUTE_ALLOW_MAX];
    route_format_allow(&exchange->route, methods);
    return added && add(response, "Access-Control-Allow-Methods", methods) &&
           add(response, "Access-Control-Allow-Headers", CORS_ALLOW_HEADERS) &&
           add(response, "Access-Control-Max-Age", CORS_MAX_AGE);
}

static bool add_headers(struct MHD_Response *response, const struct exchange *exchange)
{
    const struct response *answer = &exchange->response;
    bool added = !answer->content_type || add(response, "Content-Type", answer->content_type);
    for (size_t i = 0; i < answer->header_count; i++)
        added = added && add(response, answer->headers[i].name, answer->headers[i].value);
    if (answer->closes || (exchange->front->draining && !exchange->is_stream))
        added = added && add(response, "Connection", "close");
    return added && add(response, "X-Content-Type-Options", "nosniff") && add_cors(response, exchange);
}

static void count(const struct exchange *exchange, uint64_t duration_ns)
{
    struct metrics *metrics = exchange->front->services.metrics;
    enum route_label label = exchange->has_route ? exchange->route.label : ROUTE_OTHER;
    if (exchange->response.status < METRICS_STATUS_MAX)
        metrics->http_requests[label][exchange->response.status]++;
    if (!exchange->is_stream)
        histogram_observe(&metrics->http_duration, duration_ns, 1);
}

enum MHD_Result exchange_reply(struct exchange *exchange)
{
    struct MHD_Response *response = make_response(exchange);
    if (!response)
        return MHD_NO;
    enum MHD_Result queued = MHD_NO;
    if (add_headers(response, exchange))
        queued = MHD_queue_response(exchange->mhd, exchange->response.status, response);
    MHD_destroy_response(response);
    if (queued != MHD_YES)
        return MHD_NO;

    uint64_t duration_ns = clock_now_ns() - exchange->head_complete_ns;
    exchange->is_queued = true;
    deadline_arm(exchange->front->deadlines, &exchange->connection->deadline, DEADLINE_RESPONSE,
                 clock_now_ms());
    count(exchange, duration_ns);
    access_log_write(exchange, (double)duration_ns / (double)CLOCK_NS_PER_SECOND);
    return MHD_YES;
}
