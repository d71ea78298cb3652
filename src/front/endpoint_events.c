/* GET /events/stream: any set of channels and patterns in one stream. */
#include <stdlib.h>

#include "front/endpoint.h"
#include "front/front_state.h"
#include "front/stream_handoff.h"

#define TOPIC_NAME_MAX 512

/* Channels and patterns of the query, each once. False with the problem answered. */
static bool collect_topics(struct exchange *exchange, struct topic_name *topics, size_t topics_max,
                           size_t *ret_count)
{
    const struct request *request = &exchange->request;
    size_t count = 0;
    for (size_t i = 0; i < request->parameter_count; i++) {
        struct text name = request->parameters[i].name;
        struct text value = request->parameters[i].value;
        enum topic_kind kind = text_is(name, "pattern") ? TOPIC_PATTERN : TOPIC_CHANNEL;
        if (text_is(name, "stream")) {
            exchange_answer_problem(exchange, 501,
                                    "Redis Streams cannot be read by this release; use channel or pattern.");
            return false;
        }
        if (kind == TOPIC_CHANNEL && !text_is(name, "channel"))
            continue;
        if (value.length == 0 || value.length > TOPIC_NAME_MAX) {
            exchange_answer_problem(exchange, 400, "The name of a %.*s has between 1 and %d bytes.",
                                    (int)name.length, name.bytes, TOPIC_NAME_MAX);
            return false;
        }
        bool is_known = false;
        for (size_t known = 0; known < count && !is_known; known++)
            is_known = topics[known].kind == kind && topics[known].length == value.length &&
                       memcmp(topics[known].name, value.bytes, value.length) == 0;
        if (is_known)
            continue;
        if (count == topics_max) {
            exchange_answer_problem(exchange, 400, "A stream has at most %zu channels and patterns.",
                                    topics_max);
            return false;
        }
        topics[count++] = (struct topic_name){ .kind = kind, .name = value.bytes, .length = value.length };
    }
    if (count == 0)
        exchange_answer_problem(exchange, 400,
                                "Say what to listen to: ?channel=NAME or ?pattern=GLOB, as often as wanted.");
    *ret_count = count;
    return count > 0;
}

static bool choose_format(struct exchange *exchange, const struct topic_name *topics, size_t topic_count,
                          enum stream_format *ret_format)
{
    struct text format = request_parameter(&exchange->request, "format");
    if (!format.bytes)
        *ret_format = topic_count == 1 && topics[0].kind == TOPIC_CHANNEL ? STREAM_RAW : STREAM_ENVELOPE;
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

void endpoint_events(struct exchange *exchange)
{
    size_t topics_max = exchange->front->options.topics_per_stream_max;
    if (topics_max > REQUEST_PARAMETERS_MAX)
        topics_max = REQUEST_PARAMETERS_MAX;
    struct topic_name *topics = calloc(topics_max + 1, sizeof(*topics));
    if (!topics) {
        exchange_answer_problem(exchange, 503, "Memory is short. Try again later.");
        return;
    }
    struct stream_request stream = { .topics = topics };
    if (collect_topics(exchange, topics, topics_max, &stream.topic_count) &&
        choose_format(exchange, topics, stream.topic_count, &stream.format)) {
        stream_read_cursor(&exchange->request, &stream);
        stream_open(exchange, &stream);
    }
    free(topics);
}
