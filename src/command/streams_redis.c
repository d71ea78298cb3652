#include "command/streams_redis.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_BYTES_MAX (64u << 20)
#define READ_BYTES_PER_TURN (1u << 20)
#define PENDING_MAX 16
#define WORDS_MAX 4096 /* of one command */

struct streams_redis {
    struct event_base *base;
    struct evdns_base *dns;
    struct log *log;
    struct metrics *metrics;
    struct redis_url url;
    struct commands *commands;
    /* the call under way */
    bool is_answered, is_failed, takes_errors;
    streams_redis_take *take;
    void *context;
    struct stream_report *report;
    enum stream_report_status report_status;
    char *report_problem;
};

/* ---- waiting ---- */

static void on_up(void *context)
{
    struct streams_redis *redis = context;
    event_base_loopbreak(redis->base);
}

static void on_down(void *context, const char *reason)
{
    (void)context;
    (void)reason; /* the call under way fails, and the log has said why */
}

static bool wait_until_up(struct streams_redis *redis, uint64_t timeout_ms)
{
    struct timeval timeout = { .tv_sec = (time_t)(timeout_ms / 1000),
                               .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000 };
    commands_start(redis->commands);
    event_base_loopexit(redis->base, &timeout);
    event_base_dispatch(redis->base);
    return commands_is_up(redis->commands);
}

/* ---- opening ---- */

