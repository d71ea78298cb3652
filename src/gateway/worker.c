#include "gateway/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/audit.h"
#include "base/clock.h"
#include "gateway/event_loop.h"
#include "gateway/gateway_options.h"

#define SWEEP_INTERVAL_S 1
#define DRAIN_CHECK_MS 20

/* ---- calls from the main thread ---- */

struct worker_call {
    struct mail mail;
    struct worker *worker;
    void (*run)(struct worker *worker, void *context);
    void (*drop)(void *context);
    void *context;
};

static void run_call(struct mail *mail)
{
    struct worker_call *call = LIST_OWNER(mail, struct worker_call, mail);
    call->run(call->worker, call->context);
    free(call);
}

static void drop_call(struct mail *mail)
{
    struct worker_call *call = LIST_OWNER(mail, struct worker_call, mail);
    if (call->drop)
        call->drop(call->context);
    free(call);
}

bool worker_call(struct worker *worker, void (*run)(struct worker *worker, void *context),
                 void (*drop)(void *context), void *context)
{
    struct worker_call *call = malloc(sizeof(*call));
    if (!call)
        return false;
    *call = (struct worker_call){ .mail = { .run = run_call, .drop = drop_call },
                                  .worker = worker,
                                  .run = run,
                                  .drop = drop,
                                  .context = context };
    mailbox_post(worker->mailbox, &call->mail);
    return true;
}

/* ---- building ---- */

static void on_sweep(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct worker *worker = context;
    snapshot_cache_sweep(worker->cache, clock_now_ms());
    audit_sweep(worker->audit);
    atomic_store_explicit(&worker->connects, worker->metrics->sse_connects, memory_order_relaxed);
}

static bool build_sweep(struct worker *worker)
{
    struct timeval interval = { .tv_sec = SWEEP_INTERVAL_S };
    worker->sweep_timer = event_new(worker->base, -1, EV_PERSIST, on_sweep, worker);
    return worker->sweep_timer && event_add(worker->sweep_timer, &interval) == 0;
}

static bool build_snapshots_and_hub(struct worker *worker)
{
    struct snapshot_cache_options cache_options =
        snapshot_cache_options_of(worker->settings, worker->gateway->worker_count);
    struct snapshot_source source = worker_snapshot_source(worker);
    worker->cache = snapshot_cache_create(&cache_options, &source, worker->metrics);
    if (!worker->cache)
        return false;
    struct hub_options hub_options = hub_options_of(worker->settings);
    struct hub_source hub_source = worker_hub_source(worker);
    worker->hub =
        hub_create(worker->base, &hub_options, &hub_source, worker->cache, worker->metrics, worker->log);
    worker->port = dispatcher_add_port(worker->gateway->dispatcher, worker_deliver, worker);
    return worker->hub && worker->port;
}

static bool build_redis(struct worker *worker)
{
    struct gateway *gateway = worker->gateway;
    struct commands_events events = worker_commands_events(worker);
    struct groups_source groups_source = worker_groups_source(worker);
    snprintf(worker->link_name, sizeof(worker->link_name), "worker-%u", worker->number);
    worker->commands = gateway_create_commands(gateway, worker->base, worker->dns, worker->link_name, &events,
                                               worker->metrics);
    if (!worker->commands)
        return false;
    worker->groups =
        groups_create(worker->base, worker->commands, &groups_source, worker->metrics, worker->log);
    worker->watch = gateway_create_watch(gateway, worker->base, worker->commands, NULL);
    return worker->groups && worker->watch;
}

static bool build_origin(struct worker *worker)
{
    const struct settings *settings = worker->settings;
    if (!*settings->origin_url)
        return true;
    struct http_client_options options = {
        .transfers_max = settings->origin_concurrency_max,
        .timeout_ms = settings->origin_timeout_ms,
        .response_bytes_max = settings->body_bytes_max,
    };
    worker->origin = http_client_create(worker->base, &options, worker->log);
    return worker->origin != NULL;
}

