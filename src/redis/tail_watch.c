/* Which streams are watched. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "redis/tail_state.h"

#define ASK_AGAIN_MS 100

/* A question that takes the commands link down again and again is not asked for ever: its answer holds the
 * stream's first and last entry and may be too large. */
#define UNANSWERED_MAX 5

/* --- watches -------------------------------------------------------------------------------------------- */

static struct watch *watch_create(const char *name, size_t length)
{
    struct watch *watch = calloc(1, sizeof(*watch) + length + 1);
    if (!watch)
        return NULL;
    watch->holds = 1;
    watch->length = length;
    memcpy(watch->name, name, length);
    return watch;
}

struct watch *watch_hold(struct watch *watch)
{
    watch->holds++;
    return watch;
}

void watch_release(struct watch *watch)
{
    if (--watch->holds == 0)
        free(watch);
}

/* The analyzer does not count: what is held here is not freed. NOLINTBEGIN(clang-analyzer-unix.Malloc) */

void watch_end(struct tail *tail, struct watch *watch)
{
    if (watch->state == WATCH_WATCHED)
        tail->set_count--;
    watch->state = WATCH_ENDED;
    watch->owed = 0;
    list_remove(&watch->in_queue);
    list_remove(&watch->in_set);
    list_remove(&watch->in_checks);
    (void)map_remove(tail->watches, watch->name, watch->length);
    watch_release(watch);
}

void watch_refuse(struct tail *tail, struct watch *watch, const char *problem, size_t length)
{
    char text[256];
    size_t taken = length < sizeof(text) - 1 ? length : sizeof(text) - 1;
    memcpy(text, problem, taken);
    text[taken] = '\0';
    /* Once for each who waits, once for all others. */
    size_t answers = watch->owed > 0 ? watch->owed : 1;
    watch_hold(watch);
    watch_end(tail, watch);
    for (; answers > 0; answers--)
        if (tail->events.on_refused)
            tail->events.on_refused(tail->events.context, watch->name, watch->length, text);
    watch_release(watch);
}

/* --- answers -------------------------------------------------------------------------------------------- */

static void answer(struct tail *tail, struct watch *watch)
{
    watch_hold(watch);
    while (watch->owed > 0) {
        watch->owed--;
        if (tail->events.on_watched)
            tail->events.on_watched(tail->events.context, watch->name, watch->length,
                                    watch->progress.position);
    }
    watch_release(watch);
}

void tail_answer_owed(struct tail *tail)
{
    struct list *node;
    while ((node = list_first(&tail->answers))) {
        list_remove(node);
        answer(tail, LIST_OWNER(node, struct watch, in_queue));
    }
}

static void begin_watching(struct tail *tail, struct watch *watch, const struct stream_info *info)
{
    watch->state = WATCH_WATCHED;
    stream_progress_start(&watch->progress, info);
    watch->checked_ms = clock_now_ms();
    list_append(&tail->set, &watch->in_set);
    list_append(&tail->checks, &watch->in_checks);
    tail->set_count++;
    tail->is_stale = true;
    answer(tail, watch);
    tail_step_in(tail, 0);
}

/* --- questions ------------------------------------------------------------------------------------------ */

static void pause_asking(struct tail *tail)
{
    struct timeval wait = { .tv_usec = ASK_AGAIN_MS * 1000 };
    (void)event_add(tail->ask_again, &wait);
}

static void ask_later(struct tail *tail, struct watch *watch)
{
    list_append(&tail->asking, &watch->in_queue);
    pause_asking(tail);
}

static void take_answer(struct tail *tail, struct watch *watch, enum commands_status status,
                        const struct reply *reply)
{
    static const char strange[] = "Redis gave an answer to XINFO STREAM that is none";
    static const char unanswered[] = "asking Redis for the stream (XINFO STREAM) breaks the connection; its "
                                     "first or last entry may be larger than redis_reply_bytes_max";
    struct stream_info info;
    switch (status) {
    case COMMANDS_OK:
    case COMMANDS_ERROR:
        if (stream_info_parse(reply, &info))
            begin_watching(tail, watch, &info);
        else if (status == COMMANDS_OK)
            watch_refuse(tail, watch, strange, strlen(strange));
        else if (reply_error_is_transient(reply))
            ask_later(tail, watch);
        else
            watch_refuse(tail, watch, reply->text, reply->text_length);
        break;
    case COMMANDS_UNSENT:
        ask_later(tail, watch);
        break;
    case COMMANDS_UNCERTAIN:
        if (++watch->unanswered < UNANSWERED_MAX)
            ask_later(tail, watch);
        else
            watch_refuse(tail, watch, unanswered, strlen(unanswered));
        break;
    }
}

static void ask_queued(struct tail *tail);

static void on_answer(void *context, enum commands_status status, const struct reply *reply)
{
    struct watch *watch;
    struct tail *tail = tail_call_end(context, &watch);
    if (!tail)
        return;
    tail->asks_in_flight--;
    if (watch->state == WATCH_ASKING)
        take_answer(tail, watch, status, reply);
    watch_release(watch);
    ask_queued(tail);
}

static bool ask(struct tail *tail, struct watch *watch)
{
    const char *const arguments[] = { "XINFO", "STREAM", watch->name };
    const size_t lengths[] = { 5, 6, watch->length };
    if (!tail_call(tail, watch, 3, arguments, lengths, on_answer))
        return false;
    tail->asks_in_flight++;
    return true;
}

/* Asks about the streams that wait for it, as many at once as may be. */
static void ask_queued(struct tail *tail)
{
    struct list *node;
    while (!event_pending(tail->ask_again, EV_TIMEOUT, NULL) && tail->asks_in_flight < TAIL_ASKS_MAX &&
           (node = list_first(&tail->asking))) {
        struct watch *watch = LIST_OWNER(node, struct watch, in_queue);
        list_remove(node);
        if (!commands_is_up(tail->commands) || !ask(tail, watch))
            ask_later(tail, watch);
    }
}

void tail_on_ask_again(evutil_socket_t descriptor, short what, void *context)
{
    (void)descriptor;
    (void)what;
    ask_queued(context);
}

/* NOLINTEND(clang-analyzer-unix.Malloc) */

/* --- the set -------------------------------------------------------------------------------------------- */

static struct watch *watch_new_stream(struct tail *tail, const char *stream, size_t length)
{
    struct watch *watch = watch_create(stream, length);
    if (!watch)
        return NULL;
    if (!map_put(tail->watches, watch->name, watch->length, watch)) {
        watch_release(watch);
        return NULL;
    }
    list_append(&tail->asking, &watch->in_queue);
    return watch;
}

bool tail_watch(struct tail *tail, const char *stream, size_t length)
{
    struct watch *watch = map_get(tail->watches, stream, length);
    if (!watch)
        watch = watch_new_stream(tail, stream, length);
    if (!watch)
        return false;
    watch->references++;
    watch->owed++;
    if (watch->state == WATCH_ASKING) {
        ask_queued(tail);
    } else if (!list_linked(&watch->in_queue)) {
        list_append(&tail->answers, &watch->in_queue);
        tail_step_in(tail, 0);
    }
    return true;
}

void tail_unwatch(struct tail *tail, const char *stream, size_t length)
{
    struct watch *watch = map_get(tail->watches, stream, length);
    if (!watch)
        return;
    watch->references--;
    if (watch->owed > watch->references)
        watch->owed = watch->references;
    if (watch->references == 0)
        watch_end(tail, watch);
}
