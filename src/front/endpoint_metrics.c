/* GET /metrics: for Prometheus, and for the web page as JSON. */
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

void endpoint_metrics(struct exchange *exchange)
{
    const struct front *front = exchange->front;
    struct buffer body = { 0 };
    bool json = wants_json(exchange->request.headers[HEADER_ACCEPT]);
    if (json)
        metrics_append_json(front->services.metrics, front->options.version, &body);
    else
        metrics_append_text(front->services.metrics, front->options.version, &body);
    response_set_json(&exchange->response, 200, &body);
    if (!json && exchange->response.status == 200)
        exchange->response.content_type = METRICS_TEXT_TYPE;
    response_add_header(&exchange->response, "Cache-Control", "no-store");
    response_add_header(&exchange->response, "Vary", "Accept");
    exchange_answer(exchange);
}