static bool build_access(struct worker *worker, char **ret_problem)
{
    const struct settings *settings = worker->settings;
    worker->audit =
        audit_create(audit_lines_of(settings, worker->gateway->worker_count), worker->metrics, worker->log);
    const struct access_bindings shared = { .fetch = worker_fetch_keys,
                                            .fetch_context = worker,
                                            .application = worker_application_source(worker) };
    worker->access = gateway_access_create(worker->base, settings, &worker->commands, &shared,
                                           worker->metrics, worker->log, ret_problem);
    return worker->audit && worker->access;
}

/* For all threads, whichever is asked: the next request may come to another. */
static bool is_redis_up(void *context)
{
    const struct worker *worker = context;
    return atomic_load(&worker->gateway->threads_up) == worker->gateway->worker_count + 1;
}

static bool build_front(struct worker *worker, const struct worker *first, char **ret_problem)
{
    struct front_options options = front_options_of(worker->settings, worker->gateway);
    struct front_services services = {
        .base = worker->base,
        .hub = worker->hub,
        .batches = worker_batch_store(worker),
        .commands = worker->commands,
        .groups = worker->groups,
        .watch = worker->watch,
        .access = gateway_access_get(worker->access),
        .audit = worker->audit,
        .tickets = gateway_access_tickets(worker->access),
        .quota = worker->gateway->quota,
        .metrics = worker->metrics,
        .metrics_reader = gateway_metrics_reader(worker),
        .is_redis_up = is_redis_up,
        .context = worker,
        .log = worker->log,
    };
    worker->front = front_create(&options, &services, first ? first->front : NULL, ret_problem);
    return worker->front != NULL;
}

/* The only worker runs on the main thread's loop. */
static bool build_loop(struct worker *worker)
{
    struct gateway *gateway = worker->gateway;
    worker->is_local = gateway->worker_count == 1;
    worker->base = worker->is_local ? gateway->base : event_loop_create();
    if (!worker->base || sem_init(&worker->holds, 0, 0) != 0 || sem_init(&worker->go_on, 0, 0) != 0)
        return false;
    worker->dns = worker->is_local ? gateway->dns : gateway_create_resolver(worker->base);
    worker->mailbox = mailbox_create(worker->base);
    worker->metrics = metrics_create();
    return worker->dns && worker->mailbox && worker->metrics;
}

struct worker *worker_create(struct gateway *gateway, unsigned number, const struct worker *first,
                             char **ret_problem)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    if (!worker)
        return NULL;
    worker->gateway = gateway;
    worker->settings = gateway->settings;
    worker->log = gateway->log;
    worker->number = number;
    atomic_init(&worker->held, 1); /* until it has counted */
    if (build_loop(worker) && build_snapshots_and_hub(worker) && build_redis(worker) &&
        build_origin(worker) && build_access(worker, ret_problem) && build_sweep(worker) &&
        build_front(worker, first, ret_problem)) {
        worker->metrics->workers = 1;
        return worker;
    }
    worker_close(worker);
    worker_destroy(worker);
    return NULL;
}

/* ---- life ---- */

