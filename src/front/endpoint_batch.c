/* GET, PUT and DELETE /batches/<id>: the snapshot of a batch. */
#include <inttypes.h>
#include <stdlib.h>

#include "front/batch_name.h"
#include "front/endpoint.h"
#include "front/etag.h"
#include "front/front_state.h"
#include "front/json_text.h"
#include "front/limits.h"

/* Redis did not answer or refused, or it had nothing and the origin did not answer: the log says which. */
static void answer_unavailable(struct exchange *exchange)
{
    exchange_answer_problem(exchange, 503,
                            "The snapshots cannot be reached for the moment. Try again later.");
}

static const struct batch_store *batches_of(const struct exchange *exchange)
{
    return &exchange->front->services.batches;
}

static void cancel_read(struct exchange *exchange)
{
    const struct batch_store *batches = batches_of(exchange);
    batches->cancel(batches->context, exchange->route.name.bytes, exchange->route.name.length, exchange);
}

/* --- GET
 * ---------------------------------------------------------------------------------------------------------
 */

static void answer_found(struct exchange *exchange, const struct snapshot *snapshot)
{
    struct response *response = &exchange->response;
    char etag[ETAG_LENGTH_MAX];
    etag_format(snapshot->etag, etag);
    response_add_header(response, "ETag", "%s", etag);
    response_add_header(response, "Cache-Control", "no-cache");
    response_add_header(response, "X-Cache", "%s", snapshot->hit ? "HIT" : "MISS");
    response_add_header(response, "Age", "%" PRIu64, snapshot->age_ms / 1000);
    struct buffer body = { 0 };
    buffer_append(&body, snapshot->bytes, snapshot->length);
    /* 304 keeps the body for its length; the library does not send it. */
    bool is_known = etag_matches(exchange->request.headers[HEADER_IF_NONE_MATCH], etag);
    response_set_json(response, is_known ? 304 : 200, &body);
    exchange_answer(exchange);
}

static void on_read(void *context, enum snapshot_status status, const struct snapshot *snapshot)
{
    struct exchange *exchange = context;
    switch (status) {
    case SNAPSHOT_FOUND:
        answer_found(exchange, snapshot);
        break;
    case SNAPSHOT_ABSENT:
        exchange_answer_problem(exchange, 404, "There is no snapshot of this batch.");
        break;
    case SNAPSHOT_UNAVAILABLE:
        answer_unavailable(exchange);
        break;
    }
}

static void read_batch(struct exchange *exchange, struct text id)
{
    const struct batch_store *batches = batches_of(exchange);
    /* The answer may come inside the call; exchange_wait() does nothing then. */
    if (batches->read(batches->context, id.bytes, id.length, on_read, exchange))
        exchange_wait(exchange, NULL, cancel_read);
    else
        exchange_answer_problem(exchange, 503, "Memory is short. Try again later.");
}

/* --- PUT
 * ---------------------------------------------------------------------------------------------------------
 */

static void on_stored(void *context, enum snapshot_status status, const struct snapshot *snapshot)
{
    struct exchange *exchange = context;
    if (status != SNAPSHOT_FOUND) {
        answer_unavailable(exchange);
        return;
    }
    exchange->front->services.metrics->events_published++;
    char etag[ETAG_LENGTH_MAX];
    etag_format(snapshot->etag, etag);
    response_add_header(&exchange->response, "ETag", "%s", etag);

    struct buffer body = { 0 };
    buffer_append_text(&body, "{\"batchId\":");
    buffer_append_json_string(&body, exchange->route.name.bytes, exchange->route.name.length);
    buffer_append_text(&body, ",\"stored\":true}");
    response_set_json(&exchange->response, 200, &body);
    exchange_answer(exchange);
}

static void store_batch(struct exchange *exchange, struct text id)
{
    struct text body = text_of(exchange->body.data, exchange->body.size);
    struct problem problem;
    if (!json_text_check(body, &problem)) {
        exchange_answer_problem(exchange, problem.status, "%s", problem.detail);
        return;
    }
    const struct batch_store *batches = batches_of(exchange);
    struct buffer value = { 0 };
    json_text_append_compact(&value, body);
    if (!value.failed && json_text_kind(text_of(value.data, value.size)) != JSON_KIND_OBJECT)
        exchange_answer_problem(exchange, 422, "A snapshot is a JSON object.");
    else if (!value.failed && !limits_take_publish(exchange, 1))
        ; /* answered */
    else if (!value.failed && batches->store(batches->context, id.bytes, id.length, value.data, value.size,
                                             on_stored, exchange))
        exchange_wait(exchange, NULL, cancel_read);
    else
        exchange_answer_problem(exchange, 503, "Memory is short. Try again later.");
    buffer_free(&value);
}

/* --- DELETE
 * ------------------------------------------------------------------------------------------------------ */

/* A command cannot be called off, so its answer comes to this, which outlives the exchange if need be. */
struct deletion {
    struct exchange *exchange; /* NULL: nobody waits any more */
};

static void cancel_deletion(struct exchange *exchange)
{
    struct deletion *deletion = exchange->operation;
    deletion->exchange = NULL;
}

static void on_deleted(void *context, enum commands_status status, const struct reply *reply)
{
    (void)reply;
    struct deletion *deletion = context;
    struct exchange *exchange = deletion->exchange;
    free(deletion);
    if (!exchange)
        return;
    if (status != COMMANDS_OK) {
        answer_unavailable(exchange);
        return;
    }
    /* A read that came while Redis was deleting may have put the old snapshot back. */
    const struct batch_store *batches = batches_of(exchange);
    batches->drop(batches->context, exchange->route.name.bytes, exchange->route.name.length);
    exchange->response.status = 204;
    exchange_answer(exchange);
}

static bool send_deletion(struct exchange *exchange, struct text id, struct deletion *deletion)
{
    struct buffer key = { 0 };
    buffer_append_text(&key, BATCH_KEY);
    buffer_append(&key, id.bytes, id.length);
    const char *arguments[] = { "DEL", key.data };
    const size_t lengths[] = { strlen("DEL"), key.size };
    const struct command command = { .count = 2, .arguments = arguments, .lengths = lengths };
    bool sent =
        !key.failed && commands_send(exchange->front->services.commands, &command, 1, on_deleted, deletion);
    buffer_free(&key);
    return sent;
}

static void delete_batch(struct exchange *exchange, struct text id)
{
    struct deletion *deletion = malloc(sizeof(*deletion));
    if (deletion)
        deletion->exchange = exchange;
    const struct batch_store *batches = batches_of(exchange);
    batches->drop(batches->context, id.bytes, id.length);
    if (deletion && send_deletion(exchange, id, deletion)) {
        exchange_wait(exchange, deletion, cancel_deletion);
        return;
    }
    free(deletion);
    exchange_answer_problem(exchange, 503, "Memory is short. Try again later.");
}

void endpoint_batch(struct exchange *exchange)
{
    struct text id = exchange->route.name;
    if (!batch_name_check(exchange, id))
        return;
    if (exchange->request.method == METHOD_PUT)
        store_batch(exchange, id);
    else if (exchange->request.method == METHOD_DELETE)
        delete_batch(exchange, id);
    else
        read_batch(exchange, id);
}
