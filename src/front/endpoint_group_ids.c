/*
 * POST /streams/<stream>/groups/<group>/ack and …/nack. 200 when all ids were pending, 207 when some were,
 * 409 when none was; each time with what became of which: {"acked":[…],"notPending":[…]}.
 */
#include <stdlib.h>

#include "consumers/group.h"
#include "front/endpoint.h"
#include "front/front_state.h"
#include "front/group_ids_body.h"
#include "front/group_names.h"

/* Redis cannot be called back, so its answer comes to this, which outlives the exchange if need be. */
struct ids_job {
    struct exchange *exchange; /* NULL: nobody waits any more */
    bool is_nack;
    struct group_ids_body body;
};

static void job_free(struct ids_job *job)
{
    group_ids_body_clear(&job->body);
    free(job);
}

static void cancel(struct exchange *exchange)
{
    struct ids_job *job = exchange->operation;
    job->exchange = NULL;
}

/* --- the answer ---------------------------------------------------------------------------------------- */

static void append_ids(struct buffer *out, const struct ids_job *job, const bool *done, bool wanted)
{
    char before = '[';
    for (size_t i = 0; i < job->body.count; i++) {
        char id[ENTRY_ID_LENGTH_MAX];
        if (done[i] != wanted)
            continue;
        entry_id_format(job->body.ids[i], id);
        buffer_printf(out, "%c\"%s\"", before, id);
        before = ',';
    }
    buffer_append_text(out, before == '[' ? "[]" : "]");
}

/* "acked":[…],"notPending":[…]} */
static void append_outcome(struct buffer *out, const struct ids_job *job, const bool *done)
{
    buffer_append_text(out, job->is_nack ? "\"nacked\":" : "\"acked\":");
    append_ids(out, job, done, true);
    buffer_append_text(out, ",\"notPending\":");
    append_ids(out, job, done, false);
    buffer_append_byte(out, '}');
}

static void answer_none(struct exchange *exchange, const struct ids_job *job, const bool *done)
{
    struct problem problem;
    problem_set(&problem, 409,
                "None of these entries is pending %s: acknowledged before, taken over by "
                "another consumer, or never delivered.",
                job->body.consumer.size ? "for this consumer" : "in this group");
    response_set_problem(&exchange->response, &problem);
    struct buffer *body = &exchange->response.body;
    if (body->size > 0) {
        body->size--; /* the closing brace */
        buffer_append_byte(body, ',');
        append_outcome(body, job, done);
    }
    exchange_answer(exchange);
}

static void answer_done(struct exchange *exchange, const struct ids_job *job, const bool *done)
{
    size_t count = 0;
    for (size_t i = 0; i < job->body.count; i++)
        count += done[i];
    if (count == 0) {
        answer_none(exchange, job, done);
        return;
    }
    struct buffer out = { 0 };
    buffer_append_byte(&out, '{');
    append_outcome(&out, job, done);
    response_set_json(&exchange->response, count == job->body.count ? 200 : 207, &out);
    exchange_answer(exchange);
}

static void on_done(void *context, enum group_ids_status status, const bool *done, size_t count,
                    const char *problem)
{
    (void)count;
    struct ids_job *job = context;
    struct exchange *exchange = job->exchange;
    if (exchange) {
        switch (status) {
        case GROUP_IDS_DONE:
            answer_done(exchange, job, done);
            break;
        case GROUP_IDS_NO_GROUP:
            exchange_answer_problem(exchange, 404, "There is no such stream, or it has no such group.");
            break;
        case GROUP_IDS_WRONG_TYPE:
            group_answer_wrong_type(exchange);
            break;
        case GROUP_IDS_UNAVAILABLE:
            exchange_answer_problem(exchange, 503,
                                    "Redis does not answer. Try again later: nothing is done twice.");
            break;
        case GROUP_IDS_REFUSED:
            group_answer_refused(exchange, problem);
            break;
        }
    }
    job_free(job);
}

/* --- the request --------------------------------------------------------------------------------------- */

static bool check_type(struct exchange *exchange)
{
    struct text rest = exchange->request.headers[HEADER_CONTENT_TYPE];
    struct text type = { 0 };
    text_split(&rest, ';', &type);
    if (text_is_caseless(text_trim(type), "application/json"))
        return true;
    exchange_answer_problem(exchange, 415, "Send Content-Type: application/json.");
    return false;
}

static bool send_ids(struct exchange *exchange, struct ids_job *job)
{
    const struct route *route = &exchange->route;
    struct groups *groups = exchange->front->services.groups;
    const struct group_ids ids = {
        .stream = route->name.bytes,
        .stream_length = route->name.length,
        .group = route->group.bytes,
        .group_length = route->group.length,
        .consumer = job->body.consumer.size ? job->body.consumer.data : NULL,
        .consumer_length = job->body.consumer.size,
        .ids = job->body.ids,
        .count = job->body.count,
    };
    return job->is_nack ? groups_nack(groups, &ids, on_done, job) : groups_ack(groups, &ids, on_done, job);
}

static void start(struct exchange *exchange, bool is_nack)
{
    if (!group_names_check(exchange) || !check_type(exchange))
        return;
    struct problem problem;
    struct ids_job *job = calloc(1, sizeof(*job));
    if (!job) {
        exchange_answer_problem(exchange, 503, "Memory is short. Try again later.");
        return;
    }
    job->exchange = exchange;
    job->is_nack = is_nack;
    if (!group_ids_body_parse(text_of(exchange->body.data, exchange->body.size), &job->body, &problem)) {
        free(job);
        response_set_problem(&exchange->response, &problem);
        exchange_answer(exchange);
        return;
    }
    if (send_ids(exchange, job)) {
        exchange_wait(exchange, job, cancel);
        return;
    }
    job_free(job);
    exchange_answer_problem(exchange, 503, "Memory is short. Try again later.");
}

void endpoint_group_ack(struct exchange *exchange)
{
    start(exchange, false);
}

void endpoint_group_nack(struct exchange *exchange)
{
    start(exchange, true);
}
