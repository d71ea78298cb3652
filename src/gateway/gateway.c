#include "gateway/gateway.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "gateway/control.h"
#include "gateway/gateway_options.h"
#include "gateway/gateway_state.h"
#include "gateway/quota_limits.h"
#include "gateway/shared_access.h"
#include "gateway/worker.h"

#define FEED_OUTPUT_BYTES_MAX (16u << 20) /* subscriptions on their way; past this the link is reset */
#define COMMANDS_OUTPUT_BYTES_MAX                                                                            \
    (256u << 20) /* publishes on their way; redis_pending_max binds first with ordinary payloads */
#define READ_BYTES_PER_TURN (1u << 20)
#define SWEEP_INTERVAL_S 1
#define TRIM_AFTER_CONNECTS 256
#define TRIM_AFTER_BYTES (8u << 20)
#define DRAIN_CHECK_MS 20

/* ---- what workers have as well ---- */

struct redis_link_options gateway_link_options(const struct gateway *gateway, const char *name,
                                               size_t output_bytes_max, struct metrics *metrics)
{
    const struct settings *settings = gateway->settings;
    return (struct redis_link_options){
        .url = &gateway->redis_url,
        .name = name,
        .tls_ca_file = *settings->redis_tls_ca_file ? settings->redis_tls_ca_file : NULL,
        .tls_verify = settings->redis_tls_verify,
        .reply_bytes_max = settings->redis_reply_bytes_max,
        .output_bytes_max = output_bytes_max,
        .read_bytes_per_turn = READ_BYTES_PER_TURN,
        .metrics = metrics,
    };
}

struct commands *gateway_create_commands(const struct gateway *gateway, struct event_base *base,
                                         struct evdns_base *dns, const char *name,
                                         const struct commands_events *events, struct metrics *metrics)
{
    struct commands_options options = {
        .link = gateway_link_options(gateway, name, COMMANDS_OUTPUT_BYTES_MAX, metrics),
        .pending_max = gateway->settings->redis_pending_max,
        .timeout_ms = gateway->settings->redis_timeout_ms,
    };
    return commands_create(base, dns, &options, events, metrics, gateway->log);
}

struct stream_watch *gateway_create_watch(const struct gateway *gateway, struct event_base *base,
                                          struct commands *commands, struct metrics *metrics)
{
    const struct setting_records *streams = &gateway->settings->streams;
    struct stream_watch *watch = stream_watch_create(base, commands, metrics);
    for (size_t i = 0; watch && i < streams->count; i++) {
        const struct stream_settings *stream = (const struct stream_settings *)streams->items + i;
        if (!stream_watch_add(watch, stream->name, strlen(stream->name), stream->groups, stream->maxlen)) {
            stream_watch_destroy(watch);
            return NULL;
        }
    }
    return watch;
}

/* Without a resolv.conf (a bare container) addresses and /etc/hosts still work. */
struct evdns_base *gateway_create_resolver(struct event_base *base)
{
    struct evdns_base *dns =
        evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (dns)
        return dns;
    dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (dns)
        evdns_base_load_hosts(dns, "/etc/hosts");
    return dns;
}

/* ---- building ---- */

/*
 * A connection costs the HTTP library 32 KiB while it is in its hands. Many that come at once leave a heap
 * that the allocator keeps for ever unless it is asked, which is done when a second has passed without
 * newcomers. So does much that waited for a worker, once a second has passed in which little did.
 */
static void give_memory_back(struct gateway *gateway)
{
    uint64_t connects = 0;
    bool has_waited = gateway->queued_peak_bytes >= TRIM_AFTER_BYTES;
    gateway->queued_peak_bytes = 0;
    for (unsigned i = 0; i < gateway->worker_count; i++) {
        const struct worker *worker = gateway->workers[i];
        connects += atomic_load_explicit(&worker->connects, memory_order_relaxed);
        has_waited |= atomic_load_explicit(&worker->queued_bytes, memory_order_relaxed) >= TRIM_AFTER_BYTES;
    }
    gateway->owes_memory |= has_waited;
    bool is_quiet = connects == gateway->swept_connects;
    gateway->swept_connects = connects;
    gateway->owes_memory |= connects - gateway->trimmed_connects >= TRIM_AFTER_CONNECTS;
    if (!is_quiet || has_waited || !gateway->owes_memory)
        return;
    gateway->trimmed_connects = connects;
    gateway->owes_memory = false;
    malloc_trim(0);
}

static void on_sweep(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    give_memory_back(context);
}

static bool build_sweep(struct gateway *gateway)
{
    struct timeval interval = { .tv_sec = SWEEP_INTERVAL_S };
    gateway->sweep_timer = event_new(gateway->base, -1, EV_PERSIST, on_sweep, gateway);
    return gateway->sweep_timer && event_add(gateway->sweep_timer, &interval) == 0;
}

