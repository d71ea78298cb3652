#include "front/exchange.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "front/connection.h"
#include "front/endpoint.h"
#include "front/exchange_reply.h"
#include "front/front_state.h"
#include "front/limits.h"

/* Bytes of a body to make room for at once: what a client announces is not what it sends. */
#define BODY_RESERVE_BYTES_MAX 65536

typedef void endpoint_start(struct exchange *exchange);

static endpoint_start *const endpoints[ENDPOINTS] = {
    [ENDPOINT_PUBLISH] = endpoint_publish,
    [ENDPOINT_EVENTS] = endpoint_events,
    [ENDPOINT_BATCH] = endpoint_batch,
    [ENDPOINT_BATCH_STREAM] = endpoint_batch_stream,
    [ENDPOINT_METRICS] = endpoint_metrics,
    [ENDPOINT_HEALTHZ] = endpoint_healthz,
    [ENDPOINT_READYZ] = endpoint_readyz,
    [ENDPOINT_PAGE] = endpoint_page,
    [ENDPOINT_STREAMS] = endpoint_streams,
    [ENDPOINT_STREAM] = endpoint_stream,
    [ENDPOINT_TICKETS] = endpoint_tickets,
    [ENDPOINT_SUBSCRIBERS] = endpoint_subscribers,
    [ENDPOINT_GROUP_EVENTS] = endpoint_group_events,
    [ENDPOINT_GROUP_ACK] = endpoint_group_ack,
    [ENDPOINT_GROUP_NACK] = endpoint_group_nack,
};

/* --- what endpoints call
 * ----------------------------------------------------------------------------------------- */

struct text exchange_subject(const struct exchange *exchange)
{
    struct text subject = exchange->grant ? grant_subject(exchange->grant) : (struct text){ 0 };
    const char *name = exchange->client.name;
    return subject.length > 0 || !name ? subject : text_of(name, strlen(name));
}

void exchange_answer(struct exchange *exchange)
{
    bool was_waiting = exchange->state == EXCHANGE_WAITING;
    exchange->state = EXCHANGE_ANSWERED;
    exchange->operation = NULL;
    exchange->cancel = NULL;
    if (was_waiting) {
        MHD_resume_connection(exchange->mhd);
        server_wake(exchange->front->server);
    }
}

void exchange_answer_problem(struct exchange *exchange, unsigned status, const char *format, ...)
{
    char detail[PROBLEM_DETAIL_MAX];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(detail, sizeof(detail), format, arguments) < 0)
        detail[0] = '\0';
    va_end(arguments);
    struct problem problem;
    problem_set(&problem, status, "%s", detail);
    response_set_problem(&exchange->response, &problem);
    exchange_answer(exchange);
}

void exchange_wait(struct exchange *exchange, void *operation, void (*cancel)(struct exchange *exchange))
{
    if (exchange->state == EXCHANGE_ANSWERED)
        return;
    bool is_suspended = exchange->state == EXCHANGE_WAITING; /* one wait follows another */
    exchange->state = EXCHANGE_WAITING;
    exchange->operation = operation;
    exchange->cancel = cancel;
    if (!is_suspended)
        MHD_suspend_connection(exchange->mhd);
}

void exchange_call_off(struct exchange *exchange)
{
    if (exchange->state != EXCHANGE_WAITING)
        return;
    exchange->cancel(exchange);
    exchange_answer_problem(exchange, 503, "The gateway is ending.");
}

/* --- the first call: the head is complete
 * -------------------------------------------------------------------------- */

struct header_list {
    struct gate_header headers[GATE_HEADERS_MAX];
    size_t count; /* may be above GATE_HEADERS_MAX: the gate refuses that */
};

static enum MHD_Result collect_header(void *context, enum MHD_ValueKind kind, const char *name,
                                      size_t name_length, const char *value, size_t value_length)
{
    (void)kind;
    struct header_list *list = context;
    if (list->count < GATE_HEADERS_MAX)
        list->headers[list->count] =
            (struct gate_header){ .name = text_of(name, name_length),
                                  .value = text_of(value ? value : "", value_length) };
    list->count++;
    return MHD_YES;
}

static size_t head_size(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info ? info->header_size : 0;
}

