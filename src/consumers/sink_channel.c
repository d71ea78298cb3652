#include "consumers/sink_channel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/random.h"
#include "consumers/sink_headers.h"
#include "consumers/sink_outlet.h"
#include "wire/payload.h"

#define LEASE_KEY_PREFIX "sluice:sink:"
#define HOLDER_SIZE 24

/* KEYS: lease. ARGV: holder, milliseconds; 0 gives it up. Answers 1 when the holder has it. */
static const char lease_script[] = "local holder = redis.call('GET', KEYS[1])\n"
                                   "if holder and holder ~= ARGV[1] then return 0 end\n"
                                   "if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) return 0 end\n"
                                   "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
                                   "return 1\n";

struct sink_channel {
    const struct sink_options *options;
    struct commands *commands; /* NULL once stopped */
    struct sink_figures *figures;
    struct log *log;
    struct log_limiter limiter;
    struct outlet *outlet;
    struct event *renewal;
    struct buffer body;      /* of a message that is no JSON */
    uint64_t lease_end_ms;   /* 0: another gateway has it, or nobody */
    uint64_t lease_asked_ms; /* when the request under way was made; 0: none is */
    bool draining;
    char holder[HOLDER_SIZE];
    char key[sizeof(LEASE_KEY_PREFIX) + SINK_NAME_MAX];
};

/* ---- the lease ---- */

static void on_lease(void *context, enum commands_status status, const struct reply *reply)
{
    struct sink_channel *sink = context;
    uint64_t asked_ms = sink->lease_asked_ms;
    sink->lease_asked_ms = 0;
    if (status == COMMANDS_OK && reply->kind == REPLY_INTEGER)
        sink->lease_end_ms = reply->integer == 1 ? asked_ms + SINK_LEASE_MS : 0;
    else if (status == COMMANDS_ERROR)
        log_event_limited(sink->log, &sink->limiter, LOG_LEVEL_WARN,
                          "redis refused the lease of a sink; it needs GET, SET, DEL on sluice:sink:*",
                          (const struct log_field[]){ LOG_TEXT("sink", sink->options->name),
                                                      LOG_BYTES("problem", reply->text, reply->text_length) },
                          2);
}

static void ask_lease(struct sink_channel *sink, uint64_t duration_ms)
{
    char duration[24];
    snprintf(duration, sizeof(duration), "%" PRIu64, duration_ms);
    const char *arguments[] = { sink->key, sink->holder, duration };
    const size_t lengths[] = { strlen(sink->key), strlen(sink->holder), strlen(duration) };
    const struct command command = { .count = 3, .arguments = arguments, .lengths = lengths };
    sink->lease_asked_ms = clock_now_ms();
    if (!commands_run_script(sink->commands, lease_script, 1, &command, on_lease, sink))
        sink->lease_asked_ms = 0;
}

static void on_renewal(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct sink_channel *sink = context;
    if (!sink->draining && sink->lease_asked_ms == 0 && commands_is_up(sink->commands))
        ask_lease(sink, SINK_LEASE_MS);
}

/* ---- messages ---- */

static void on_posted(void *context, enum outlet_end end, const char *reason)
{
    (void)reason; /* the outlet has logged it */
    struct sink_channel *sink = context;
    sink->figures->held--;
    if (end == OUTLET_DELIVERED)
        sink->figures->delivered++;
    else
        sink->figures->dropped++;
}

/* What is no JSON becomes a JSON string. */
static bool make_body(struct sink_channel *sink, const char *payload, size_t length,
                      struct outlet_message *message)
{
    if (payload_is_json(payload, length)) {
        message->body = payload;
        message->body_length = length;
        return true;
    }
    buffer_reset(&sink->body);
    buffer_append_json_string(&sink->body, payload, length);
    message->body = sink->body.data;
    message->body_length = sink->body.size;
    return !sink->body.failed;
}

void sink_channel_message(struct sink_channel *sink, const char *payload, size_t length)
{
    if (sink->draining || clock_now_ms() >= sink->lease_end_ms)
        return;
    char id[SINK_NAME_MAX + 24];
    snprintf(id, sizeof(id), "%s-%016" PRIx64, sink->options->name, random_u64());
    const char *event = sink_event_of_topic(sink->options->topic);
    struct outlet_message message = { .id = id, .event = event, .event_length = event ? strlen(event) : 0 };
    if (outlet_count(sink->outlet) >= sink->options->queue_max ||
        !make_body(sink, payload, length, &message) ||
        !outlet_post(sink->outlet, &message, on_posted, sink)) {
        sink->figures->dropped++;
        log_event_limited(sink->log, &sink->limiter, LOG_LEVEL_WARN,
                          "a sink's queue is full; messages are dropped",
                          (const struct log_field[]){ LOG_TEXT("sink", sink->options->name),
                                                      LOG_NUMBER("queue", sink->options->queue_max) },
                          2);
        return;
    }
    sink->figures->held++;
}

/* ---- life ---- */

struct sink_channel *sink_channel_create(struct event_base *base, const struct sink_options *options,
                                         struct commands *commands, struct sink_figures *figures,
                                         struct log *log)
{
    struct sink_channel *sink = calloc(1, sizeof(*sink));
    if (!sink)
        return NULL;
    const struct timeval interval = { .tv_sec = SINK_LEASE_RENEW_MS / 1000,
                                      .tv_usec = SINK_LEASE_RENEW_MS % 1000 * 1000 };
    sink->options = options;
    sink->commands = commands;
    sink->figures = figures;
    sink->log = log;
    snprintf(sink->holder, sizeof(sink->holder), "%016" PRIx64, random_u64());
    snprintf(sink->key, sizeof(sink->key), "%s%s", LEASE_KEY_PREFIX, options->name);
    sink->outlet = outlet_create(base, options, figures, log);
    sink->renewal = event_new(base, -1, EV_PERSIST, on_renewal, sink);
    if (sink->outlet && sink->renewal && event_add(sink->renewal, &interval) == 0)
        return sink;
    sink_channel_stop(sink);
    sink_channel_destroy(sink);
    return NULL;
}

void sink_channel_redis_up(struct sink_channel *sink)
{
    on_renewal(-1, 0, sink);
}

void sink_channel_drain(struct sink_channel *sink)
{
    sink->draining = true;
    if (sink->lease_end_ms > 0 && sink->lease_asked_ms == 0)
        ask_lease(sink, 0);
    outlet_drain(sink->outlet);
}

size_t sink_channel_held(const struct sink_channel *sink)
{
    return outlet_count(sink->outlet);
}

void sink_channel_stop(struct sink_channel *sink)
{
    outlet_destroy(sink->outlet);
    sink->outlet = NULL;
    if (sink->renewal)
        event_free(sink->renewal);
    sink->renewal = NULL;
    sink->commands = NULL;
}

void sink_channel_destroy(struct sink_channel *sink)
{
    if (!sink)
        return;
    buffer_free(&sink->body);
    free(sink);
}