static bool build_dispatcher(struct gateway *gateway)
{
    const struct dispatcher_options options = dispatcher_options_of(gateway->settings);
    const struct dispatcher_source source = gateway_dispatcher_source(gateway);
    gateway->hub_shared.epoch = random_u64();
    gateway->dispatcher = dispatcher_create(gateway->base, &options, &source, gateway->metrics);
    gateway->port = gateway->dispatcher ? dispatcher_add_port(gateway->dispatcher, NULL, NULL) : NULL;
    gateway->mailbox = mailbox_create(gateway->base);
    return gateway->port && gateway->mailbox;
}

static bool build_redis(struct gateway *gateway)
{
    struct redis_link_options feed_options =
        gateway_link_options(gateway, NULL, FEED_OUTPUT_BYTES_MAX, gateway->metrics);
    struct feed_events feed_events = gateway_feed_events(gateway);
    gateway->feed = feed_create(gateway->base, gateway->dns, &feed_options, &feed_events, gateway->log);
    struct commands_events commands_events = gateway_commands_events(gateway);
    gateway->commands = gateway_create_commands(gateway, gateway->base, gateway->dns, "commands",
                                                &commands_events, gateway->metrics);
    if (!gateway->feed || !gateway->commands)
        return false;
    struct redis_link_options tail_options =
        gateway_link_options(gateway, NULL, COMMANDS_OUTPUT_BYTES_MAX, gateway->metrics);
    struct tail_events tail_events = gateway_tail_events(gateway);
    gateway->tail = tail_create(gateway->base, gateway->dns, &tail_options, &tail_events, gateway->commands,
                                gateway->log);
    return gateway->tail != NULL;
}

static bool build_watch(struct gateway *gateway)
{
    gateway->watch = gateway_create_watch(gateway, gateway->base, gateway->commands, gateway->metrics);
    return gateway->watch && stream_watch_start(gateway->watch);
}

static bool build_shared_access(struct gateway *gateway)
{
    gateway->shared_access =
        shared_access_create(gateway->base, gateway->settings, gateway->metrics, gateway->log);
    return gateway->shared_access != NULL;
}

static bool build_workers(struct gateway *gateway, char **ret_problem)
{
    unsigned count = gateway->worker_count = worker_count_of(gateway->settings);
    gateway->workers = calloc(count, sizeof(struct worker *));
    if (!gateway->workers)
        return false;
    for (unsigned i = 0; i < count; i++) {
        gateway->workers[i] = worker_create(gateway, i, gateway->workers[0], ret_problem);
        if (!gateway->workers[i])
            return false;
    }
    return true;
}

static bool start(struct gateway *gateway)
{
    feed_start(gateway->feed);
    commands_start(gateway->commands);
    tail_start(gateway->tail);
    for (unsigned i = 0; i < gateway->worker_count; i++)
        if (!worker_start(gateway->workers[i]))
            return false;
    return true;
}

struct gateway *gateway_create(struct event_base *base, const struct settings *settings, const char *version,
                               struct log *log, char **ret_problem)
{
    *ret_problem = NULL;
    struct gateway *gateway = calloc(1, sizeof(*gateway));
    if (!gateway)
        goto failed;
    gateway->base = base;
    gateway->settings = settings;
    gateway->version = version;
    gateway->log = log;
    const char *url_problem;
    if (!redis_url_parse(settings->redis_url, &gateway->redis_url, &url_problem)) {
        *ret_problem = strdup(url_problem);
        goto failed;
    }
    struct quota_limits limits = quota_limits_of(settings);
    gateway->quota = quota_create(&limits);
    gateway->metrics = metrics_create();
    gateway->dns = gateway_create_resolver(base);
    if (gateway->quota && gateway->metrics && gateway->dns && build_dispatcher(gateway) &&
        (gateway->control = control_create(gateway)) && build_redis(gateway) &&
        gateway_build_groups(gateway) && build_watch(gateway) && build_shared_access(gateway) &&
        build_workers(gateway, ret_problem) && gateway_build_sinks(gateway, ret_problem) &&
        build_sweep(gateway) && start(gateway))
        return gateway;

failed:
    if (!*ret_problem)
        *ret_problem = strdup("out of memory, threads or descriptors");
    gateway_destroy(gateway);
    return NULL;
}

static void destroy_links(struct gateway *gateway)
{
    struct commands *commands = gateway->commands;
    gateway->commands = NULL;
    commands_destroy(commands);
    struct feed *feed = gateway->feed;
    gateway->feed = NULL;
    feed_destroy(feed);
    struct tail *tail = gateway->tail;
    gateway->tail = NULL;
    tail_destroy(tail);
}

