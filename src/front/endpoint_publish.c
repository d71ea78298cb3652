/* POST /events/publish: one event, or an array of them. */
#include <stdlib.h>

#include "front/cors.h"
#include "front/endpoint.h"
#include "front/exchange.h"
#include "front/front_state.h"
#include "front/limits.h"
#include "front/permit.h"
#include "front/publish_job.h"
#include "front/publish_topics.h"

/* --- the answer
 * -------------------------------------------------------------------------------------------------- */

static void append_name(struct buffer *out, const char *member, const char *prefix, const struct buffer *name)
{
    buffer_append_text(out, member);
    struct buffer full = { 0 };
    buffer_append_text(&full, prefix);
    buffer_append(&full, name->data, name->size);
    buffer_append_json_string(out, full.data, full.size);
    out->failed |= full.failed;
    buffer_free(&full);
}

static void append_receipt(struct buffer *out, const struct publish_item *item,
                           const struct publish_receipt *receipt)
{
    if (item->channel.size)
        append_name(out, "{\"channel\":", "", &item->channel);
    else if (item->event.size)
        append_name(out, "{\"channel\":", "live:", &item->event);
    else
        buffer_append_text(out, "{\"channel\":null");

    if (item->stream.size)
        append_name(out, ",\"stream\":", "", &item->stream);
    else if (item->critical)
        append_name(out, ",\"stream\":", "events:", &item->event);
    else
        buffer_append_text(out, ",\"stream\":null");

    if (*receipt->id)
        buffer_printf(out, ",\"id\":\"%s\"", receipt->id);
    else
        buffer_append_text(out, ",\"id\":null");
    buffer_append_text(out, ",\"receivers\":");
    buffer_append_unsigned(out, receipt->receivers > 0 ? (uint64_t)receipt->receivers : 0);
    buffer_append_text(out, receipt->duplicate ? ",\"duplicate\":true}" : ",\"duplicate\":false}");
}

static void answer_array(struct exchange *exchange, const struct publish_body *body,
                         const struct publish_receipt *receipts)
{
    struct buffer out = { 0 };
    unsigned status = 200;
    buffer_append_byte(&out, '[');
    for (size_t i = 0; i < body->count; i++) {
        if (i > 0)
            buffer_append_byte(&out, ',');
        if (body->items[i].problem.status) {
            status = 207;
            problem_append_json(&body->items[i].problem, &out);
        } else {
            append_receipt(&out, &body->items[i], &receipts[i]);
        }
    }
    buffer_append_byte(&out, ']');
    response_set_json(&exchange->response, status, &out);
    exchange_answer(exchange);
}

static void on_published(void *context, const struct publish_body *body,
                         const struct publish_receipt *receipts)
{
    struct exchange *exchange = context;
    if (body->is_array) {
        answer_array(exchange, body, receipts);
        return;
    }
    if (body->items[0].problem.status) {
        response_set_problem(&exchange->response, &body->items[0].problem);
    } else {
        struct buffer out = { 0 };
        append_receipt(&out, &body->items[0], &receipts[0]);
        response_set_json(&exchange->response, 200, &out);
    }
    exchange_answer(exchange);
}

static void cancel_publish(struct exchange *exchange)
{
    publish_job_abandon(exchange->operation);
}

/* --- the request
 * ------------------------------------------------------------------------------------------------- */

