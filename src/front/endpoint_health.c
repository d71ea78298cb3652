/* GET /healthz: the process lives. GET /readyz: it can serve, so requests may be sent here. */
#include "front/endpoint.h"
#include "front/exchange.h"
#include "front/front_state.h"

static const char *word(bool value)
{
    return value ? "true" : "false";
}

void endpoint_healthz(struct exchange *exchange)
{
    struct buffer body = { 0 };
    buffer_append_text(&body, "{\"status\":\"ok\"}");
    response_set_json(&exchange->response, 200, &body);
    response_add_header(&exchange->response, "Cache-Control", "no-store");
    exchange_answer(exchange);
}

void endpoint_readyz(struct exchange *exchange)
{
    const struct front *front = exchange->front;
    bool redis = front->services.is_redis_up(front->services.context);
    bool draining = front->draining || front->services.metrics->draining;
    bool ready = redis && !draining;
    struct buffer body = { 0 };
    buffer_printf(&body, "{\"ready\":%s,\"redis\":%s,\"draining\":%s}", word(ready), word(redis),
                  word(draining));
    response_set_json(&exchange->response, ready ? 200 : 503, &body);
    response_add_header(&exchange->response, "Cache-Control", "no-store");
    exchange_answer(exchange);
}
