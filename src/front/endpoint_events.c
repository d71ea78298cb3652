/* GET /events/stream: any set of channels, patterns and Redis Streams in one stream. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "front/endpoint.h"
#include "front/front_state.h"
#include "front/reserved.h"
#include "front/stream_handoff.h"
#include "front/stream_start.h"

#define TOPIC_NAME_MAX 512
#define STREAMS_SINCE_MAX 60 /* that one script asks Redis for */

static bool topic_kind_of(struct text name, enum topic_kind *ret_kind)
{
    if (text_is(name, "channel"))
        *ret_kind = TOPIC_CHANNEL;
    else if (text_is(name, "pattern"))
        *ret_kind = TOPIC_PATTERN;
    else if (text_is(name, "stream"))
        *ret_kind = TOPIC_STREAM;
    else
        return false;
    return true;
}

/* Channels, patterns and streams of the query, each once. False with the problem answered. */
static bool collect_topics(struct exchange *exchange, struct topic_name *topics, size_t topics_max,
                           size_t *ret_count)
{
    const struct request *request = &exchange->request;
    size_t count = 0;
    for (size_t i = 0; i < request->parameter_count; i++) {
        struct text name = request->parameters[i].name;
        struct text value = request->parameters[i].value;
        enum topic_kind kind;
        if (!topic_kind_of(name, &kind))
            continue;
        if (value.length == 0 || value.length > TOPIC_NAME_MAX) {
            exchange_answer_problem(exchange, 400, "The name of a %.*s has between 1 and %d bytes.",
                                    (int)name.length, name.bytes, TOPIC_NAME_MAX);
            return false;
        }
        if (topic_is_reserved(value)) {
            exchange_answer_problem(exchange, 422,
                                    "Names that begin with sluice: or __redis__: are the gateway's own.");
            return false;
        }
        bool is_known = false;
        for (size_t known = 0; known < count && !is_known; known++)
            is_known = topics[known].kind == kind && topics[known].length == value.length &&
                       memcmp(topics[known].name, value.bytes, value.length) == 0;
        if (is_known)
            continue;
        if (count == topics_max) {
            exchange_answer_problem(exchange, 400,
                                    "One request listens to at most %zu channels, patterns and streams.",
                                    topics_max);
            return false;
        }
        topics[count++] = (struct topic_name){ .kind = kind, .name = value.bytes, .length = value.length };
    }
    if (count == 0)
        exchange_answer_problem(
            exchange, 400,
            "Say what to listen to: ?channel=NAME, ?pattern=GLOB or ?stream=NAME, as often as wanted.");
    *ret_count = count;
    return count > 0;
}

static bool choose_format(struct exchange *exchange, const struct topic_name *topics, size_t topic_count,
                          enum stream_format *ret_format)
{
    struct text format = request_parameter(&exchange->request, "format");
    if (!format.bytes)
        *ret_format = topic_count == 1 && topics[0].kind != TOPIC_PATTERN ? STREAM_RAW : STREAM_ENVELOPE;
    else if (text_is(format, "raw"))
        *ret_format = STREAM_RAW;
    else if (text_is(format, "envelope"))
        *ret_format = STREAM_ENVELOPE;
    else if (text_is(format, "named"))
        *ret_format = STREAM_NAMED;
    else {
        exchange_answer_problem(exchange, 400, "The format is one of raw, envelope and named.");
        return false;
    }
    return true;
}

/* --- where it begins --- */

/*
 * KEYS: streams. ARGV: how many entries. Answers for each the id of the oldest of its last entries; empty
 * where there is none, or no stream: then everything is wanted that comes.
 */
static const char last_entries_script[] =
    "local ids = {}\n"
    "for i, key in ipairs(KEYS) do\n"
    "  local part = redis.pcall('XREVRANGE', key, '+', '-', 'COUNT', ARGV[1])\n"
    "  ids[i] = not part.err and #part > 0 and part[#part][1] or ''\n"
    "end\n"
    "return ids\n";

/* A stream on its way that waits for where its streams' last entries begin. */
struct start {
    struct exchange *exchange; /* NULL: nobody waits any more */
    struct stream_request stream;
    struct topic_name topics[];
};

static void cancel_start(struct exchange *exchange)
{
    struct start *start = exchange->operation;
    start->exchange = NULL;
}

