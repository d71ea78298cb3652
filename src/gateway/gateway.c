#include "gateway/gateway.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "access/audit.h"
#include "base/clock.h"
#include "gateway/control.h"
#include "gateway/gateway_state.h"
#include "gateway/quota_limits.h"

#define FEED_OUTPUT_BYTES_MAX (16u << 20) /* subscriptions on their way; past this the link is reset */
#define COMMANDS_OUTPUT_BYTES_MAX                                                                            \
    (256u << 20) /* publishes on their way; redis_pending_max binds first with ordinary payloads */
#define READ_BYTES_PER_TURN (1u << 20)
#define DESCRIPTOR_RESERVE 64 /* Redis, log, epoll, DNS, origin */
#define SWEEP_INTERVAL_S 1
#define TRIM_AFTER_CONNECTS 256
#define DRAIN_CHECK_MS 20

/* ---- options from settings ---- */

/* As many streams as descriptors are left beside the requests; a hand-over needs two for a moment. */
static size_t clients_max(const struct settings *settings)
{
    if (settings->clients_max > 0)
        return settings->clients_max;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 512;
    size_t others = settings->connections_max + settings->origin_concurrency_max + DESCRIPTOR_RESERVE;
    const struct sink_settings *sinks = settings->sinks.items;
    for (size_t i = 0; i < settings->sinks.count; i++)
        others += sinks[i].concurrency;
    return limit.rlim_cur > 2 * others ? limit.rlim_cur - others : limit.rlim_cur / 2;
}

static struct hub_options hub_options_of(const struct settings *settings)
{
    return (struct hub_options){
        .clients_max = clients_max(settings),
        .deflate_bytes_min = settings->compress_min_bytes,
        .backlog_bytes_max = settings->backlog_bytes_max,
        .batch_slow_policy = settings->batch_slow_policy,
        .stall_timeout_ms = settings->stall_timeout_ms,
        .heartbeat_ms = settings->heartbeat_ms,
        .retry_min_ms = settings->retry_min_ms,
        .retry_max_ms = settings->retry_max_ms,
        .coalesce_ms = settings->coalesce_ms,
        .linger_ms = settings->subscription_linger_ms,
        .replay_messages = settings->replay_messages,
        .replay_bytes = settings->replay_bytes,
    };
}

static struct front_options front_options_of(const struct gateway *gateway)
{
    const struct settings *settings = gateway->settings;
    return (struct front_options){
        .listen = settings->listen,
        .reuse_port = settings->reuse_port,
        .connections_max = settings->connections_max,
        .body_bytes_max = settings->body_bytes_max,
        .head_timeout_ms = settings->head_timeout_ms,
        .body_timeout_ms = settings->body_timeout_ms,
        .keepalive_timeout_ms = settings->keepalive_timeout_ms,
        .topics_per_stream_max = settings->topics_per_stream_max,
        .compress = settings->compress,
        .retry_min_ms = settings->retry_min_ms,
        .retry_max_ms = settings->retry_max_ms,
        .cors_origins = settings->cors_origins,
        .cors_credentials = settings->cors_credentials,
        .admin_listen = settings->admin_listen,
        .trusted_proxies = settings->trusted_proxies,
        .forwarded_header = settings->forwarded_header,
        .identity_header = settings->identity_header,
        .proxy_protocol = settings->proxy_protocol,
        .access_log = settings->access_log,
        .idempotency_window_ms = settings->idempotency_window_ms,
        .stream_maxlen = settings->stream_maxlen,
        .publish_array_max = settings->publish_array_max,
        .version = gateway->version,
    };
}

static struct redis_link_options link_options_of(const struct gateway *gateway, const char *name,
                                                 size_t output_bytes_max)
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
        .metrics = gateway->metrics,
    };
}

/* ---- building ---- */

/*
 * A connection costs the HTTP library 32 KiB while it is in its hands. Many that come at once leave a heap
 * that the allocator keeps for ever unless it is asked, which is done when a second has passed without
 * newcomers.
 */
static void give_memory_back(struct gateway *gateway)
{
    uint64_t connects = gateway->metrics->sse_connects;
    bool is_quiet = connects == gateway->swept_connects;
    gateway->swept_connects = connects;
    if (!is_quiet || connects - gateway->trimmed_connects < TRIM_AFTER_CONNECTS)
        return;
    gateway->trimmed_connects = connects;
    malloc_trim(0);
}

