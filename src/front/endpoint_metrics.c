/* GET /metrics: for Prometheus, and for the web page as JSON. */
#include <stdlib.h>

#include "front/endpoint.h"
#include "front/exchange.h"
#include "front/front_state.h"
#include "metrics/metrics_text.h"

/* The one that is named first: Prometheus names text/plain only, HTTP libraries of browsers JSON and then the
 * rest. */
static bool wants_json(struct text accept)
{
    struct text range;
    while (text_split(&accept, ',', &range)) {
        struct text type = { 0 };
        text_split(&range, ';', &type);
        type = text_trim(type);
        if (text_is_caseless(type, "application/json"))
            return true;
        if (text_is_caseless(type, "text/plain"))
            return false;
    }
    return false;
}

/* The figures come from all threads; the exchange may have been called off before. */
struct inquiry {
    struct exchange *exchange; /* NULL: nobody waits any more */
    bool as_json;
};

static void cancel(struct exchange *exchange)
{
    struct inquiry *inquiry = exchange->operation;
    inquiry->exchange = NULL;
}

static void on_read(void *context, const struct buffer *text)
{
    struct inquiry inquiry = *(struct inquiry *)context;
    struct exchange *exchange = inquiry.exchange;
    free(context);
    if (!exchange)
        return;
    struct buffer body = { 0 };
    buffer_append(&body, text->data, text->size);
    body.failed |= text->failed;
    response_set_json(&exchange->response, 200, &body);
    if (!inquiry.as_json && exchange->response.status == 200)
        exchange->response.content_type = METRICS_TEXT_TYPE;
    response_add_header(&exchange->response, "Cache-Control", "no-store");
    response_add_header(&exchange->response, "Vary", "Accept");
    exchange_answer(exchange);
}

void endpoint_metrics(struct exchange *exchange)
{
    const struct metrics_reader *reader = &exchange->front->services.metrics_reader;
    struct inquiry *inquiry = malloc(sizeof(*inquiry));
    if (inquiry) {
        *inquiry = (struct inquiry){ .exchange = exchange,
                                     .as_json = wants_json(exchange->request.headers[HEADER_ACCEPT]) };
        if (reader->read(reader->context, inquiry->as_json, on_read, inquiry)) {
            exchange_wait(exchange, inquiry, cancel);
            return;
        }
    }
    free(inquiry);
    exchange_answer_problem(exchange, 503, "Memory is short. Try again later.");
}
