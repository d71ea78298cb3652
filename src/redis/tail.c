#include "redis/tail.h"

#include <stdlib.h>

#include "redis/tail_state.h"

/* Below the time after which an idle link is PINGed: a blocked client answers no PING. */
#define BLOCK_MS_MAX 4000

/* --- the loop ------------------------------------------------------------------------------------------- */

static void on_step(evutil_socket_t descriptor, short what, void *context)
{
    (void)descriptor;
    (void)what;
    tail_step(context);
}

void tail_step_in(struct tail *tail, uint64_t wait_ms)
{
    struct timeval wait = { .tv_sec = (time_t)(wait_ms / 1000),
                            .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000) };
    if (wait_ms == 0 || event_add(tail->step, &wait) != 0)
        event_active(tail->step, EV_TIMEOUT, 0);
}

/* --- calls ---------------------------------------------------------------------------------------------- */

bool tail_call(struct tail *tail, struct watch *watch, int count, const char *const *arguments,
               const size_t *lengths, commands_done *done)
{
    struct tail_call *call = calloc(1, sizeof(*call));
    if (!call)
        return false;
    const struct command command = { .count = count, .arguments = arguments, .lengths = lengths };
    if (!commands_send(tail->commands, &command, 1, done, call)) {
        free(call);
        return false;
    }
    call->tail = tail;
    call->watch = watch ? watch_hold(watch) : NULL;
    list_append(&tail->calls, &call->node);
    return true;
}

struct tail *tail_call_end(struct tail_call *call, struct watch **ret_watch)
{
    struct tail *tail = call->tail;
    *ret_watch = call->watch;
    list_remove(&call->node);
    free(call);
    return tail;
}

/* The commands may answer when there is no tail any more. */
static void abandon_calls(struct tail *tail)
{
    struct list *node;
    while ((node = list_first(&tail->calls))) {
        struct tail_call *call = LIST_OWNER(node, struct tail_call, node);
        list_remove(node);
        if (call->watch)
            watch_release(call->watch);
        call->tail = NULL;
        call->watch = NULL;
    }
}

/* --- the link's events ---------------------------------------------------------------------------------- */

static void on_ready(void *context)
{
    struct tail *tail = context;
    tail->is_wake_refused = redis_link_client_id(tail->link) == 0;
    tail_check_all(tail, true);
    read_size_start(&tail->size, tail->set_count);
    if (tail->events.on_up)
        tail->events.on_up(tail->events.context);
    tail_step(tail);
}

static void on_down(void *context, const char *reason)
{
    struct tail *tail = context;
    tail_lose_link(tail, reason);
    if (tail->events.on_down)
        tail->events.on_down(tail->events.context, reason);
}

static void on_reply(void *context, const struct redisReply *source)
{
    struct tail *tail = context;
    struct reply reply = reply_view(source);
    tail_take_reply(tail, &reply);
    tail_step(tail);
}

static void on_turn_end(void *context)
{
    struct tail *tail = context;
    if (tail->events.on_turn_end)
        tail->events.on_turn_end(tail->events.context);
}

/* --- the tail ------------------------------------------------------------------------------------------- */

static uint64_t block_ms_for(const struct redis_link_options *options)
{
    uint64_t before_ping_ms = options->ping_after_ms / 5 * 4;
    return options->ping_after_ms > 0 && before_ping_ms < BLOCK_MS_MAX ? before_ping_ms : BLOCK_MS_MAX;
}

struct tail *tail_create(struct event_base *base, struct evdns_base *dns,
                         const struct redis_link_options *options, const struct tail_events *events,
                         struct commands *commands, struct log *log)
{
    struct tail *tail = calloc(1, sizeof(*tail));
    if (!tail)
        return NULL;
    tail->events = *events;
    tail->commands = commands;
    tail->log = log;
    tail->block_ms_max = block_ms_for(options);
    list_init(&tail->asking);
    list_init(&tail->answers);
    list_init(&tail->set);
    list_init(&tail->checks);
    list_init(&tail->calls);
    read_size_init(&tail->size, options->reply_bytes_max);
    struct redis_link_options link_options = *options;
    link_options.name = "tail";
    link_options.is_subscriber = false;
    const struct redis_link_events link_events = {
        .on_ready = on_ready,
        .on_down = on_down,
        .on_reply = on_reply,
        .on_turn_end = on_turn_end,
        .context = tail,
    };
    tail->watches = map_create();
    tail->step = event_new(base, -1, 0, on_step, tail);
    tail->ask_again = event_new(base, -1, 0, tail_on_ask_again, tail);
    tail->link = redis_link_create(base, dns, &link_options, &link_events, log);
    if (!tail->watches || !tail->step || !tail->ask_again || !tail->link) {
        tail_destroy(tail);
        return NULL;
    }
    return tail;
}

void tail_destroy(struct tail *tail)
{
    if (!tail)
        return;
    redis_link_destroy(tail->link);
    tail_lose_link(tail, "");
    abandon_calls(tail);
    size_t cursor = 0;
    struct watch *watch;
    while (tail->watches && (watch = map_next(tail->watches, &cursor)))
        watch_end(tail, watch);
    map_destroy(tail->watches);
    if (tail->step)
        event_free(tail->step);
    if (tail->ask_again)
        event_free(tail->ask_again);
    free(tail->arguments);
    free(tail->lengths);
    free(tail->fields);
    free(tail);
}

void tail_start(struct tail *tail)
{
    redis_link_start(tail->link);
}
