#include "front/stream_handoff.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "front/accept_encoding.h"
#include "front/connection.h"
#include "front/front_state.h"
#include "front/limits.h"
#include "hub/lease.h"
#include "wire/sse.h"

#define REFUSED_RETRY_MS_MIN 10000
#define REFUSED_RETRY_MS_MAX 60000

/* The library wants a buffer for content; ours never has any. */
#define CONTENT_BUFFER_BYTES 1

/* The library says what the parameters are. NOLINTNEXTLINE(readability-non-const-parameter) */
static ssize_t hand_over(void *context, uint64_t position, char *bytes, size_t bytes_max)
{
    (void)position;
    (void)bytes;
    (void)bytes_max;
    struct exchange *exchange = context;
    struct front *front = exchange->front;
    struct hub *hub = front->services.hub;
    struct subscriber *subscriber = exchange->subscriber;
    exchange->subscriber = NULL;

    int descriptor = fcntl(exchange->connection->descriptor, F_DUPFD_CLOEXEC, 3);
    /* Without a descriptor the client sees the end, and comes back by itself. */
    if (descriptor < 0)
        hub_abandon(hub, subscriber);
    else
        hub_attach(hub, subscriber, descriptor);

    /*
     * The library looks at a connection that ended here only when it is the last in its list of timeouts, so
     * one idle neighbour would keep it, and its descriptor, for ever. Connections with a timeout of their own
     * stand in a list that every run looks through: put it there, and have another run.
     */
    MHD_set_connection_option(exchange->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 1u);
    server_wake(front->server);
    return descriptor < 0 ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
}

struct MHD_Response *stream_make_response(struct exchange *exchange)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CONTENT_BUFFER_BYTES, hand_over, exchange, NULL);
    if (!response)
        return NULL;
    /* The body ends with the connection: no chunks, which the hub would have to write. */
    if (MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END) == MHD_YES)
        return response;
    MHD_destroy_response(response);
    return NULL;
}

static void set_stream_head(struct response *response)
{
    response->status = 200;
    response->content_type = "text/event-stream; charset=utf-8";
    response_add_header(response, "Cache-Control", "no-store, no-transform");
    response_add_header(response, "X-Accel-Buffering", "no");
}

void stream_defer(struct exchange *exchange)
{
    const struct front_options *options = &exchange->front->options;
    sse_append_retry(&exchange->response.body, random_between(options->retry_min_ms, options->retry_max_ms));
    set_stream_head(&exchange->response);
    exchange_answer(exchange);
}

void stream_refuse(struct exchange *exchange, const char *reason)
{
    struct buffer data = { 0 };
    buffer_printf(&data, "{\"reason\":\"%s\"}", reason);
    struct sse_event event = {
        .name = "refused", .name_length = strlen("refused"), .data = data.data, .data_length = data.size
    };
    sse_append_retry(&exchange->response.body, random_between(REFUSED_RETRY_MS_MIN, REFUSED_RETRY_MS_MAX));
    sse_append_event(&exchange->response.body, &event);
    buffer_free(&data);
    set_stream_head(&exchange->response);
    /* Those who are put off make room for others. */
    exchange->response.closes = true;
    exchange_answer(exchange);
}

/* Until when on our own clock, which does not jump; 0: for ever. */
static uint64_t expires_ms_of(const struct grant *grant)
{
    uint64_t expires_wall_ms = grant_expires_wall_ms(grant);
    uint64_t now_wall_ms = clock_wall_ms();
    if (!expires_wall_ms)
        return 0;
    return clock_now_ms() + (expires_wall_ms > now_wall_ms ? expires_wall_ms - now_wall_ms : 0);
}

/* For whom the stream is held; false when memory is short. */
static bool lease_stream(struct exchange *exchange, struct subscriber *subscriber)
{
    struct text subject = exchange_subject(exchange);
    if (!exchange->grant && subject.length == 0)
        return true;
    bool is_consumer = exchange->route.endpoint == ENDPOINT_GROUP_EVENTS;
    const struct lease_terms terms = {
        .expires_ms = exchange->grant ? expires_ms_of(exchange->grant) : 0,
        .known_ms = exchange->head_complete_ns / CLOCK_NS_PER_MS,
        .credential = exchange->grant ? grant_credential(exchange->grant) : 0,
        .subject = subject.bytes,
        .subject_length = subject.length,
        .stream = is_consumer ? exchange->route.name.bytes : NULL,
        .stream_length = is_consumer ? exchange->route.name.length : 0,
    };
    struct lease *lease = lease_create(&terms);
    if (lease)
        hub_lease(exchange->front->services.hub, subscriber, lease);
    return lease != NULL;
}

void stream_accept(struct exchange *exchange, struct subscriber *subscriber)
{
    exchange->subscriber = subscriber;
    if (subscriber && !lease_stream(exchange, subscriber)) {
        exchange->subscriber = NULL;
        hub_abandon(exchange->front->services.hub, subscriber);
        stream_refuse(exchange, "no-memory");
        return;
    }
    if (subscriber)
        limits_pass_place(exchange, subscriber);
    exchange->is_stream = true;
    set_stream_head(&exchange->response);
    exchange_answer(exchange);
}

/* Streams whose events many share are compressed for those who want it: it is done once for all of them. */
static void choose_coding(struct exchange *exchange)
{
    if (!exchange->front->options.compress)
        return;
    response_add_header(&exchange->response, "Vary", "Accept-Encoding");
    if (!accept_encoding_wants_gzip(exchange->request.headers[HEADER_ACCEPT_ENCODING]))
        return;
    response_add_header(&exchange->response, "Content-Encoding", "gzip");
    if (exchange->subscriber)
        hub_compress(exchange->subscriber);
}

void stream_open(struct exchange *exchange, const struct stream_request *request)
{
    /* A HEAD asks what a GET would answer, and subscribes to nothing. */
    enum hub_open_status status = HUB_OPEN_OK;
    if (exchange->request.method != METHOD_HEAD && !limits_take_place(exchange))
        return;
    if (exchange->request.method != METHOD_HEAD)
        status = hub_open(exchange->front->services.hub, request, &exchange->subscriber);
    switch (status) {
    case HUB_OPEN_OK:
        choose_coding(exchange);
        stream_accept(exchange, exchange->subscriber);
        break;
    case HUB_OPEN_FULL:
        limits_refuse(exchange, LIMIT_STREAMS, 0);
        break;
    case HUB_OPEN_DRAINING:
        stream_defer(exchange);
        break;
    case HUB_OPEN_NO_MEMORY:
        stream_refuse(exchange, "no-memory");
        break;
    }
}