/* libmicrohttpd from 0.9.76 on refuses by itself what hides in a head, and keeps the head in another way. */
static bool layout_is_clean(struct gate_head head, const char *url)
{
#if MHD_VERSION < 0x00097600
    head.uri.bytes = url; /* where it lies in the library's buffer */
    return head.head_bytes == 0 || gate_layout_is_clean(&head, head.method.bytes, head.head_bytes);
#else
    (void)head;
    (void)url;
    return true;
#endif
}

static bool pass_gate(struct exchange *exchange, const char *url, const char *method, const char *version,
                      uint64_t *ret_body_bytes, struct problem *ret_problem)
{
    struct front *front = exchange->front;
    struct header_list list;
    list.count = 0;
    MHD_get_connection_values_n(exchange->mhd, MHD_HEADER_KIND, collect_header, &list);

    const struct gate_head head = {
        .method = text_of(method, strlen(method)),
        .uri = text_of(exchange->uri, strlen(exchange->uri)),
        .version = text_of(version, strlen(version)),
        .headers = list.headers,
        .header_count = list.count,
        .head_bytes = head_size(exchange->mhd),
    };
    const struct gate_limits limits = { .uri_bytes_max = FRONT_URI_BYTES_MAX,
                                        .head_bytes_max = FRONT_HEAD_BYTES_MAX,
                                        .body_bytes_max = front->options.body_bytes_max };
    if (!gate_check(&head, &limits, ret_body_bytes, ret_problem))
        return false;
    if (!layout_is_clean(head, url))
        return problem_set(ret_problem, 400,
                           "The request head has a NUL, a folded line or stray spaces in it.");
    return client_find(&front->client_rules, &exchange->connection->peer, &head, &exchange->client,
                       ret_problem) &&
           request_parse(&head, &exchange->request, ret_problem);
}

/* Where administrators have an address of their own, theirs is nowhere else. */
static bool find_route(struct exchange *exchange)
{
    return route_find(&exchange->request, &exchange->route) &&
           (!route_is_for_admins(&exchange->route) || !*exchange->front->options.admin_listen ||
            exchange->connection->is_admin);
}

static enum MHD_Result begin(struct exchange *exchange, const char *url, const char *method,
                             const char *version)
{
    struct front *front = exchange->front;
    exchange->head_complete_ns = clock_now_ns();
    front->newcomer_count -= exchange->connection->is_newcomer;
    exchange->connection->is_newcomer = false;
    list_append(&front->exchanges, &exchange->node);
    front->exchange_count++;

    uint64_t body_bytes = 0;
    struct problem problem;
    if (!pass_gate(exchange, url, method, version, &body_bytes, &problem)) {
        front->services.metrics->http_rejected++;
        /* An answer this early makes the library close the connection, whatever is still on its way. */
        response_set_problem(&exchange->response, &problem);
        exchange->state = EXCHANGE_ANSWERED;
        return exchange_reply(exchange);
    }
    exchange->connection->lingers = false;
    exchange->has_route = find_route(exchange);
    exchange->state = EXCHANGE_RECEIVING;
    if (body_bytes > 0) {
        deadline_arm(front->deadlines, &exchange->connection->deadline, DEADLINE_BODY, clock_now_ms());
        buffer_reserve(&exchange->body,
                       body_bytes < BODY_RESERVE_BYTES_MAX ? body_bytes : BODY_RESERVE_BYTES_MAX);
    } else {
        deadline_disarm(&exchange->connection->deadline);
    }
    return MHD_YES;
}

/* --- the last call: the body is complete
 * --------------------------------------------------------------------------- */

static void answer_preflight(struct exchange *exchange)
{
    char allow[ROUTE_ALLOW_MAX];
    route_format_allow(&exchange->route, allow);
    exchange->response.status = 204;
    response_add_header(&exchange->response, "Allow", "%s", allow);
    exchange_answer(exchange);
}

static void answer_wrong_method(struct exchange *exchange)
{
    char allow[ROUTE_ALLOW_MAX];
    route_format_allow(&exchange->route, allow);
    response_add_header(&exchange->response, "Allow", "%s", allow);
    exchange_answer_problem(exchange, 405, "Allowed here: %s.", allow);
}