static bool choose_kind(struct exchange *exchange, enum publish_body_kind *ret_kind)
{
    const struct request *request = &exchange->request;
    struct text rest = request->headers[HEADER_CONTENT_TYPE];
    struct text type = { 0 };
    text_split(&rest, ';', &type);
    type = text_trim(type);
    if (text_is_caseless(type, "application/json")) {
        *ret_kind = PUBLISH_BODY_JSON;
        return true;
    }
    if (!text_is_caseless(type, "application/x-www-form-urlencoded")) {
        exchange_answer_problem(exchange, 415,
                                "Send Content-Type: application/json, or application/x-www-form-urlencoded.");
        return false;
    }
    const struct buffer *body = &exchange->body;
    if (body->size && (body->data[0] == '{' || body->data[0] == '[')) {
        exchange_answer_problem(exchange, 415,
                                "The body looks like JSON: send it with Content-Type: application/json.");
        return false;
    }
    /* A browser posts a form to any site without asking there first, so this is where other sites' pages are
     * kept out. */
    struct text origin = request->headers[HEADER_ORIGIN];
    enum cors_verdict verdict = cors_judge(exchange->front->options.cors_origins, origin);
    if ((verdict == CORS_NONE || verdict == CORS_DENIED) &&
        !cors_is_same_origin(origin, request->headers[HEADER_HOST])) {
        exchange_answer_problem(exchange, 403,
                                "A form from another origin is not accepted; list it in cors_origins.");
        return false;
    }
    *ret_kind = PUBLISH_BODY_FORM;
    return true;
}

static uint64_t maxlen_of(const void *context, const char *stream, size_t length)
{
    return stream_watch_maxlen(context, stream, length);
}

/* --- may he, and then --- */

static void drop_body(void *operand)
{
    publish_body_clear(operand);
    free(operand);
}

/* Takes over *body. */
static void start_job(struct exchange *exchange, struct publish_body *body)
{
    const struct front_services *services = &exchange->front->services;
    if (!limits_take_publish(exchange, body->count)) {
        publish_body_clear(body);
        return;
    }
    const struct publish_job_options job_options = { .base = services->base,
                                                     .commands = services->commands,
                                                     .metrics = services->metrics,
                                                     .idempotency_window_ms =
                                                         exchange->front->options.idempotency_window_ms };
    struct publish_job *job = publish_job_start(&job_options, body, on_published, exchange);
    if (job)
        exchange_wait(exchange, job, cancel_publish);
    else
        exchange_answer_problem(exchange, 503, "Memory is short. Try again later.");
}

static void on_granted(struct exchange *exchange)
{
    struct publish_body *body = exchange->permit.operand;
    start_job(exchange, body);
    free(body);
}

/* All of an array must be granted, or nothing of it is published. Takes over *body. */
static void ask_for_body(struct exchange *exchange, struct publish_body *body)
{
    if (access_is_open(exchange->front->services.access)) {
        start_job(exchange, body);
        return;
    }
    struct publish_body *kept = malloc(sizeof(*kept));
    struct publish_topics topics = { 0 };
    if (!kept || !publish_topics_collect(body, &topics)) {
        free(kept);
        publish_body_clear(body);
        exchange_answer_problem(exchange, 503, "Memory is short. Try again later.");
        return;
    }
    *kept = *body;
    const struct access_question question = { .action = ACCESS_PUBLISH,
                                              .topics = topics.topics,
                                              .topic_count = topics.count };
    permit_ask(exchange, &question, on_granted, kept, drop_body);
    publish_topics_clear(&topics);
}

void endpoint_publish(struct exchange *exchange)
{
    const struct front_options *options = &exchange->front->options;
    const struct front_services *services = &exchange->front->services;
    enum publish_body_kind kind;
    if (!choose_kind(exchange, &kind))
        return;

    const struct publish_limits limits = { .items_max = options->publish_array_max,
                                           .maxlen_default = options->stream_maxlen,
                                           .maxlen_of = services->watch ? maxlen_of : NULL,
                                           .context = services->watch };
    struct text key = exchange->request.headers[HEADER_IDEMPOTENCY_KEY];
    struct publish_body body;
    struct problem problem;
    if (!publish_body_parse(kind, text_of(exchange->body.data, exchange->body.size), key, &limits, &body,
                            &problem)) {
        services->metrics->publish_failed++;
        response_set_problem(&exchange->response, &problem);
        exchange_answer(exchange);
        return;
    }
    ask_for_body(exchange, &body);
}