static bool create_parts(struct streams_redis *redis, const struct settings *settings)
{
    const struct commands_options options = {
        .link = { .url = &redis->url,
                  .name = "streams",
                  .tls_ca_file = *settings->redis_tls_ca_file ? settings->redis_tls_ca_file : NULL,
                  .tls_verify = settings->redis_tls_verify,
                  .reply_bytes_max = settings->redis_reply_bytes_max,
                  .output_bytes_max = OUTPUT_BYTES_MAX,
                  .read_bytes_per_turn = READ_BYTES_PER_TURN },
        .pending_max = PENDING_MAX,
        .timeout_ms = settings->redis_timeout_ms,
    };
    const struct commands_events events = { .on_up = on_up, .on_down = on_down, .context = redis };
    redis->base = event_base_new();
    redis->log = log_create(STDERR_FILENO, LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    redis->metrics = metrics_create();
    if (!redis->base || !redis->log || !redis->metrics)
        return false;
    redis->dns =
        evdns_base_new(redis->base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!redis->dns) { /* a container without resolv.conf */
        redis->dns = evdns_base_new(redis->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
        if (redis->dns)
            evdns_base_load_hosts(redis->dns, "/etc/hosts");
    }
    if (redis->dns)
        redis->commands =
            commands_create(redis->base, redis->dns, &options, &events, redis->metrics, redis->log);
    return redis->commands != NULL;
}

struct streams_redis *streams_redis_open(const struct settings *settings)
{
    const char *problem = NULL;
    struct streams_redis *redis = calloc(1, sizeof(*redis));
    if (!redis || !redis_url_parse(settings->redis_url, &redis->url, &problem) ||
        !create_parts(redis, settings)) {
        fprintf(stderr, "sluice: %s\n", problem ? problem : "out of memory");
        streams_redis_close(redis);
        return NULL;
    }
    if (!wait_until_up(redis, settings->redis_timeout_ms)) {
        fprintf(stderr,
                "sluice: no connection to Redis within %u ms; redis_url (--redis-url, REDIS_URL) says where "
                "it is\n",
                (unsigned)settings->redis_timeout_ms);
        streams_redis_close(redis);
        return NULL;
    }
    return redis;
}

void streams_redis_close(struct streams_redis *redis)
{
    if (!redis)
        return;
    commands_destroy(redis->commands);
    if (redis->dns)
        evdns_base_free(redis->dns, 0);
    if (redis->base)
        event_base_free(redis->base);
    redis_url_clear(&redis->url);
    metrics_destroy(redis->metrics);
    log_destroy(redis->log);
    free(redis);
}

/* ---- calls ---- */

static void say_error(const struct reply *reply)
{
    const char *remedy = reply_error_remedy(reply);
    fprintf(stderr, "sluice: Redis refused: %.*s%s%s\n", (int)reply->text_length, reply->text,
            remedy ? "; " : "", remedy ? remedy : "");
}

static void on_answer(void *context, enum commands_status status, const struct reply *reply)
{
    struct streams_redis *redis = context;
    redis->is_answered = true;
    if (status == COMMANDS_OK || (status == COMMANDS_ERROR && redis->takes_errors)) {
        if (redis->take)
            redis->take(redis->context, reply);
    } else {
        redis->is_failed = true;
        if (status == COMMANDS_ERROR)
            say_error(reply);
        else
            fprintf(stderr, "sluice: Redis did not answer%s\n",
                    status == COMMANDS_UNCERTAIN ? "; it may have done what was asked" : "");
    }
    event_base_loopbreak(redis->base);
}

static void begin(struct streams_redis *redis, streams_redis_take *take, void *context, bool takes_errors)
{
    redis->is_answered = false;
    redis->is_failed = false;
    redis->takes_errors = takes_errors;
    redis->take = take;
    redis->context = context;
}

static bool finish(struct streams_redis *redis, bool is_sent)
{
    if (!is_sent) {
        fputs("sluice: out of memory\n", stderr);
        return false;
    }
    while (!redis->is_answered)
        if (event_base_loop(redis->base, EVLOOP_ONCE) != 0)
            return false;
    return !redis->is_failed;
}

static size_t count_words(const char *const *words)
{
    size_t count = 0;
    while (words[count])
        count++;
    return count;
}

/* The words' lengths; freed by the caller. */
static size_t *measure(const char *const *words, size_t count)
{
    size_t *lengths = calloc(count ? count : 1, sizeof(*lengths));
    for (size_t i = 0; lengths && i < count; i++)
        lengths[i] = strlen(words[i]);
    return lengths;
}

static bool make_command(const char *const *words, struct command *ret_command, size_t **ret_lengths)
{
    size_t count = count_words(words);
    *ret_lengths = measure(words, count);
    *ret_command = (struct command){ .count = (int)count, .arguments = words, .lengths = *ret_lengths };
    return *ret_lengths != NULL && count <= WORDS_MAX;
}

bool streams_redis_call(struct streams_redis *redis, const char *const *const *commands, size_t command_count,
                        streams_redis_take *take, void *context)
{
    struct command *list = calloc(command_count, sizeof(*list));
    size_t **lengths = calloc(command_count, sizeof(*lengths));
    bool is_sent = list && lengths;
    for (size_t i = 0; is_sent && i < command_count; i++)
        is_sent = make_command(commands[i], &list[i], &lengths[i]);
    begin(redis, take, context, false);
    is_sent = is_sent && commands_send(redis->commands, list, command_count, on_answer, redis);
    for (size_t i = 0; lengths && i < command_count; i++)
        free(lengths[i]);
    free(lengths);
    free(list);
    return finish(redis, is_sent);
}

bool streams_redis_try(struct streams_redis *redis, const char *const *words, streams_redis_take *take,
                       void *context)
{
    struct command command;
    size_t *lengths;
    begin(redis, take, context, true);
    bool is_sent = make_command(words, &command, &lengths) &&
                   commands_send(redis->commands, &command, 1, on_answer, redis);
    free(lengths);
    return finish(redis, is_sent);
}

bool streams_redis_run_script(struct streams_redis *redis, const char *script, int key_count,
                              const char *const *keys_and_arguments, streams_redis_take *take, void *context)
{
    struct command command;
    size_t *lengths;
    begin(redis, take, context, false);
    bool is_sent = make_command(keys_and_arguments, &command, &lengths) &&
                   commands_run_script(redis->commands, script, key_count, &command, on_answer, redis);
    free(lengths);
    return finish(redis, is_sent);
}

/* ---- reports ---- */

static void on_report(void *context, enum stream_report_status status, struct stream_report *report,
                      const char *problem)
{
    struct streams_redis *redis = context;
    redis->is_answered = true;
    redis->report = report;
    redis->report_status = status;
    redis->report_problem = problem ? strdup(problem) : NULL;
    event_base_loopbreak(redis->base);
}

struct stream_report *streams_redis_report(struct streams_redis *redis, const char *name,
                                           enum stream_report_status *ret_status, char **ret_problem)
{
    begin(redis, NULL, NULL, false);
    redis->report = NULL;
    redis->report_status = STREAM_REPORT_UNAVAILABLE;
    redis->report_problem = NULL;
    finish(redis, stream_report_read(redis->commands, name, strlen(name), on_report, redis));
    *ret_status = redis->report_status;
    *ret_problem = redis->report_problem;
    return redis->report;
}
