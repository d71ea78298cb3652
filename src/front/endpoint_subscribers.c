/*
 * GET /subscribers: who has how many streams. DELETE /subscribers?subject=…: ends all streams of one, on all
 * gateways.
 */
#include <jansson.h>
#include <stdlib.h>

#include "access/grant.h"
#include "access/grant_json.h"
#include "front/endpoint.h"
#include "front/exchange.h"
#include "front/front_state.h"
#include "front/permit.h"
#include "front/roll_call.h"

#define SUBJECTS_MAX 1000 /* in the answer */

struct call {
    struct exchange *exchange;
    struct roll_call *roll_call;
    struct text subject; /* the request's; without bytes: a list */
};

static void cancel_call(struct exchange *exchange)
{
    struct call *call = exchange->operation;
    roll_call_cancel(call->roll_call);
    free(call);
}

static void answer_json(struct exchange *exchange, struct buffer *body)
{
    response_set_json(&exchange->response, 200, body);
    response_add_header(&exchange->response, "Cache-Control", "no-store");
    exchange_answer(exchange);
}

static void append_gateways(struct buffer *body, const struct roll_call_result *result)
{
    buffer_printf(body, "\"gateways\":%zu,\"complete\":%s}", result->gateways,
                  result->answered >= result->gateways ? "true" : "false");
}

/* --- cutting --- */

static uint64_t number_of(const struct reply *value)
{
    uint64_t number = 0;
    for (size_t i = 0; value->kind == REPLY_TEXT && i < value->text_length && i < 18; i++)
        if (value->text[i] >= '0' && value->text[i] <= '9')
            number = number * 10 + (uint64_t)(value->text[i] - '0');
    return number;
}

static void answer_revoked(struct exchange *exchange, struct text subject,
                           const struct roll_call_result *result)
{
    struct buffer body = { 0 };
    uint64_t streams = 0;
    for (size_t i = 1; result->answers && i < result->answers->count; i += 2) {
        struct reply value = reply_element(result->answers, i);
        streams += number_of(&value);
    }
    permit_tell_act(exchange, "revoke", subject, streams);
    buffer_append_text(&body, "{\"subject\":");
    buffer_append_json_string(&body, subject.bytes, subject.length);
    buffer_append_text(&body, ",\"streams\":");
    buffer_append_unsigned(&body, streams);
    buffer_append_byte(&body, ',');
    append_gateways(&body, result);
    answer_json(exchange, &body);
}

/* --- listing --- */

struct count {
    const char *subject;
    json_int_t streams;
};

static int by_count(const void *one, const void *other)
{
    const struct count *a = one, *b = other;
    return a->streams != b->streams ? (a->streams < b->streams ? 1 : -1) : strcmp(a->subject, b->subject);
}

/* Adds what a worker says, {"streams": 7, "unnamed": 1, "subjects": {"ann": 6}}, to the sum of all. */
static void add_up(json_t *sum, json_t *part)
{
    const char *name;
    json_t *value;
    json_object_foreach(part, name, value)
    {
        json_int_t before = json_integer_value(json_object_get(sum, name));
        if (json_is_integer(value))
            json_object_set_new(sum, name, json_integer(before + json_integer_value(value)));
        else if (json_is_object(value) && json_is_object(json_object_get(sum, name)))
            add_up(json_object_get(sum, name), value);
    }
}

static void append_subjects(struct buffer *body, json_t *subjects)
{
    size_t count = 0, all = json_object_size(subjects);
    struct count *counts = calloc(all + 1, sizeof *counts);
    const char *name;
    json_t *value;
    body->failed |= !counts;
    if (counts)
        json_object_foreach(subjects, name, value) counts[count++] =
            (struct count){ name, json_integer_value(value) };
    if (counts)
        qsort(counts, count, sizeof *counts, by_count);
    buffer_append_byte(body, '[');
    for (size_t i = 0; i < count && i < SUBJECTS_MAX; i++) {
        buffer_append_text(body, i > 0 ? ",{\"subject\":" : "{\"subject\":");
        buffer_append_json_string(body, counts[i].subject, strlen(counts[i].subject));
        buffer_printf(body, ",\"streams\":%lld}", (long long)counts[i].streams);
    }
    buffer_printf(body, "],\"subject_count\":%zu,", all);
    free(counts);
}

static void answer_list(struct exchange *exchange, const struct roll_call_result *result)
{
    struct buffer body = { 0 };
    json_t *sum = json_pack("{s:i, s:i, s:{}}", "streams", 0, "unnamed", 0, "subjects");
    for (size_t i = 1; result->answers && i < result->answers->count; i += 2) {
        struct reply value = reply_element(result->answers, i);
        json_t *part = value.kind == REPLY_TEXT ? access_json_parse(value.text, value.text_length) : NULL;
        add_up(sum, part);
        json_decref(part);
    }
    buffer_printf(&body, "{\"streams\":%lld,\"unnamed\":%lld,\"subjects\":",
                  (long long)json_integer_value(json_object_get(sum, "streams")),
                  (long long)json_integer_value(json_object_get(sum, "unnamed")));
    append_subjects(&body, json_object_get(sum, "subjects"));
    append_gateways(&body, result);
    json_decref(sum);
    answer_json(exchange, &body);
}

/* --- both --- */

static void on_called(void *context, const struct roll_call_result *result)
{
    struct call *call = context;
    struct exchange *exchange = call->exchange;
    struct text subject = call->subject;
    free(call);
    if (!result->is_sent)
        exchange_answer_problem(exchange, 503, "Redis does not pass it on. Try again later.");
    else if (!result->is_answered && subject.bytes)
        exchange_answer_problem(exchange, 503,
                                "It is noted, but this gateway hears nothing from Redis and may not have "
                                "done it yet. Try again later.");
    else if (subject.bytes)
        answer_revoked(exchange, subject, result);
    else
        answer_list(exchange, result);
}

void endpoint_subscribers(struct exchange *exchange)
{
    const struct front_services *services = &exchange->front->services;
    struct text subject = { 0 };
    if (exchange->request.method == METHOD_DELETE) {
        subject = request_parameter(&exchange->request, "subject");
        if (subject.length == 0 || subject.length > GRANT_SUBJECT_MAX) {
            exchange_answer_problem(exchange, 400, "Say whose streams: ?subject=NAME, of 1 to %d bytes.",
                                    GRANT_SUBJECT_MAX);
            return;
        }
    }
    struct call *call = calloc(1, sizeof *call);
    if (call) {
        *call = (struct call){ .exchange = exchange, .subject = subject };
        call->roll_call = roll_call_start(services->base, services->commands, hub_epoch(services->hub),
                                          subject, on_called, call);
        if (call->roll_call) {
            exchange_wait(exchange, call, cancel_call);
            return;
        }
    }
    free(call);
    exchange_answer_problem(exchange, 503, "Memory is short. Try again later.");
}
