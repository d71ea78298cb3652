/*
 * Where the snapshot cache reads: Redis, by one transaction that leaves a fence in the feed, and the origin
 * by HTTP.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "gateway/worker.h"
#include "wire/payload.h"

/* ---- Redis ---- */

#define LOAD_COMMANDS_MAX 4
#define LOAD_ARGUMENTS_MAX 6

struct snapshot_load {
    struct worker *worker;
    uint64_t token;
    uint64_t feed_generation; /* of the connection that the fence was sent to */
    size_t get_index;         /* place of GET's reply; the fence's is the next */
};

/* Commands under construction; arguments are borrowed until they are sent. */
struct transaction {
    size_t count;
    struct command commands[LOAD_COMMANDS_MAX];
    const char *arguments[LOAD_COMMANDS_MAX][LOAD_ARGUMENTS_MAX];
    size_t lengths[LOAD_COMMANDS_MAX][LOAD_ARGUMENTS_MAX];
};

static void begin_command(struct transaction *transaction, const char *name)
{
    size_t index = transaction->count++;
    transaction->arguments[index][0] = name;
    transaction->lengths[index][0] = strlen(name);
    transaction->commands[index] = (struct command){ .count = 1,
                                                     .arguments = transaction->arguments[index],
                                                     .lengths = transaction->lengths[index] };
}

static void add_argument(struct transaction *transaction, const char *bytes, size_t length)
{
    size_t index = transaction->count - 1;
    int position = transaction->commands[index].count++;
    transaction->arguments[index][position] = bytes;
    transaction->lengths[index][position] = length;
}

static void add_text(struct transaction *transaction, const char *text)
{
    add_argument(transaction, text, strlen(text));
}

static void on_loaded(void *context, enum commands_status status, const struct reply *reply)
{
    struct snapshot_load *load = context;
    struct worker *worker = load->worker;
    enum snapshot_status found = SNAPSHOT_UNAVAILABLE;
    struct reply value = { .kind = REPLY_NIL };
    bool is_tracked = false, is_fenced = false;
    if (status == COMMANDS_OK && reply->kind == REPLY_ARRAY) {
        struct reply fence = reply_element(reply, load->get_index + 1);
        bool same_feed = worker->feed_up && worker->feed_generation == load->feed_generation;
        value = reply_element(reply, load->get_index);
        found = value.kind == REPLY_TEXT ? SNAPSHOT_FOUND : SNAPSHOT_ABSENT;
        /* Commands are answered in order, so what says now that tracking is on was answered before this was
         * read. */
        is_tracked = same_feed && commands_tracking_is_on(worker->commands);
        is_fenced = same_feed && fence.kind == REPLY_INTEGER && fence.integer > 0;
    } else if (status == COMMANDS_ERROR) {
        log_event_limited(
            worker->log, &worker->gateway->load_limiter, LOG_LEVEL_WARN,
            "redis refused to read a snapshot; it needs GET, SET, PUBLISH, MULTI on batch:* and sluice:*",
            (const struct log_field[]){ LOG_BYTES("problem", reply->text, reply->text_length) }, 1);
    }
    snapshot_cache_loaded(worker->cache, load->token, found, value.text,
                          value.kind == REPLY_TEXT ? value.text_length : 0, is_tracked, is_fenced,
                          clock_now_ms());
    free(load);
}

static bool load_snapshot(void *context, const char *id, size_t id_length, uint64_t token, const char *value,
                          size_t value_length, uint64_t redis_ttl_ms, bool only_if_absent, bool notify)
{
    struct worker *worker = context;
    char ttl_text[24], token_text[24];
    struct buffer key = { 0 }, channel = { 0 };
    struct transaction transaction = { 0 };
    struct snapshot_load *load = worker->commands ? malloc(sizeof(*load)) : NULL;
    buffer_append_text(&key, SNAPSHOT_KEY_PREFIX);
    buffer_append(&key, id, id_length);
    buffer_append_text(&channel, BATCH_CHANNEL_PREFIX);
    buffer_append(&channel, id, id_length);
    snprintf(ttl_text, sizeof(ttl_text), "%" PRIu64, redis_ttl_ms);
    uint64_t port = dispatcher_port_number(worker->port);
    snprintf(token_text, sizeof(token_text), "%" PRIu64, port << FENCE_PORT_SHIFT | token);

    if (value) {
        begin_command(&transaction, "SET");
        add_argument(&transaction, key.data, key.size);
        add_argument(&transaction, value, value_length);
        add_text(&transaction, "PX");
        add_text(&transaction, ttl_text);
        if (only_if_absent)
            add_text(&transaction, "NX");
    }
    if (value && notify) {
        begin_command(&transaction, "PUBLISH");
        add_argument(&transaction, channel.data, channel.size);
        add_argument(&transaction, value, value_length);
    }
    begin_command(&transaction, "GET");
    add_argument(&transaction, key.data, key.size);
    begin_command(&transaction, "PUBLISH");
    add_text(&transaction, worker->gateway->feed ? feed_fence_channel(worker->gateway->feed) : "");
    add_text(&transaction, token_text);

    bool is_sent = load && !key.failed && !channel.failed;
    if (is_sent) {
        *load = (struct snapshot_load){ .worker = worker,
                                        .token = token,
                                        .feed_generation = worker->feed_generation,
                                        .get_index = transaction.count - 2 };
        is_sent = commands_send(worker->commands, transaction.commands, transaction.count, on_loaded, load);
    }
    if (!is_sent)
        free(load);
    buffer_free(&key);
    buffer_free(&channel);
    return is_sent;
}

/* ---- origin ---- */

struct origin_fetch {
    struct worker *worker;
    uint64_t token;
};

static void on_origin_answer(void *context, long http_status, const char *body, size_t body_length,
                             const char *problem)
{
    struct origin_fetch *fetch = context;
    struct worker *worker = fetch->worker;
    enum snapshot_status status = SNAPSHOT_UNAVAILABLE;
    if (http_status == 200 && payload_is_json(body, body_length))
        status = SNAPSHOT_FOUND;
    else if (http_status == 404 || http_status == 410 || http_status == 204)
        status = SNAPSHOT_ABSENT;
    else
        log_event_limited(worker->log, &worker->gateway->origin_limiter, LOG_LEVEL_WARN,
                          "the origin did not give a snapshot",
                          (const struct log_field[]){
                              LOG_NUMBER("status", http_status),
                              LOG_TEXT("problem", http_status == 200 ? "the body is not JSON" : problem),
                          },
                          2);
    snapshot_cache_origin(worker->cache, fetch->token, status, status == SNAPSHOT_FOUND ? body : NULL,
                          status == SNAPSHOT_FOUND ? body_length : 0, clock_now_ms());
    free(fetch);
}

static bool fetch_origin(void *context, const char *id, size_t id_length, uint64_t token)
{
    static const char *const headers[] = { "Accept: application/json" };
    struct worker *worker = context;
    if (!worker->origin)
        return false;
    struct origin_fetch *fetch = malloc(sizeof(*fetch));
    char *url = http_client_expand(worker->settings->origin_url, "id", id, id_length);
    bool is_sent = false;
    if (fetch && url) {
        *fetch = (struct origin_fetch){ .worker = worker, .token = token };
        is_sent = http_client_get(worker->origin, url, headers, 1, on_origin_answer, fetch);
    }
    if (!is_sent)
        free(fetch);
    free(url);
    return is_sent;
}

struct snapshot_source worker_snapshot_source(struct worker *worker)
{
    return (struct snapshot_source){ .load = load_snapshot, .fetch_origin = fetch_origin, .context = worker };
}
