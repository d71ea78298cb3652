/* GET /streams: the configured streams. GET /streams/<name>: any stream. */
#include <stdlib.h>

#include "consumers/stream_report.h"
#include "consumers/stream_watch.h"
#include "front/endpoint.h"
#include "front/exchange.h"
#include "front/front_state.h"

static void answer_json(struct exchange *exchange, struct buffer *body)
{
    response_set_json(&exchange->response, 200, body);
    response_add_header(&exchange->response, "Cache-Control", "no-store");
    exchange_answer(exchange);
}

static void answer_unavailable(struct exchange *exchange)
{
    exchange_answer_problem(exchange, 503, "Redis does not answer. Try again later.");
}

/* ---- all that are configured ---- */

/* Told by the watch once it has read them; the exchange may have been called off before. */
struct listing {
    struct stream_watch_wait wait;
    struct exchange *exchange;
};

static void answer_list(struct exchange *exchange)
{
    const struct stream_watch *watch = exchange->front->services.watch;
    struct buffer body = { 0 };
    buffer_append_text(&body, "{\"streams\":");
    if (watch)
        stream_watch_append_json(watch, true, &body);
    else
        buffer_append_text(&body, "[]");
    buffer_append_byte(&body, '}');
    answer_json(exchange, &body);
}

static void on_list_read(void *context)
{
    struct listing *listing = context;
    struct exchange *exchange = listing->exchange;
    free(listing);
    if (stream_watch_is_known(exchange->front->services.watch))
        answer_list(exchange);
    else
        answer_unavailable(exchange);
}

static void cancel_list(struct exchange *exchange)
{
    struct listing *listing = exchange->operation;
    list_remove(&listing->wait.node);
    free(listing);
}

void endpoint_streams(struct exchange *exchange)
{
    struct stream_watch *watch = exchange->front->services.watch;
    if (!watch || stream_watch_count(watch) == 0) {
        answer_list(exchange);
        return;
    }
    struct listing *listing = calloc(1, sizeof(*listing));
    if (!listing) {
        exchange_answer_problem(exchange, 503, "Memory is short. Try again later.");
        return;
    }
    listing->exchange = exchange;
    listing->wait.done = on_list_read;
    listing->wait.context = listing;
    exchange_wait(exchange, listing, cancel_list);
    stream_watch_refresh(watch, &listing->wait);
}

/* ---- one ---- */

/* What Redis was asked cannot be called off, so its answer comes to this, which outlives the exchange if need
 * be. */
struct inquiry {
    struct exchange *exchange; /* NULL: nobody waits any more */
};

static void cancel_inquiry(struct exchange *exchange)
{
    struct inquiry *inquiry = exchange->operation;
    inquiry->exchange = NULL;
}

static void answer_report(struct exchange *exchange, const struct stream_report *report)
{
    struct buffer body = { 0 };
    stream_report_append_json(report, true, &body);
    answer_json(exchange, &body);
}

static void on_report(void *context, enum stream_report_status status, struct stream_report *report,
                      const char *problem)
{
    struct inquiry *inquiry = context;
    struct exchange *exchange = inquiry->exchange;
    free(inquiry);
    if (!exchange) {
        stream_report_destroy(report);
        return;
    }
    switch (status) {
    case STREAM_REPORT_FOUND:
        answer_report(exchange, report);
        break;
    case STREAM_REPORT_ABSENT:
        exchange_answer_problem(exchange, 404, "There is no stream of this name.");
        break;
    case STREAM_REPORT_WRONG_TYPE:
        exchange_answer_problem(exchange, 422, "The key of this name holds something else than a stream.");
        break;
    case STREAM_REPORT_UNAVAILABLE:
        answer_unavailable(exchange);
        break;
    case STREAM_REPORT_REFUSED:
        exchange_answer_problem(exchange, 503, "Redis refused: %.160s", problem);
        break;
    }
    stream_report_destroy(report);
}

void endpoint_stream(struct exchange *exchange)
{
    struct text name = exchange->route.name;
    if (name.length > STREAM_NAME_MAX) {
        exchange_answer_problem(exchange, 400, "The name of a stream has at most %d bytes.", STREAM_NAME_MAX);
        return;
    }
    struct inquiry *inquiry = malloc(sizeof(*inquiry));
    if (inquiry)
        inquiry->exchange = exchange;
    if (inquiry &&
        stream_report_read(exchange->front->services.commands, name.bytes, name.length, on_report, inquiry)) {
        exchange_wait(exchange, inquiry, cancel_inquiry);
        return;
    }
    free(inquiry);
    exchange_answer_problem(exchange, 503, "Memory is short. Try again later.");
}