static void on_last_entries(void *context, enum commands_status status, const struct reply *reply)
{
    struct start *start = context;
    struct exchange *exchange = start->exchange;
    for (size_t i = 0, at = 0; exchange && status == COMMANDS_OK && i < start->stream.topic_count; i++) {
        struct topic_name *topic = &start->topics[i];
        if (topic->kind != TOPIC_STREAM)
            continue;
        struct reply id = reply_element(reply, at++);
        topic->placed = topic->proved = true;
        if (id.kind == REPLY_TEXT && entry_id_parse(id.text, id.text_length, &topic->position))
            topic->position = entry_id_before(topic->position);
    }
    if (exchange && status == COMMANDS_OK)
        stream_open(exchange, &start->stream);
    else if (exchange)
        stream_refuse(exchange, "redis does not answer");
    free(start);
}

static void open_at_last_entries(struct exchange *exchange, struct start *start, uint64_t entries)
{
    char count[24];
    snprintf(count, sizeof(count), "%" PRIu64, entries);
    const char *arguments[STREAMS_SINCE_MAX + 1];
    size_t lengths[STREAMS_SINCE_MAX + 1];
    int key_count = 0;
    for (size_t i = 0; i < start->stream.topic_count; i++) {
        if (start->topics[i].kind != TOPIC_STREAM)
            continue;
        if (key_count == STREAMS_SINCE_MAX) {
            exchange_answer_problem(exchange, 400, "since=<entries> takes at most %d streams.",
                                    STREAMS_SINCE_MAX);
            free(start);
            return;
        }
        arguments[key_count] = start->topics[i].name;
        lengths[key_count++] = start->topics[i].length;
    }
    arguments[key_count] = count;
    lengths[key_count] = strlen(count);
    const struct command command = { .count = key_count + 1, .arguments = arguments, .lengths = lengths };
    if (commands_run_script(exchange->front->services.commands, last_entries_script, key_count, &command,
                            on_last_entries, start)) {
        exchange_wait(exchange, start, cancel_start);
        return;
    }
    free(start);
    stream_refuse(exchange, "no-memory");
}

/* True when `since` has nothing for Redis to answer; the streams are placed then. */
static bool place_streams(struct start *start, const struct since *since)
{
    for (size_t i = 0; i < start->stream.topic_count; i++) {
        struct topic_name *topic = &start->topics[i];
        if (topic->kind != TOPIC_STREAM || since->kind != SINCE_BEHIND)
            continue;
        topic->placed = topic->proved = true;
        topic->position = since->position;
    }
    return since->kind != SINCE_ENTRIES;
}

static bool has_streams(const struct start *start)
{
    for (size_t i = 0; i < start->stream.topic_count; i++)
        if (start->topics[i].kind == TOPIC_STREAM)
            return true;
    return false;
}

/* Takes `start`. */
static void begin(struct exchange *exchange, struct start *start)
{
    struct text last_event_id = stream_last_event_id(&exchange->request);
    struct text since_text = request_parameter(&exchange->request, "since");
    struct since since = since_parse(since_text.bytes, since_text.length);
    if (since.kind == SINCE_INVALID) {
        exchange_answer_problem(
            exchange, 400,
            "since is 0, the id of an entry, a time such as 2026-01-31T12:00:00Z, or a number of "
            "entries up to %d.",
            SINCE_ENTRIES_MAX);
    } else if (since.kind != SINCE_NOW && !has_streams(start)) {
        exchange_answer_problem(exchange, 400,
                                "since goes with stream=NAME: channels and patterns keep nothing.");
    } else if (last_event_id.length > 0) {
        stream_start_behind(last_event_id, start->topics, &start->stream);
        stream_open(exchange, &start->stream);
    } else if (place_streams(start, &since)) {
        stream_open(exchange, &start->stream);
    } else {
        open_at_last_entries(exchange, start, since.entries);
        return;
    }
    free(start);
}

void endpoint_events(struct exchange *exchange)
{
    size_t topics_max = exchange->front->options.topics_per_stream_max;
    if (topics_max > REQUEST_PARAMETERS_MAX)
        topics_max = REQUEST_PARAMETERS_MAX;
    struct start *start = calloc(1, sizeof(*start) + (topics_max + 1) * sizeof(start->topics[0]));
    if (!start) {
        exchange_answer_problem(exchange, 503, "Memory is short. Try again later.");
        return;
    }
    start->exchange = exchange;
    start->stream.topics = start->topics;
    if (collect_topics(exchange, start->topics, topics_max, &start->stream.topic_count) &&
        choose_format(exchange, start->topics, start->stream.topic_count, &start->stream.format))
        begin(exchange, start);
    else
        free(start);
}
