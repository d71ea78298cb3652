/* GET /streams/<stream>/groups/<group>/events: a consumer of a group, as a stream of events. */
#include "base/parse.h"
#include "consumers/group_stream.h"
#include "front/endpoint.h"
#include "front/front_state.h"
#include "front/group_names.h"
#include "front/limits.h"
#include "front/stream_handoff.h"

/* --- the query ----------------------------------------------------------------------------------------- */

static bool read_consumer(struct exchange *exchange, struct consumer_request *request)
{
    struct text name = request_parameter(&exchange->request, "consumer");
    if (!name.bytes) {
        exchange_answer_problem(
            exchange, 400,
            "Say which consumer of the group you are: ?consumer=NAME. A worker that comes "
            "back under its name gets what it has not acknowledged.");
        return false;
    }
    if (name.length == 0 || name.length > GROUP_NAME_MAX) {
        exchange_answer_problem(exchange, 400, "The name of a consumer has between 1 and %d bytes.",
                                GROUP_NAME_MAX);
        return false;
    }
    request->consumer = name.bytes;
    request->consumer_length = name.length;
    return true;
}

static bool read_start(struct exchange *exchange, struct consumer_request *request)
{
    struct text start = request_parameter(&exchange->request, "start");
    request->start = text_is(start, "0") ? GROUP_START_ALL : GROUP_START_NEW;
    if (!start.bytes || text_is(start, "0") || text_is(start, "$"))
        return true;
    exchange_answer_problem(exchange, 400,
                            "A new group starts at $ (with what comes from now on) or 0 (with the stream's "
                            "first entry).");
    return false;
}

/* `value` keeps its default if there is no such parameter. */
static bool read_count(struct exchange *exchange, const char *name, uint64_t max, uint64_t *value)
{
    struct text text = request_parameter(&exchange->request, name);
    if (!text.bytes || (parse_unsigned(text.bytes, text.length, value) && *value >= 1 && *value <= max))
        return true;
    exchange_answer_problem(exchange, 400, "%s is a number between 1 and %llu.", name,
                            (unsigned long long)max);
    return false;
}

static bool read_idle(struct exchange *exchange, struct consumer_request *request)
{
    struct text idle = request_parameter(&exchange->request, "idle");
    request->idle_ms = GROUP_IDLE_MS_DEFAULT;
    if (!idle.bytes || (parse_duration_ms(idle.bytes, idle.length, &request->idle_ms) &&
                        request->idle_ms >= GROUP_IDLE_MS_MIN && request->idle_ms <= GROUP_IDLE_MS_MAX))
        return true;
    exchange_answer_problem(exchange, 400,
                            "idle is a duration like 500ms, 60s or 10m, between %d ms and %d s.",
                            GROUP_IDLE_MS_MIN, GROUP_IDLE_MS_MAX / 1000);
    return false;
}

static bool read_request(struct exchange *exchange, struct consumer_request *request)
{
    uint64_t prefetch = GROUP_PREFETCH_DEFAULT;
    request->max_deliveries = GROUP_DELIVERIES_DEFAULT;
    request->stream = exchange->route.name.bytes;
    request->stream_length = exchange->route.name.length;
    request->group = exchange->route.group.bytes;
    request->group_length = exchange->route.group.length;
    if (!group_names_check(exchange) || !read_consumer(exchange, request) || !read_start(exchange, request) ||
        !read_count(exchange, "prefetch", GROUP_PREFETCH_MAX, &prefetch) ||
        !read_count(exchange, "max_deliveries", GROUP_DELIVERIES_MAX, &request->max_deliveries) ||
        !read_idle(exchange, request))
        return false;
    request->prefetch = (size_t)prefetch;
    return true;
}

/* --- the answer ---------------------------------------------------------------------------------------- */

static void on_opened(void *context, enum group_stream_status status, struct subscriber *subscriber,
                      const char *problem)
{
    struct exchange *exchange = context;
    switch (status) {
    case GROUP_STREAM_OPEN:
        stream_accept(exchange, subscriber);
        break;
    case GROUP_STREAM_WRONG_TYPE:
        group_answer_wrong_type(exchange);
        break;
    case GROUP_STREAM_REFUSED:
        group_answer_refused(exchange, problem);
        break;
    case GROUP_STREAM_REPLACED:
        stream_refuse(exchange, "replaced");
        break;
    case GROUP_STREAM_FULL:
        limits_refuse(exchange, LIMIT_STREAMS, 0);
        break;
    case GROUP_STREAM_DRAINING:
        stream_defer(exchange);
        break;
    case GROUP_STREAM_NO_MEMORY:
        stream_refuse(exchange, "no-memory");
        break;
    }
}

static void cancel(struct exchange *exchange)
{
    group_stream_cancel(exchange->operation);
}

void endpoint_group_events(struct exchange *exchange)
{
    const struct front_services *services = &exchange->front->services;
    struct consumer_request request = { .prefetch = 0 };
    if (!read_request(exchange, &request))
        return;
    /* A HEAD asks what a GET would answer, and consumes nothing. */
    if (exchange->request.method == METHOD_HEAD) {
        stream_accept(exchange, NULL);
        return;
    }
    if (!limits_take_place(exchange))
        return;
    struct group_stream *stream =
        group_stream_open(services->hub, services->groups, &request, on_opened, exchange);
    if (stream)
        exchange_wait(exchange, stream, cancel);
    else
        stream_refuse(exchange, "no-memory");
}