static void *run(void *context)
{
    struct worker *worker = context;
    event_base_loop(worker->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

bool worker_start(struct worker *worker)
{
    commands_start(worker->commands);
    if (worker->is_local)
        return true;
    /* Signals are the main thread's. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    worker->is_running = pthread_create(&worker->thread, NULL, run, worker) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (worker->is_running)
        pthread_setname_np(worker->thread, worker->link_name);
    return worker->is_running;
}

struct stop_call {
    struct mail mail;
    struct event_base *base;
};

static void run_stop(struct mail *mail)
{
    event_base_loopbreak(LIST_OWNER(mail, struct stop_call, mail)->base);
}

void worker_stop(struct worker *worker)
{
    if (!worker->is_running)
        return;
    /* The caller waits for it, so it needs no memory, which may be short. */
    struct stop_call stop = { .mail = { .run = run_stop, .drop = run_stop }, .base = worker->base };
    mailbox_post(worker->mailbox, &stop.mail);
    pthread_join(worker->thread, NULL);
    worker->is_running = false;
}

/*
 * Those who ask go before those who are asked, and the links to the outside go first of all: the answers they
 * still give (that nothing will come) need everybody. What they cause to be asked anew finds the pointer gone
 * and fails.
 */
void worker_close(struct worker *worker)
{
    struct http_client *origin = worker->origin;
    worker->origin = NULL;
    http_client_destroy(origin);
    gateway_access_stop(worker->access);
    front_destroy(worker->front);
    worker->front = NULL;
    if (worker->watch)
        stream_watch_stop(worker->watch);
    groups_stop(worker->groups);
    struct commands *commands = worker->commands;
    worker->commands = NULL;
    commands_destroy(commands);
    /* Other workers ask the cache, too: those who wait for a fence are answered while mailboxes are there. */
    if (worker->cache)
        snapshot_cache_feed_down(worker->cache, clock_now_ms());
    stream_watch_destroy(worker->watch);
    worker->watch = NULL;
}

void worker_destroy(struct worker *worker)
{
    gateway_access_destroy(worker->access);
    hub_destroy(worker->hub);
    groups_destroy(worker->groups);
    snapshot_cache_destroy(worker->cache);
    if (worker->drain_timer)
        event_free(worker->drain_timer);
    if (worker->sweep_timer)
        event_free(worker->sweep_timer);
    mailbox_destroy(worker->mailbox);
    if (worker->dns && !worker->is_local)
        evdns_base_free(worker->dns, 0);
    if (worker->base && !worker->is_local)
        event_base_free(worker->base);
    buffer_free(&worker->entry_json);
    audit_destroy(worker->audit);
    metrics_destroy(worker->metrics);
    sem_destroy(&worker->holds);
    sem_destroy(&worker->go_on);
    free(worker);
}

/* ---- settings ---- */

struct hold_call {
    struct mail mail;
    struct worker *worker;
};

static void stand_still(struct mail *mail)
{
    struct worker *worker = LIST_OWNER(mail, struct hold_call, mail)->worker;
    sem_post(&worker->holds);
    while (sem_wait(&worker->go_on) != 0)
        ;
}

void worker_hold(struct worker *worker)
{
    if (worker->is_local)
        return;
    struct hold_call hold = { .mail = { .run = stand_still, .drop = stand_still }, .worker = worker };
    mailbox_post(worker->mailbox, &hold.mail);
    while (sem_wait(&worker->holds) != 0)
        ;
}

void worker_release(struct worker *worker)
{
    if (!worker->is_local)
        sem_post(&worker->go_on);
}

void worker_apply_settings(struct worker *worker)
{
    struct hub_options hub_options = hub_options_of(worker->settings);
    struct front_options front_options = front_options_of(worker->settings, worker->gateway);
    hub_set_options(worker->hub, &hub_options);
    front_set_options(worker->front, &front_options);
    gateway_access_apply(worker->access, worker->settings, worker->hub);
}

/* ---- the end ---- */

static void count_held(struct worker *worker)
{
    size_t left = hub_client_count(worker->hub) + front_request_count(worker->front);
    atomic_store_explicit(&worker->held, left, memory_order_relaxed);
}

static void on_drain_check(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    count_held(context);
}

static void drain(struct worker *worker, void *context)
{
    uint64_t *spread_ms = context;
    struct timeval interval = { .tv_usec = DRAIN_CHECK_MS * 1000 };
    worker->metrics->draining = true;
    front_drain(worker->front);
    hub_drain(worker->hub, *spread_ms);
    free(spread_ms);
    /* Without a timer the count stays, and the deadline ends it. */
    worker->drain_timer = event_new(worker->base, -1, EV_PERSIST, on_drain_check, worker);
    if (worker->drain_timer)
        event_add(worker->drain_timer, &interval);
    count_held(worker);
}

void worker_drain(struct worker *worker, uint64_t spread_ms)
{
    uint64_t *copy = malloc(sizeof(*copy));
    if (!copy)
        return; /* its clients are cut at the deadline */
    *copy = spread_ms;
    if (worker->is_local)
        drain(worker, copy);
    else if (!worker_call(worker, drain, free, copy))
        free(copy);
}

size_t worker_held(const struct worker *worker)
{
    return atomic_load_explicit(&worker->held, memory_order_relaxed);
}
