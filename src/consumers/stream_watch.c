#include "consumers/stream_watch.h"

#include <stdlib.h>
#include <string.h>

#include "consumers/stream_watch_state.h"

#define RETRY_INTERVAL_MS 1000 /* while Redis does not answer */

/* ---- rounds ---- */

static void begin_round(struct stream_watch *watch);

static void arm_timer(struct stream_watch *watch, uint64_t ms)
{
    struct timeval wait = { .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000) * 1000 };
    event_add(watch->timer, &wait);
}

static void end_round(struct stream_watch *watch)
{
    struct list *node;
    watch->is_reading = false;
    while ((node = list_first(&watch->waiting_round))) {
        struct stream_watch_wait *wait = LIST_OWNER(node, struct stream_watch_wait, node);
        list_remove(node);
        wait->done(wait->context);
    }
    if (watch->is_stopped)
        return;
    if (!list_empty(&watch->waiting))
        begin_round(watch);
    else if (list_linked(&watch->source.node))
        arm_timer(watch, stream_watch_is_known(watch) ? STREAM_WATCH_INTERVAL_MS : RETRY_INTERVAL_MS);
}

static void take(struct watched_stream *stream, enum stream_report_status status,
                 struct stream_report *report, const char *problem)
{
    stream_report_destroy(stream->report);
    free(stream->problem);
    stream->status = status;
    stream->report = report;
    stream->problem = problem ? strdup(problem) : NULL;
}

static void read_more(struct stream_watch *watch);

static void on_report(void *context, enum stream_report_status status, struct stream_report *report,
                      const char *problem)
{
    struct watched_stream *stream = context;
    struct stream_watch *watch = stream->watch;
    take(stream, status, report, problem);
    watch->under_way--;
    read_more(watch);
    if (watch->under_way == 0)
        end_round(watch);
}

static void read_more(struct stream_watch *watch)
{
    while (!watch->is_stopped && watch->next < watch->count && watch->under_way < STREAM_WATCH_READS_MAX) {
        struct watched_stream *stream = watch->streams[watch->next++];
        if (stream_report_read(watch->commands, stream->name, stream->name_length, on_report, stream))
            watch->under_way++;
        else
            take(stream, STREAM_REPORT_UNAVAILABLE, NULL, NULL);
    }
}

static void begin_round(struct stream_watch *watch)
{
    struct list *node;
    watch->is_reading = true;
    watch->next = 0;
    while ((node = list_first(&watch->waiting))) {
        list_remove(node);
        list_append(&watch->waiting_round, node);
    }
    read_more(watch);
    if (watch->under_way == 0) { /* memory is so short that nothing could be asked */
        watch->is_reading = false;
        arm_timer(watch, RETRY_INTERVAL_MS);
    }
}

static void on_timer(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct stream_watch *watch = context;
    if (watch->is_reading || watch->is_stopped)
        return;
    if (watch->count > 0)
        begin_round(watch);
    else
        end_round(watch); /* there is nothing to wait for */
}

void stream_watch_refresh(struct stream_watch *watch, struct stream_watch_wait *wait)
{
    list_append(watch->count > 0 ? &watch->waiting : &watch->waiting_round, &wait->node);
    if (!watch->is_reading)
        arm_timer(watch, 0);
}

/* ---- life ---- */

static void append_text(void *context, struct buffer *out)
{
    stream_watch_append_text(context, out);
}

static void append_json(void *context, struct buffer *out)
{
    stream_watch_append_json(context, false, out);
}

struct stream_watch *stream_watch_create(struct event_base *base, struct commands *commands,
                                         struct metrics *metrics)
{
    struct stream_watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return NULL;
    watch->commands = commands;
    watch->timer = event_new(base, -1, 0, on_timer, watch);
    list_init(&watch->waiting);
    list_init(&watch->waiting_round);
    if (!watch->timer) {
        stream_watch_destroy(watch);
        return NULL;
    }
    watch->source = (struct metrics_source){
        .append_text = append_text, .append_json = append_json, .json_name = "streams", .context = watch
    };
    if (metrics)
        metrics_add_source(metrics, &watch->source);
    return watch;
}

static void destroy_stream(struct watched_stream *stream)
{
    take(stream, STREAM_REPORT_UNAVAILABLE, NULL, NULL);
    free(stream->groups);
    free(stream->name);
    free(stream);
}

void stream_watch_destroy(struct stream_watch *watch)
{
    if (!watch)
        return;
    list_remove(&watch->source.node);
    for (size_t i = 0; i < watch->count; i++)
        destroy_stream(watch->streams[i]);
    free(watch->streams);
    if (watch->timer)
        event_free(watch->timer);
    free(watch);
}

bool stream_watch_add(struct stream_watch *watch, const char *name, size_t length, const char *groups,
                      uint64_t maxlen)
{
    struct watched_stream **streams =
        reallocarray(watch->streams, watch->count + 1, sizeof(struct watched_stream *));
    if (streams)
        watch->streams = streams;
    struct watched_stream *stream = streams ? calloc(1, sizeof(*stream)) : NULL;
    if (!stream)
        return false;
    stream->watch = watch;
    stream->status = STREAM_REPORT_UNAVAILABLE;
    stream->name = strndup(name, length);
    stream->name_length = length;
    stream->groups = strdup(groups);
    stream->maxlen = maxlen;
    if (!stream->name || !stream->groups) {
        destroy_stream(stream);
        return false;
    }
    watch->streams[watch->count++] = stream;
    return true;
}

bool stream_watch_start(struct stream_watch *watch)
{
    struct timeval at_once = { 0 };
    return watch->count == 0 || event_add(watch->timer, &at_once) == 0;
}

void stream_watch_stop(struct stream_watch *watch)
{
    watch->is_stopped = true;
    event_del(watch->timer);
}

size_t stream_watch_count(const struct stream_watch *watch)
{
    return watch->count;
}

uint64_t stream_watch_maxlen(const struct stream_watch *watch, const char *name, size_t length)
{
    for (size_t i = 0; i < watch->count; i++)
        if (watch->streams[i]->name_length == length && memcmp(watch->streams[i]->name, name, length) == 0)
            return watch->streams[i]->maxlen;
    return 0;
}

bool stream_watch_is_known(const struct stream_watch *watch)
{
    for (size_t i = 0; i < watch->count; i++)
        if (watch->streams[i]->status != STREAM_REPORT_UNAVAILABLE)
            return true;
    return watch->count == 0;
}
