/* The dispatcher in the main thread and what a worker has of it: hub, groups and cache. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "gateway/worker.h"

static void update_redis_up(struct worker *worker)
{
    gateway_update_redis_up(worker->gateway, worker->metrics);
}

/* ---- what the dispatcher tells ---- */

static void feed_up(struct worker *worker, const struct hub_event *event)
{
    worker->feed_up = worker->metrics->feed_up = true;
    update_redis_up(worker);
    /* The cache forgets before viewers ask it anew, and what they make it read is tracked for this
     * connection. */
    commands_track_to(worker->commands, event->client_id);
    snapshot_cache_feed_up(worker->cache);
    hub_apply(worker->hub, event);
}

static void feed_down(struct worker *worker, const struct hub_event *event)
{
    worker->feed_up = worker->metrics->feed_up = false;
    update_redis_up(worker);
    commands_track_to(worker->commands, 0);
    hub_apply(worker->hub, event);
    snapshot_cache_feed_down(worker->cache, clock_now_ms());
}

/* Events were lost on their way: as if the feed had been lost with them. */
static void lost(struct worker *worker, const struct hub_event *event)
{
    log_event_limited(
        worker->log, &worker->gateway->loss_limiter, LOG_LEVEL_WARN,
        "messages were lost on their way to a thread, which was too slow, or memory short; clients are told",
        (const struct log_field[]){ LOG_NUMBER("worker", worker->number) }, 1);
    snapshot_cache_feed_down(worker->cache, clock_now_ms());
    worker->feed_up = worker->metrics->feed_up = event->feed_up;
    update_redis_up(worker);
    commands_track_to(worker->commands, event->feed_up ? event->client_id : 0);
    if (event->feed_up)
        snapshot_cache_feed_up(worker->cache);
    hub_apply(worker->hub, event);
}

static void apply(struct worker *worker, const struct hub_event *event)
{
    worker->feed_generation = event->generation;
    switch (event->kind) {
    case HUB_FEED_UP:
        feed_up(worker, event);
        return;
    case HUB_FEED_DOWN:
        feed_down(worker, event);
        return;
    case HUB_LOST:
        lost(worker, event);
        return;
    case HUB_REFUSED:
        if (event->topic_kind == TOPIC_STREAM)
            groups_stream_refused(worker->groups, event->name, event->name_length);
        break;
    case HUB_WATCHED:
    case HUB_ENTRY:
    case HUB_STREAM_BROKEN:
        hub_apply(worker->hub, event);
        groups_stream_changed(worker->groups, event->name, event->name_length);
        return;
    case HUB_CONFIRMED:
    case HUB_PUT_OFF:
    case HUB_MESSAGE:
    case HUB_LIVE:
    case HUB_FENCE:
    case HUB_INVALIDATED:
    case HUB_CAUGHT_UP:
        break;
    }
    hub_apply(worker->hub, event);
}

static void apply_all(struct worker *worker, const struct hub_events *events)
{
    size_t cursor = 0;
    struct hub_event event;
    while (hub_events_next(events, &cursor, &event))
        apply(worker, &event);
    hub_turn_end(worker->hub);
}

struct delivered_turn {
    struct mail mail;
    struct worker *worker;
    struct hub_events events;
};

static void drop_turn(struct mail *mail)
{
    struct delivered_turn *turn = LIST_OWNER(mail, struct delivered_turn, mail);
    hub_events_clear(&turn->events);
    free(turn);
}

static void run_turn(struct mail *mail)
{
    struct delivered_turn *turn = LIST_OWNER(mail, struct delivered_turn, mail);
    size_t cost = turn->events.cost;
    apply_all(turn->worker, &turn->events);
    hub_events_clear(&turn->events);
    atomic_fetch_sub_explicit(&turn->worker->queued_bytes, cost, memory_order_relaxed);
    free(turn);
}

bool worker_deliver(void *context, struct hub_events *events)
{
    struct worker *worker = context;
    if (worker->is_local) {
        /* What it makes the dispatcher tell is for the next turn. */
        struct hub_events turn = *events;
        *events = (struct hub_events){ 0 };
        apply_all(worker, &turn);
        hub_events_recycle(&turn, events);
        return true;
    }
    size_t queued = atomic_load_explicit(&worker->queued_bytes, memory_order_relaxed);
    struct delivered_turn *turn = queued < WORKER_QUEUED_BYTES_MAX ? malloc(sizeof(*turn)) : NULL;
    if (!turn)
        return false;
    *turn = (struct delivered_turn){ .mail = { .run = run_turn, .drop = drop_turn },
                                     .worker = worker,
                                     .events = *events };
    *events = (struct hub_events){ 0 };
    queued += turn->events.cost;
    if (queued > worker->gateway->queued_peak_bytes)
        worker->gateway->queued_peak_bytes = queued;
    atomic_fetch_add_explicit(&worker->queued_bytes, turn->events.cost, memory_order_relaxed);
    mailbox_post(worker->mailbox, &turn->mail);
    return true;
}

/* ---- what the worker wants ---- */