/* The threads end first; then everything is let go in one, those who ask before those who are asked. */
void gateway_destroy(struct gateway *gateway)
{
    if (!gateway)
        return;
    for (unsigned i = 0; i < gateway->worker_count; i++)
        if (gateway->workers && gateway->workers[i])
            worker_stop(gateway->workers[i]);
    for (unsigned i = 0; i < gateway->worker_count; i++)
        if (gateway->workers && gateway->workers[i])
            worker_close(gateway->workers[i]);
    shared_access_destroy(gateway->shared_access);
    if (gateway->watch)
        stream_watch_stop(gateway->watch);
    gateway_sinks_stop(gateway);
    groups_stop(gateway->groups);
    destroy_links(gateway);
    stream_watch_destroy(gateway->watch);
    for (unsigned i = 0; i < gateway->worker_count; i++)
        if (gateway->workers && gateway->workers[i])
            worker_destroy(gateway->workers[i]);
    free(gateway->workers);
    gateway_sinks_destroy(gateway);
    groups_destroy(gateway->groups);
    control_destroy(gateway->control);
    mailbox_destroy(gateway->mailbox);
    dispatcher_destroy(gateway->dispatcher);
    quota_destroy(gateway->quota);
    if (gateway->drain_timer)
        event_free(gateway->drain_timer);
    if (gateway->sweep_timer)
        event_free(gateway->sweep_timer);
    if (gateway->dns)
        evdns_base_free(gateway->dns, 0);
    redis_url_clear(&gateway->redis_url);
    buffer_free(&gateway->entry_json);
    metrics_destroy(gateway->metrics);
    free(gateway);
}

/* ---- while it runs ---- */

void gateway_hold(struct gateway *gateway)
{
    for (unsigned i = 0; i < gateway->worker_count; i++)
        worker_hold(gateway->workers[i]);
}

void gateway_apply_settings(struct gateway *gateway)
{
    const struct dispatcher_options options = dispatcher_options_of(gateway->settings);
    struct quota_limits limits = quota_limits_of(gateway->settings);
    dispatcher_set_options(gateway->dispatcher, &options);
    quota_set_limits(gateway->quota, &limits);
    log_set_level(gateway->log, gateway->settings->log_level);
    for (unsigned i = 0; i < gateway->worker_count; i++) {
        worker_apply_settings(gateway->workers[i]);
        worker_release(gateway->workers[i]);
    }
}

char *gateway_url(const struct gateway *gateway)
{
    const char *listen = gateway->settings->listen;
    const char *colon = strrchr(listen, ':');
    char *url = NULL;
    int written;
    if (strncmp(listen, "unix:", 5) == 0 || !colon)
        written = asprintf(&url, "%s", listen);
    else
        written = asprintf(&url, "http://%.*s:%u", colon == listen ? 7 : (int)(colon - listen),
                           colon == listen ? "0.0.0.0" : listen, front_port(gateway->workers[0]->front));
    return written < 0 ? NULL : url;
}

struct commands *gateway_commands(struct gateway *gateway)
{
    return gateway->commands;
}

/* ---- the end ---- */

static void on_drain_check(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct gateway *gateway = context;
    size_t clients = 0, webhooks = gateway_sinks_held(gateway);
    for (unsigned i = 0; i < gateway->worker_count; i++)
        clients += worker_held(gateway->workers[i]);
    bool is_over = clock_now_ms() >= gateway->drain_deadline_ms, is_anybody = clients + webhooks > 0;
    if (!is_over && is_anybody)
        return;
    event_del(gateway->drain_timer);
    if (is_anybody)
        LOG_WARN(gateway->log, "drain_timeout is over; those who are left are cut off",
                 LOG_NUMBER("clients", clients), LOG_NUMBER("webhooks", webhooks));
    gateway->drained(gateway->drained_context);
}

bool gateway_drain(struct gateway *gateway, gateway_drained *done, void *context)
{
    struct timeval interval = { .tv_usec = DRAIN_CHECK_MS * 1000 };
    uint64_t timeout_ms = gateway->settings->drain_timeout_ms;
    gateway->drained = done;
    gateway->drained_context = context;
    gateway->drain_deadline_ms = clock_now_ms() + timeout_ms;
    gateway->drain_timer = event_new(gateway->base, -1, EV_PERSIST, on_drain_check, gateway);
    if (!gateway->drain_timer || event_add(gateway->drain_timer, &interval) != 0)
        return false;
    gateway->metrics->draining = true;
    gateway_sinks_drain(gateway);
    /* The last quarter is for clients that are slow to take their last bytes. */
    for (unsigned i = 0; i < gateway->worker_count; i++)
        worker_drain(gateway->workers[i], timeout_ms - timeout_ms / 4);
    return true;
}