static void on_sweep(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct gateway *gateway = context;
    snapshot_cache_sweep(gateway->cache, clock_now_ms());
    audit_sweep(gateway->audit);
    give_memory_back(gateway);
}

/* Without a resolv.conf (a bare container) addresses and /etc/hosts still work. */
static struct evdns_base *create_resolver(struct event_base *base)
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

static bool build_snapshots_and_hub(struct gateway *gateway)
{
    const struct settings *settings = gateway->settings;
    struct snapshot_cache_options cache_options = {
        .ttl_ms = settings->snapshot_ttl_ms,
        .ttl_moving_ms = settings->snapshot_ttl_moving_ms,
        .ttl_idle_ms = settings->snapshot_ttl_idle_ms,
        .entries_max = settings->snapshot_entries_max,
        .bytes_max = settings->snapshot_bytes_max,
        .has_origin = *settings->origin_url != '\0',
    };
    struct snapshot_source source = gateway_snapshot_source(gateway);
    gateway->cache = snapshot_cache_create(&cache_options, &source, gateway->metrics);
    if (!gateway->cache)
        return false;
    struct hub_options hub_options = hub_options_of(settings);
    struct hub_source hub_source = gateway_hub_source(gateway);
    gateway->hub =
        hub_create(gateway->base, &hub_options, &hub_source, gateway->cache, gateway->metrics, gateway->log);
    return gateway->hub != NULL;
}

static bool build_redis(struct gateway *gateway)
{
    struct redis_link_options feed_options = link_options_of(gateway, NULL, FEED_OUTPUT_BYTES_MAX);
    struct feed_events feed_events = gateway_feed_events(gateway);
    gateway->feed = feed_create(gateway->base, gateway->dns, &feed_options, &feed_events, gateway->log);
    struct commands_options commands_options = {
        .link = link_options_of(gateway, "commands", COMMANDS_OUTPUT_BYTES_MAX),
        .pending_max = gateway->settings->redis_pending_max,
        .timeout_ms = gateway->settings->redis_timeout_ms,
    };
    struct commands_events commands_events = gateway_commands_events(gateway);
    gateway->commands = commands_create(gateway->base, gateway->dns, &commands_options, &commands_events,
                                        gateway->metrics, gateway->log);
    if (!gateway->feed || !gateway->commands)
        return false;
    struct redis_link_options tail_options = link_options_of(gateway, NULL, COMMANDS_OUTPUT_BYTES_MAX);
    struct tail_events tail_events = gateway_tail_events(gateway);
    gateway->tail = tail_create(gateway->base, gateway->dns, &tail_options, &tail_events, gateway->commands,
                                gateway->log);
    return gateway->tail != NULL;
}

static bool build_origin(struct gateway *gateway)
{
    const struct settings *settings = gateway->settings;
    if (!*settings->origin_url)
        return true;
    struct http_client_options options = {
        .transfers_max = settings->origin_concurrency_max,
        .timeout_ms = settings->origin_timeout_ms,
        .response_bytes_max = settings->body_bytes_max,
    };
    gateway->origin = http_client_create(gateway->base, &options, gateway->log);
    return gateway->origin != NULL;
}

static bool build_watch(struct gateway *gateway)
{
    const struct setting_records *streams = &gateway->settings->streams;
    gateway->watch = stream_watch_create(gateway->base, gateway->commands, gateway->metrics);
    if (!gateway->watch)
        return false;
    for (size_t i = 0; i < streams->count; i++) {
        const struct stream_settings *stream = (const struct stream_settings *)streams->items + i;
        if (!stream_watch_add(gateway->watch, stream->name, strlen(stream->name), stream->groups,
                              stream->maxlen))
            return false;
    }
    return stream_watch_start(gateway->watch);
}

static bool build_access(struct gateway *gateway, char **ret_problem)
{
    gateway->audit = audit_create(gateway->settings->audit_lines_per_second, gateway->metrics, gateway->log);
    gateway->access = gateway_access_create(gateway->base, gateway->settings, &gateway->commands,
                                            gateway->metrics, gateway->log, ret_problem);
    gateway->control = control_create(gateway);
    return gateway->audit && gateway->access && gateway->control;
}

