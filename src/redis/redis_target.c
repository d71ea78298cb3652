#include "redis/redis_target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis/redis_connector.h"
#include "redis/redis_sentinel.h"

/* With the second that a Sentinel has for its answer, a link follows within 6 s. */
#define WATCH_INTERVAL_MS 5000

struct redis_target {
    const struct redis_url *url;
    struct redis_target_events events;
    struct redis_connector *connector;
    struct redis_sentinel *sentinel; /* NULL without Sentinels */
    struct event *watch;
    bool is_watching;
    bool is_doubtful; /* a Sentinel has answered, and no connection of use has come of it yet */
    uint64_t timeout_ms;
    struct redis_url master; /* the URL with the address that was found; host and display are its own */
    char *display;
};

static void forget_master(struct redis_target *target)
{
    free(target->master.host);
    target->master.host = NULL;
}

static void watch_again(struct redis_target *target)
{
    struct timeval wait = { .tv_sec = WATCH_INTERVAL_MS / 1000, .tv_usec = WATCH_INTERVAL_MS % 1000 * 1000 };
    /* Without memory for the timer it is not watched; the end of the connection is seen all the same. */
    (void)event_add(target->watch, &wait);
}

static void on_watch(evutil_socket_t descriptor, short what, void *context)
{
    (void)descriptor;
    (void)what;
    struct redis_target *target = context;
    redis_sentinel_ask(target->sentinel);
}

/* While connected: whether it is the same one still. Sentinels that do not answer are no reason to leave. */
static void compare_master(struct redis_target *target, const char *host, uint16_t port)
{
    bool is_moved = host && (port != target->master.port || strcasecmp(host, target->master.host) != 0);
    if (!is_moved) {
        watch_again(target);
        return;
    }
    target->is_watching = false;
    target->events.on_moved(target->events.context);
}

static void on_answer(void *context, const char *host, uint16_t port, const char *problem)
{
    struct redis_target *target = context;
    if (target->is_watching) {
        compare_master(target, host, port);
        return;
    }
    if (!host) {
        target->events.on_connected(target->events.context, -1, problem);
        return;
    }
    target->is_doubtful = true;
    struct redis_url master = {
        .is_tls = target->url->is_tls, .host = strdup(host), .port = port, .database = target->url->database
    };
    char *display = master.host ? redis_url_display(&master) : NULL;
    if (!display) {
        free(master.host);
        target->events.on_connected(target->events.context, -1, "memory is short");
        return;
    }
    forget_master(target);
    free(target->display);
    target->master = master;
    target->display = display;
    redis_connector_start(target->connector, &target->master, target->timeout_ms);
}

static void on_connected(void *context, int descriptor, const char *problem)
{
    struct redis_target *target = context;
    target->events.on_connected(target->events.context, descriptor, problem);
}

struct redis_target *redis_target_create(struct event_base *base, struct evdns_base *dns,
                                         const struct redis_target_options *options,
                                         const struct redis_target_events *events)
{
    struct redis_target *target = calloc(1, sizeof(*target));
    if (!target)
        return NULL;
    target->url = options->url;
    target->events = *events;
    target->connector = redis_connector_create(base, dns, on_connected, target);
    target->display = redis_url_display(options->url);
    bool is_complete = target->connector && target->display;
    if (options->url->master_name) {
        const struct redis_sentinel_options asking = { .url = options->url,
                                                       .tls_ca_file = options->tls_ca_file,
                                                       .tls_verify = options->tls_verify };
        target->watch = event_new(base, -1, 0, on_watch, target);
        target->sentinel = redis_sentinel_create(base, dns, &asking, on_answer, target);
        is_complete = is_complete && target->watch && target->sentinel;
    }
    if (!is_complete) {
        redis_target_destroy(target);
        return NULL;
    }
    return target;
}

void redis_target_destroy(struct redis_target *target)
{
    if (!target)
        return;
    redis_sentinel_destroy(target->sentinel);
    redis_connector_destroy(target->connector);
    if (target->watch)
        event_free(target->watch);
    forget_master(target);
    free(target->display);
    free(target);
}

void redis_target_connect(struct redis_target *target, uint64_t timeout_ms)
{
    redis_target_cancel(target);
    target->timeout_ms = timeout_ms;
    if (!target->sentinel) {
        redis_connector_start(target->connector, target->url, timeout_ms);
        return;
    }
    /* A Sentinel that was cut off from the others may name a master of yesterday for ever. */
    if (target->is_doubtful)
        redis_sentinel_distrust(target->sentinel);
    target->is_doubtful = false;
    redis_sentinel_ask(target->sentinel);
}

void redis_target_watch(struct redis_target *target)
{
    if (!target->sentinel)
        return;
    target->is_watching = true;
    target->is_doubtful = false;
    watch_again(target);
}

void redis_target_cancel(struct redis_target *target)
{
    target->is_watching = false;
    redis_connector_cancel(target->connector);
    if (!target->sentinel)
        return;
    event_del(target->watch);
    redis_sentinel_cancel(target->sentinel);
}

const char *redis_target_host(const struct redis_target *target)
{
    return target->sentinel ? target->master.host : target->url->host;
}

const char *redis_target_display(const struct redis_target *target)
{
    return target->display;
}