static void run(struct exchange *exchange)
{
    exchange->state = EXCHANGE_RUNNING;
    deadline_disarm(&exchange->connection->deadline);
    if (!exchange->has_route)
        exchange_answer_problem(exchange, 404, "There is nothing at this address.");
    else if (!route_allows(&exchange->route, exchange->request.method))
        answer_wrong_method(exchange);
    else if (exchange->request.method == METHOD_OPTIONS)
        answer_preflight(exchange);
    else if (exchange->body.failed)
        exchange_answer_problem(exchange, 503, "Memory is short. Try again later.");
    else
        permit_route(exchange, endpoints[exchange->route.endpoint]);
}

/* --- the library's callbacks
 * ------------------------------------------------------------------------------------- */

/*
 * The library would list the query's parameters in its memory for the connection; we read them by ourselves.
 * When some hundred of them use that up, version 0.9.75 loses its way: it waits for a head that it cannot
 * take, and never tells of the end of the request. So they are hidden from it: the address lies in its
 * buffer, where it goes on to write as well.
 */
static void hide_query(char *uri)
{
    char *query = strchr(uri, '?');
    if (query)
        query[1] = '\0';
}

void *exchange_on_request_line(void *context, const char *uri, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *connection = info ? info->socket_context : NULL;
    struct exchange *exchange = connection ? calloc(1, sizeof(*exchange)) : NULL;
    if (!exchange)
        return NULL;
    exchange->front = context;
    exchange->connection = connection;
    exchange->client.address = connection->peer;
    connection->lingers = true;
    exchange->mhd = mhd;
    exchange->uri = strdup(uri ? uri : "");
    if (!exchange->uri) {
        free(exchange);
        return NULL;
    }
    if (uri)
        hide_query((char *)uri);
    exchange_forget(connection);
    connection->exchange = exchange;
    return exchange;
}

enum MHD_Result exchange_on_request(void *context, struct MHD_Connection *mhd, const char *url,
                                    const char *method, const char *version, const char *upload,
                                    size_t *upload_bytes, void **exchange_slot)
{
    (void)context;
    (void)mhd;
    struct exchange *exchange = *exchange_slot;
    /* Memory was short: lose this connection. */
    if (!exchange)
        return MHD_NO;
    if (exchange->state == EXCHANGE_NEW)
        return begin(exchange, url, method, version);
    if (*upload_bytes > 0) {
        /* The gate knows the length of the body, so it stays below its limit. What nobody wants is read and
         * forgotten. */
        if (exchange->has_route && route_allows(&exchange->route, exchange->request.method))
            buffer_append(&exchange->body, upload, *upload_bytes);
        *upload_bytes = 0;
        return MHD_YES;
    }
    if (exchange->state == EXCHANGE_RECEIVING)
        run(exchange);
    return exchange->state == EXCHANGE_ANSWERED && !exchange->is_queued ? exchange_reply(exchange) : MHD_YES;
}

static void end(struct exchange *exchange)
{
    struct front *front = exchange->front;
    if (exchange->cancel)
        exchange->cancel(exchange);
    if (exchange->subscriber)
        hub_abandon(front->services.hub, exchange->subscriber);
    limits_drop_place(exchange);
    grant_release(exchange->grant);
    if (list_linked(&exchange->node)) {
        list_remove(&exchange->node);
        front->exchange_count--;
    }
    exchange->connection->exchange = NULL;
    response_clear(&exchange->response);
    buffer_free(&exchange->body);
    request_clear(&exchange->request);
    client_clear(&exchange->client);
    free(exchange->uri);
    free(exchange);
}

void exchange_on_completed(void *context, struct MHD_Connection *mhd, void **exchange_slot,
                           enum MHD_RequestTerminationCode code)
{
    (void)mhd;
    struct front *front = context;
    struct exchange *exchange = *exchange_slot;
    if (!exchange)
        return;
    *exchange_slot = NULL;

    if (exchange->state == EXCHANGE_NEW && code == MHD_REQUEST_TERMINATED_WITH_ERROR)
        front->services.metrics->http_rejected++; /* by the library itself */
    deadline_arm(front->deadlines, &exchange->connection->deadline, DEADLINE_IDLE, clock_now_ms());
    end(exchange);
}

void exchange_forget(struct connection *connection)
{
    if (connection->exchange)
        end(connection->exchange);
}