enum wish_kind { WISH_WANT, WISH_LEAVE, WISH_CATCH_UP };

/* A wish on its way to the main thread. */
struct posted_wish {
    struct mail mail;
    struct worker *worker;
    enum wish_kind kind;
    struct dispatcher_wish wish;
    char name[];
};

static bool make_wish(struct worker *worker, enum wish_kind kind, const struct dispatcher_wish *wish)
{
    struct dispatcher *dispatcher = worker->gateway->dispatcher;
    switch (kind) {
    case WISH_WANT:
        return dispatcher_want(dispatcher, worker->port, wish);
    case WISH_LEAVE:
        dispatcher_leave(dispatcher, worker->port, wish);
        break;
    case WISH_CATCH_UP:
        dispatcher_catch_up(dispatcher, worker->port);
        break;
    }
    return true;
}

static void drop_wish(struct mail *mail)
{
    free(LIST_OWNER(mail, struct posted_wish, mail));
}

static void run_wish(struct mail *mail)
{
    struct posted_wish *posted = LIST_OWNER(mail, struct posted_wish, mail);
    struct gateway *gateway = posted->worker->gateway;
    const struct dispatcher_wish *wish = &posted->wish;
    bool is_granted = make_wish(posted->worker, posted->kind, wish);
    if (!is_granted && wish->kind == TOPIC_STREAM)
        dispatcher_refuse(gateway->dispatcher, posted->worker->port, wish, "memory is short");
    else if (!is_granted)
        dispatcher_put_off(gateway->dispatcher, posted->worker->port, wish);
    free(posted);
}

static bool post_wish(struct worker *worker, enum wish_kind kind, const struct dispatcher_wish *wish)
{
    if (worker->is_local)
        return make_wish(worker, kind, wish);
    struct posted_wish *posted = malloc(sizeof(*posted) + wish->length);
    if (!posted)
        return false;
    *posted = (struct posted_wish){
        .mail = { .run = run_wish, .drop = drop_wish }, .worker = worker, .kind = kind, .wish = *wish
    };
    if (wish->length > 0)
        memcpy(posted->name, wish->name, wish->length);
    posted->wish.name = posted->name;
    mailbox_post(worker->gateway->mailbox, &posted->mail);
    return true;
}

bool worker_want(struct worker *worker, const struct dispatcher_wish *wish)
{
    return post_wish(worker, WISH_WANT, wish);
}

void worker_leave(struct worker *worker, const struct dispatcher_wish *wish)
{
    /* Without memory to say so it stays subscribed until the feed is lost. */
    (void)post_wish(worker, WISH_LEAVE, wish);
}

static bool subscribe(void *context, enum topic_kind kind, const char *name, size_t length, bool again)
{
    struct worker *worker = context;
    const struct dispatcher_wish wish = { .kind = kind,
                                          .interest = INTEREST_HUB,
                                          .name = name,
                                          .length = length,
                                          .generation = worker->feed_generation,
                                          .again = again };
    return worker_want(worker, &wish);
}

static void unsubscribe(void *context, enum topic_kind kind, const char *name, size_t length)
{
    struct worker *worker = context;
    const struct dispatcher_wish wish = { .kind = kind,
                                          .interest = INTEREST_HUB,
                                          .name = name,
                                          .length = length,
                                          .generation = worker->feed_generation };
    worker_leave(worker, &wish);
}

static uint64_t newest(void *context)
{
    struct worker *worker = context;
    return dispatcher_newest(worker->gateway->dispatcher);
}

static bool catch_up(void *context)
{
    struct worker *worker = context;
    static const struct dispatcher_wish nothing = { .kind = TOPIC_STREAM };
    return post_wish(worker, WISH_CATCH_UP, &nothing);
}

struct hub_source worker_hub_source(struct worker *worker)
{
    return (struct hub_source){ .subscribe = subscribe,
                                .unsubscribe = unsubscribe,
                                .newest = newest,
                                .catch_up = catch_up,
                                .read_history = worker_read_history,
                                .context = worker,
                                .shared = &worker->gateway->hub_shared };
}

/* ---- commands: up and down ---- */

/*
 * The cache's values are exact only while both hold: the feed brings messages and invalidations, and Redis
 * sends invalidations for what the commands connection has read. So the loss of either is the same to the
 * cache: from then on values serve plain reads until their TTL, and when both are there again everything is
 * forgotten, for it may have changed unseen.
 */
static void on_commands_up(void *context)
{
    struct worker *worker = context;
    worker->metrics->commands_up = true;
    update_redis_up(worker);
    if (!worker->feed_up)
        return;
    snapshot_cache_feed_up(worker->cache);
    hub_refresh_all_joined(worker->hub);
}

static void on_commands_down(void *context, const char *reason)
{
    (void)reason;
    struct worker *worker = context;
    worker->metrics->commands_up = false;
    update_redis_up(worker);
    snapshot_cache_feed_down(worker->cache, clock_now_ms());
}

struct commands_events worker_commands_events(struct worker *worker)
{
    return (
        struct commands_events){ .on_up = on_commands_up, .on_down = on_commands_down, .context = worker };
}
