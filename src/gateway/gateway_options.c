#include "gateway/gateway_options.h"

#include <sched.h>
#include <sys/resource.h>

#include "gateway/settings_sinks.h"

#define DESCRIPTOR_RESERVE 64 /* Redis, log, epoll, DNS, origin */
#define DESCRIPTORS_PER_WORKER 16

/* As many streams as descriptors are left beside the requests; a hand-over needs two for a moment. */
static size_t clients_max(const struct settings *settings)
{
    if (settings->clients_max > 0)
        return settings->clients_max;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 512;
    size_t others = settings->connections_max + settings->origin_concurrency_max + DESCRIPTOR_RESERVE +
                    (size_t)DESCRIPTORS_PER_WORKER * worker_count_of(settings);
    const struct sink_settings *sinks = settings->sinks.items;
    for (size_t i = 0; i < settings->sinks.count; i++)
        others += sinks[i].concurrency;
    return limit.rlim_cur > 2 * others ? limit.rlim_cur - others : limit.rlim_cur / 2;
}

struct hub_options hub_options_of(const struct settings *settings)
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

static size_t share_of(uint64_t whole, unsigned worker_count)
{
    return whole < worker_count ? 1 : (size_t)(whole / worker_count);
}

struct front_options front_options_of(const struct settings *settings, const struct gateway *gateway)
{
    return (struct front_options){
        .listen = settings->listen,
        .listeners = gateway->worker_count,
        .reuse_port = settings->reuse_port,
        .connections_max = share_of(settings->connections_max, gateway->worker_count),
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

struct dispatcher_options dispatcher_options_of(const struct settings *settings)
{
    return (struct dispatcher_options){ .replay_messages = settings->replay_messages,
                                        .replay_bytes = settings->replay_bytes };
}

struct snapshot_cache_options snapshot_cache_options_of(const struct settings *settings,
                                                        unsigned worker_count)
{
    return (struct snapshot_cache_options){
        .ttl_ms = settings->snapshot_ttl_ms,
        .ttl_moving_ms = settings->snapshot_ttl_moving_ms,
        .ttl_idle_ms = settings->snapshot_ttl_idle_ms,
        .entries_max = share_of(settings->snapshot_entries_max, worker_count),
        .bytes_max = share_of(settings->snapshot_bytes_max, worker_count),
        .has_origin = *settings->origin_url != '\0',
    };
}

uint64_t audit_lines_of(const struct settings *settings, unsigned worker_count)
{
    uint64_t lines = settings->audit_lines_per_second;
    return lines > 0 ? share_of(lines, worker_count) : 0;
}

unsigned worker_count_of(const struct settings *settings)
{
    if (settings->workers > 0)
        return (unsigned)settings->workers;
    cpu_set_t processors;
    int count = sched_getaffinity(0, sizeof(processors), &processors) == 0 ? CPU_COUNT(&processors) : 1;
    return count < SETTING_WORKERS_MAX ? (unsigned)count : SETTING_WORKERS_MAX;
}