static bool build_front(struct gateway *gateway, char **ret_problem)
{
    struct front_options options = front_options_of(gateway);
    struct front_services services = {
        .base = gateway->base,
        .hub = gateway->hub,
        .cache = gateway->cache,
        .commands = gateway->commands,
        .groups = gateway->groups,
        .watch = gateway->watch,
        .access = gateway_access_get(gateway->access),
        .audit = gateway->audit,
        .tickets = gateway_access_tickets(gateway->access),
        .quota = gateway->quota,
        .metrics = gateway->metrics,
        .log = gateway->log,
    };
    gateway->front = front_create(&options, &services, ret_problem);
    return gateway->front != NULL;
}

static bool build_sweep(struct gateway *gateway)
{
    struct timeval interval = { .tv_sec = SWEEP_INTERVAL_S };
    gateway->sweep_timer = event_new(gateway->base, -1, EV_PERSIST, on_sweep, gateway);
    return gateway->sweep_timer && event_add(gateway->sweep_timer, &interval) == 0;
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
    gateway->dns = create_resolver(base);
    if (!gateway->quota || !gateway->metrics || !gateway->dns || !build_snapshots_and_hub(gateway) ||
        !build_redis(gateway) || !gateway_build_groups(gateway) || !build_origin(gateway) ||
        !build_sweep(gateway) || !build_watch(gateway) || !gateway_build_sinks(gateway, ret_problem) ||
        !build_access(gateway, ret_problem) || !build_front(gateway, ret_problem))
        goto failed;
    feed_start(gateway->feed);
    commands_start(gateway->commands);
    tail_start(gateway->tail);
    return gateway;

failed:
    if (!*ret_problem)
        *ret_problem = strdup("out of memory or descriptors");
    gateway_destroy(gateway);
    return NULL;
}

/*
 * Those who ask go before those who are asked, and the links to the outside go first of all: the answers they
 * still give (that nothing will come) need everybody. What they cause to be asked anew finds the pointer gone
 * and fails.
 */
void gateway_destroy(struct gateway *gateway)
{
    if (!gateway)
        return;
    struct http_client *origin = gateway->origin;
    gateway->origin = NULL;
    http_client_destroy(origin);
    gateway_access_stop(gateway->access);
    front_destroy(gateway->front);
    if (gateway->watch)
        stream_watch_stop(gateway->watch);
    gateway_sinks_stop(gateway);
    groups_stop(gateway->groups);
    struct commands *commands = gateway->commands;
    gateway->commands = NULL;
    commands_destroy(commands);
    stream_watch_destroy(gateway->watch);
    struct feed *feed = gateway->feed;
    gateway->feed = NULL;
    feed_destroy(feed);
    struct tail *tail = gateway->tail;
    gateway->tail = NULL;
    tail_destroy(tail);
    gateway_access_destroy(gateway->access);
    control_destroy(gateway->control);
    hub_destroy(gateway->hub);
    gateway_sinks_destroy(gateway);
    groups_destroy(gateway->groups);
    quota_destroy(gateway->quota);
    audit_destroy(gateway->audit);
    snapshot_cache_destroy(gateway->cache);
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

void gateway_apply_settings(struct gateway *gateway)
{
    struct hub_options hub_options = hub_options_of(gateway->settings);
    struct front_options front_options = front_options_of(gateway);
    struct quota_limits limits = quota_limits_of(gateway->settings);
    quota_set_limits(gateway->quota, &limits);
    hub_set_options(gateway->hub, &hub_options);
    front_set_options(gateway->front, &front_options);
    gateway_access_apply(gateway->access, gateway->settings, gateway->hub);
    log_set_level(gateway->log, gateway->settings->log_level);
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
                           colon == listen ? "0.0.0.0" : listen, front_port(gateway->front));
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
    size_t clients = hub_client_count(gateway->hub), requests = front_request_count(gateway->front);
    size_t webhooks = gateway_sinks_held(gateway);
    bool is_over = clock_now_ms() >= gateway->drain_deadline_ms,
         is_anybody = clients + requests + webhooks > 0;
    if (!is_over && is_anybody)
        return;
    event_del(gateway->drain_timer);
    if (is_anybody)
        LOG_WARN(gateway->log, "drain_timeout is over; those who are left are cut off",
                 LOG_NUMBER("clients", clients), LOG_NUMBER("requests", requests),
                 LOG_NUMBER("webhooks", webhooks));
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
    front_drain(gateway->front);
    gateway_sinks_drain(gateway);
    /* The last quarter is for clients that are slow to take their last bytes. */
    hub_drain(gateway->hub, timeout_ms - timeout_ms / 4);
    return true;
}
