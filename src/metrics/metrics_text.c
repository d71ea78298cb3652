#include "metrics/metrics_text.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "metrics/process_usage.h"
#include "metrics/series.h"

/* Where the figures of one reading come from. */
struct reading {
    const struct metrics *metrics;
    struct process_usage process;
    const char *version;
};

enum figure_type { COUNTER, GAUGE, HISTOGRAM };

struct figure {
    const char *name;
    enum figure_type type;
    const char *help;
    /* Appends the samples, each with its name and labels. */
    void (*append)(const struct figure *figure, const struct reading *reading, struct buffer *out);
    size_t offset; /* of the field, for the functions that read one */
};

static const void *metrics_field(const struct reading *reading, const struct figure *figure)
{
    return (const char *)reading->metrics + figure->offset;
}

static void append_count(const struct figure *figure, const struct reading *reading, struct buffer *out)
{
    const uint64_t *value = metrics_field(reading, figure);
    buffer_printf(out, "%s %" PRIu64 "\n", figure->name, *value);
}

static void append_flag(const struct figure *figure, const struct reading *reading, struct buffer *out)
{
    const bool *value = metrics_field(reading, figure);
    buffer_printf(out, "%s %d\n", figure->name, *value);
}

static void append_histogram(const struct figure *figure, const struct reading *reading, struct buffer *out)
{
    const struct histogram *histogram = metrics_field(reading, figure);
    uint64_t cumulative = 0;
    for (int bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        cumulative += histogram->counts[bucket];
        buffer_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", figure->name, histogram_bounds[bucket],
                      cumulative);
    }
    buffer_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", figure->name, histogram->count);
    buffer_printf(out, "%s_sum %" PRIu64 ".%09" PRIu64 "\n", figure->name,
                  histogram->sum_ns / CLOCK_NS_PER_SECOND, histogram->sum_ns % CLOCK_NS_PER_SECOND);
    buffer_printf(out, "%s_count %" PRIu64 "\n", figure->name, histogram->count);
}

static void append_gaps(const struct figure *figure, const struct reading *reading, struct buffer *out)
{
    for (enum gap_reason reason = 0; reason < GAP_REASONS; reason++)
        buffer_printf(out, "%s{reason=\"%s\"} %" PRIu64 "\n", figure->name, gap_reason_name(reason),
                      reading->metrics->gaps[reason]);
}

static void append_slow_clients(const struct figure *figure, const struct reading *reading,
                                struct buffer *out)
{
    for (enum slow_action action = 0; action < SLOW_ACTIONS; action++)
        buffer_printf(out, "%s{action=\"%s\"} %" PRIu64 "\n", figure->name, slow_action_name(action),
                      reading->metrics->slow_clients[action]);
}

static void append_refusals(const struct figure *figure, const struct reading *reading, struct buffer *out)
{
    for (enum refusal_reason reason = 0; reason < REFUSAL_REASONS; reason++)
        buffer_printf(out, "%s{reason=\"%s\"} %" PRIu64 "\n", figure->name, refusal_reason_name(reason),
                      reading->metrics->access_refused[reason]);
}

static void append_limited(const struct figure *figure, const struct reading *reading, struct buffer *out)
{
    for (enum limit limit = 0; limit < LIMITS; limit++)
        buffer_printf(out, "%s{limit=\"%s\"} %" PRIu64 "\n", figure->name, limit_name(limit),
                      reading->metrics->limited[limit]);
}

/* Only the codes that were seen: 600 rows a route would help nobody. */
static void append_requests(const struct figure *figure, const struct reading *reading, struct buffer *out)
{
    for (enum route_label route = 0; route < ROUTE_LABELS; route++) {
        for (int code = 0; code < METRICS_STATUS_MAX; code++) {
            uint64_t count = reading->metrics->http_requests[route][code];
            if (count > 0)
                buffer_printf(out, "%s{route=\"%s\",code=\"%d\"} %" PRIu64 "\n", figure->name,
                              route_label_name(route), code, count);
        }
    }
}

static double cache_hit_ratio(const struct metrics *metrics)
{
    uint64_t lookups = metrics->cache_hits + metrics->cache_misses;
    return lookups == 0 ? 0 : (double)metrics->cache_hits / (double)lookups;
}

static void append_hit_ratio(const struct figure *figure, const struct reading *reading, struct buffer *out)
{
    buffer_printf(out, "%s %.6g\n", figure->name, cache_hit_ratio(reading->metrics));
}

static void append_build_info(const struct figure *figure, const struct reading *reading, struct buffer *out)
{
    buffer_printf(out, "%s{version=", figure->name);
    /* What a version may hold is written the same in a JSON string and in a label. */
    buffer_append_json_string(out, reading->version, strlen(reading->version));
    buffer_append_text(out, "} 1\n");
}

static void append_worker_clients(const struct figure *figure, const struct reading *reading,
                                  struct buffer *out)
{
    for (unsigned i = 0; i < reading->metrics->workers && i < METRICS_WORKERS_MAX; i++)
        buffer_printf(out, "%s{worker=\"%u\"} %" PRIu64 "\n", figure->name, i,
                      reading->metrics->worker_clients[i]);
}

static void append_cpu_seconds(const struct figure *figure, const struct reading *reading, struct buffer *out)
{
    buffer_printf(out, "%s %.6f\n", figure->name, reading->process.cpu_seconds);
}

static void append_process_count(const struct figure *figure, const struct reading *reading,
                                 struct buffer *out)
{
    const uint64_t *value = (const void *)((const char *)&reading->process + figure->offset);
    buffer_printf(out, "%s %" PRIu64 "\n", figure->name, *value);
}

static void append_start_time(const struct figure *figure, const struct reading *reading, struct buffer *out)
{
    uint64_t start_ms = reading->metrics->start_wall_ms;
    buffer_printf(out, "%s %" PRIu64 ".%03" PRIu64 "\n", figure->name, start_ms / 1000, start_ms % 1000);
}

#define COUNT(field) append_count, offsetof(struct metrics, field)
#define FLAG(field) append_flag, offsetof(struct metrics, field)
#define TIMES(field) append_histogram, offsetof(struct metrics, field)
#define PROCESS(field) append_process_count, offsetof(struct process_usage, field)

/* clang-format off */
static const struct figure figures[] = {
    { "sluice_sse_clients", GAUGE, "Open event streams.", COUNT(sse_clients) },
    { "sluice_sse_connects_total", COUNTER, "Event streams opened.", COUNT(sse_connects) },
    { "sluice_sse_refused_total", COUNTER, "Event streams refused: too many, or draining.", COUNT(sse_refused) },
    { "sluice_sse_events_total", COUNTER, "Events handed to clients; one message to ten clients counts ten.", COUNT(sse_events) },
    { "sluice_sse_bytes_total", COUNTER, "Bytes of event streams handed to the kernel.", COUNT(sse_bytes) },
    { "sluice_sse_compressed_bytes_total", COUNTER, "Bytes of compressed event streams.", COUNT(sse_compressed_bytes) },
    { "sluice_sse_uncompressed_bytes_total", COUNTER, "What those streams would have been without compression.", COUNT(sse_uncompressed_bytes) },
    { "sluice_sse_deflated_total", COUNTER, "Pieces of streams deflated, each once for all its clients.", COUNT(sse_deflated) },
    { "sluice_sse_backlog_bytes", GAUGE, "Bytes that wait for slow clients.", COUNT(sse_backlog_bytes) },
    { "sluice_sse_heartbeats_total", COUNTER, "Heartbeat comments sent.", COUNT(sse_heartbeats) },
    { "sluice_sse_latency_seconds", HISTOGRAM, "From a message read from Redis to its last byte handed to the kernel for its last client.", TIMES(sse_latency) },
    { "sluice_gaps_total", COUNTER, "Gaps announced to clients.", append_gaps, 0 },
    { "sluice_slow_clients_total", COUNTER, "What was done about clients that read too slowly.", append_slow_clients, 0 },

    { "sluice_sse_expired_total", COUNTER, "Streams ended because the right to them was over.", COUNT(sse_expired) },
    { "sluice_jwks_fetches_total", COUNTER, "Fetches of the keys that tokens are signed with.", COUNT(jwks_fetches) },
    { "sluice_jwks_failures_total", COUNTER, "Fetches of such keys that brought none.", COUNT(jwks_failures) },

    { "sluice_events_published_total", COUNTER, "Events accepted by Redis for callers.", COUNT(events_published) },
    { "sluice_events_duplicate_total", COUNTER, "Events answered from their idempotency key.", COUNT(events_duplicate) },
    { "sluice_publish_failed_total", COUNTER, "Events that Redis did not accept, answered with an error.", COUNT(publish_failed) },
    { "sluice_publish_retries_total", COUNTER, "Repeated attempts to publish.", COUNT(publish_retries) },
    { "sluice_events_consumed_total", COUNTER, "Messages read from Redis.", COUNT(events_consumed) },
    { "sluice_stream_entries_total", COUNTER, "Stream entries read from Redis as they came.", COUNT(stream_entries) },
    { "sluice_stream_replayed_total", COUNTER, "Stream entries given to clients from history.", COUNT(stream_replayed) },
    { "sluice_publish_seconds", HISTOGRAM, "From a complete publish request to its receipt, retries included.", TIMES(publish) },

    { "sluice_cache_hits_total", COUNTER, "Snapshots answered from the cache.", COUNT(cache_hits) },
    { "sluice_cache_misses_total", COUNTER, "Snapshots that were not in the cache.", COUNT(cache_misses) },
    { "sluice_cache_hit_ratio", GAUGE, "Hits among all lookups since the start, 0 to 1.", append_hit_ratio, 0 },
    { "sluice_cache_entries", GAUGE, "Snapshots held.", COUNT(cache_entries) },
    { "sluice_cache_invalidations_total", COUNTER, "Snapshots dropped because Redis said they changed.", COUNT(cache_invalidations) },
    { "sluice_origin_fetches_total", COUNTER, "Snapshots asked of the origin.", COUNT(origin_fetches) },
    { "sluice_origin_failures_total", COUNTER, "Answers of the origin that were none.", COUNT(origin_failures) },

    { "sluice_group_consumers", GAUGE, "Consumers of groups connected to this gateway.", COUNT(group_consumers) },
    { "sluice_group_deliveries_total", COUNTER, "Stream entries handed to consumers of groups, each time counted.", COUNT(group_deliveries) },
    { "sluice_group_acks_total", COUNTER, "Stream entries acknowledged through this gateway.", COUNT(group_acks) },
    { "sluice_group_nacks_total", COUNTER, "Stream entries given back to be delivered again.", COUNT(group_nacks) },
    { "sluice_group_claims_total", COUNTER, "Pending stream entries taken over from another consumer.", COUNT(group_claims) },
    { "sluice_group_dead_letters_total", COUNTER, "Stream entries given up and put into a stream of dead letters.", COUNT(group_dead_letters) },

    { "sluice_access_refused_total", COUNTER, "Requests and streams refused: no credential, no grant, or over a limit.", append_refusals, 0 },
    { "sluice_limited_total", COUNTER, "Streams and publishes refused because a limit was reached.", append_limited, 0 },
    { "sluice_audit_left_out_total", COUNTER, "Refusals counted but not logged one by one.", COUNT(audit_left_out) },
    { "sluice_admin_acts_total", COUNTER, "Acts of administrators.", COUNT(admin_acts) },
    { "sluice_tickets_issued_total", COUNTER, "One-time tickets given out.", COUNT(tickets_issued) },
    { "sluice_tickets_taken_total", COUNTER, "Tickets that opened a stream.", COUNT(tickets_taken) },
    { "sluice_tickets_refused_total", COUNTER, "Tickets that were spent, late, or never given out.", COUNT(tickets_refused) },
    { "sluice_authorizer_asks_total", COUNTER, "Questions put to the application.", COUNT(authorizer_asks) },
    { "sluice_authorizer_hits_total", COUNTER, "Questions answered by what the application said before, or is being asked already.", COUNT(authorizer_hits) },
    { "sluice_authorizer_failures_total", COUNTER, "Questions that the application did not answer with yes or no.", COUNT(authorizer_failures) },
    { "sluice_streams_revoked_total", COUNTER, "Event streams cut by an administrator.", COUNT(streams_revoked) },

    { "sluice_redis_up", GAUGE, "1 while Redis can be read and written.", FLAG(redis_up) },
    { "sluice_redis_feed_up", GAUGE, "1 while the subscribing connection is ready.", FLAG(feed_up) },
    { "sluice_redis_commands_up", GAUGE, "1 while the command connection is ready.", FLAG(commands_up) },
    { "sluice_redis_reconnects_total", COUNTER, "Connections to Redis made again after a loss.", COUNT(redis_reconnects) },
    { "sluice_streams_watched", GAUGE, "Streams read for clients.", COUNT(streams_watched) },
    { "sluice_redis_subscriptions", GAUGE, "Channels and patterns subscribed for clients.", COUNT(redis_subscriptions) },
    { "sluice_redis_commands_total", COUNTER, "Commands sent to Redis.", COUNT(redis_commands) },
    { "sluice_redis_errors_total", COUNTER, "Commands that Redis refused or that were lost.", COUNT(redis_errors) },

    { "sluice_http_requests_total", COUNTER, "Requests answered, by route and status code.", append_requests, 0 },
    { "sluice_http_connections", GAUGE, "Connections of ordinary requests; event streams are not among them.", COUNT(http_connections) },
    { "sluice_http_rejected_total", COUNTER, "Malformed or dangerous requests refused.", COUNT(http_rejected) },
    { "sluice_http_timeouts_total", COUNTER, "Connections closed because a request came too slowly.", COUNT(http_timeouts) },
    { "sluice_http_accept_pauses_total", COUNTER, "Times accepting paused for want of descriptors.", COUNT(accept_pauses) },
    { "sluice_http_request_duration_seconds", HISTOGRAM, "From a complete request head to the queued response; event streams not counted.", TIMES(http_duration) },
    { "sluice_workers", GAUGE, "Threads that serve clients.", COUNT(workers) },
    { "sluice_worker_clients", GAUGE, "Connected event streams, by thread.", append_worker_clients, 0 },
    { "sluice_worker_queued_bytes", GAUGE, "Read from Redis and waiting for a thread that serves clients.", COUNT(worker_queued_bytes) },
    { "sluice_worker_losses_total", COUNTER, "Times that a thread fell so far behind, or memory was so short, that what waited for it was lost and its clients were told of a gap.", COUNT(worker_losses) },
    { "sluice_draining", GAUGE, "1 while the gateway is shutting down.", FLAG(draining) },
    { "sluice_build_info", GAUGE, "The version that runs; always 1.", append_build_info, 0 },

    { "process_cpu_seconds_total", COUNTER, "Total user and system CPU time spent in seconds.", append_cpu_seconds, 0 },
    { "process_open_fds", GAUGE, "Number of open file descriptors.", PROCESS(open_fds) },
    { "process_max_fds", GAUGE, "Maximum number of open file descriptors.", PROCESS(max_fds) },
    { "process_virtual_memory_bytes", GAUGE, "Virtual memory size in bytes.", PROCESS(virtual_bytes) },
    { "process_resident_memory_bytes", GAUGE, "Resident memory size in bytes.", PROCESS(resident_bytes) },
    { "process_start_time_seconds", GAUGE, "Start time of the process since unix epoch in seconds.", append_start_time, 0 },
};
/* clang-format on */

void metrics_append_text(const struct metrics *metrics, const char *version, struct buffer *out)
{
    static const char *const types[] = {
        [COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"
    };
    const struct reading reading = { .metrics = metrics,
                                     .process = process_usage_read(),
                                     .version = version };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        const struct figure *figure = &figures[i];
        series_append_head(out, figure->name, types[figure->type], figure->help);
        figure->append(figure, &reading, out);
    }
    for (const struct list *node = metrics->sources->next; node != metrics->sources; node = node->next) {
        const struct metrics_source *source = LIST_OWNER(node, struct metrics_source, node);
        source->append_text(source->context, out);
    }
}

/* The JSON summary: members and objects follow each other, and a comma goes between two on the same level. */

static void json_name(struct buffer *out, const char *name)
{
    if (out->size > 0 && out->data[out->size - 1] != '{')
        buffer_append_byte(out, ',');
    buffer_append_json_string(out, name, strlen(name));
    buffer_append_byte(out, ':');
}

static void json_open(struct buffer *out, const char *name)
{
    json_name(out, name);
    buffer_append_byte(out, '{');
}

static void json_close(struct buffer *out)
{
    buffer_append_byte(out, '}');
}

static void json_count(struct buffer *out, const char *name, uint64_t value)
{
    json_name(out, name);
    buffer_append_unsigned(out, value);
}

static void json_fraction(struct buffer *out, const char *name, double value)
{
    json_name(out, name);
    buffer_printf(out, "%.10g", value);
}

static void json_flag(struct buffer *out, const char *name, bool value)
{
    json_name(out, name);
    buffer_append_text(out, value ? "true" : "false");
}

static double average_ms(const struct histogram *histogram)
{
    return histogram->count == 0
               ? 0
               : (double)histogram->sum_ns / (double)histogram->count / (double)CLOCK_NS_PER_MS;
}

static double quantile_ms(const struct histogram *histogram, double quantile)
{
    return histogram_quantile(histogram, quantile) * 1000;
}

static void json_redis(const struct metrics *metrics, struct buffer *out)
{
    json_open(out, "redis");
    json_flag(out, "up", metrics->redis_up);
    json_count(out, "cacheHits", metrics->cache_hits);
    json_count(out, "cacheMisses", metrics->cache_misses);
    json_count(out, "cacheTotal", metrics->cache_hits + metrics->cache_misses);
    json_fraction(out, "cacheHitRatio", cache_hit_ratio(metrics));
    json_count(out, "pubSubEvents", metrics->events_consumed);
    json_count(out, "reconnects", metrics->redis_reconnects);
    json_count(out, "subscriptions", metrics->redis_subscriptions);
    json_close(out);
}

static void json_sse(const struct metrics *metrics, struct buffer *out)
{
    json_open(out, "sse");
    json_count(out, "clients", metrics->sse_clients);
    json_count(out, "sseEventCount", metrics->sse_events);
    json_count(out, "sseBytes", metrics->sse_bytes);
    json_fraction(out, "sseAvgLatencyMs", average_ms(&metrics->sse_latency));
    json_fraction(out, "sseP50LatencyMs", quantile_ms(&metrics->sse_latency, 0.5));
    json_fraction(out, "sseP99LatencyMs", quantile_ms(&metrics->sse_latency, 0.99));
    json_count(out, "backlogBytes", metrics->sse_backlog_bytes);
    json_open(out, "gaps");
    for (enum gap_reason reason = 0; reason < GAP_REASONS; reason++)
        json_count(out, gap_reason_name(reason), metrics->gaps[reason]);
    json_close(out);
    json_open(out, "slowClients");
    for (enum slow_action action = 0; action < SLOW_ACTIONS; action++)
        json_count(out, slow_action_name(action), metrics->slow_clients[action]);
    json_close(out);
    json_close(out);
}

static void json_publish(const struct metrics *metrics, struct buffer *out)
{
    json_open(out, "publish");
    json_count(out, "published", metrics->events_published);
    json_count(out, "duplicates", metrics->events_duplicate);
    json_count(out, "failed", metrics->publish_failed);
    json_fraction(out, "avgMs", average_ms(&metrics->publish));
    json_fraction(out, "p99Ms", quantile_ms(&metrics->publish, 0.99));
    json_close(out);
}

static void json_access(const struct metrics *metrics, struct buffer *out)
{
    json_open(out, "access");
    json_open(out, "refused");
    for (enum refusal_reason reason = 0; reason < REFUSAL_REASONS; reason++)
        json_count(out, refusal_reason_name(reason), metrics->access_refused[reason]);
    json_close(out);
    json_open(out, "limited");
    for (enum limit limit = 0; limit < LIMITS; limit++)
        json_count(out, limit_name(limit), metrics->limited[limit]);
    json_close(out);
    json_count(out, "ticketsIssued", metrics->tickets_issued);
    json_count(out, "ticketsTaken", metrics->tickets_taken);
    json_count(out, "ticketsRefused", metrics->tickets_refused);
    json_count(out, "authorizerAsks", metrics->authorizer_asks);
    json_count(out, "authorizerHits", metrics->authorizer_hits);
    json_count(out, "authorizerFailures", metrics->authorizer_failures);
    json_count(out, "streamsRevoked", metrics->streams_revoked);
    json_close(out);
}

static void json_http(const struct metrics *metrics, struct buffer *out)
{
    uint64_t requests = 0;
    for (enum route_label route = 0; route < ROUTE_LABELS; route++)
        for (int code = 0; code < METRICS_STATUS_MAX; code++)
            requests += metrics->http_requests[route][code];
    json_open(out, "http");
    json_count(out, "connections", metrics->http_connections);
    json_count(out, "requests", requests);
    json_close(out);
}

static void json_process(struct buffer *out)
{
    const struct process_usage usage = process_usage_read();
    json_open(out, "process");
    json_count(out, "residentBytes", usage.resident_bytes);
    json_fraction(out, "cpuSeconds", usage.cpu_seconds);
    json_count(out, "openFds", usage.open_fds);
    json_count(out, "maxFds", usage.max_fds);
    json_close(out);
}

void metrics_append_json(const struct metrics *metrics, const char *version, struct buffer *out)
{
    uint64_t now_ms = clock_wall_ms();
    uint64_t uptime_ms = now_ms > metrics->start_wall_ms ? now_ms - metrics->start_wall_ms : 0;
    buffer_append_byte(out, '{');
    json_name(out, "version");
    buffer_append_json_string(out, version, strlen(version));
    json_fraction(out, "uptimeSeconds", (double)uptime_ms / 1000);
    json_redis(metrics, out);
    json_sse(metrics, out);
    json_publish(metrics, out);
    json_access(metrics, out);
    json_http(metrics, out);
    json_process(out);
    json_count(out, "workers", metrics->workers);
    json_count(out, "workerLosses", metrics->worker_losses);
    json_flag(out, "draining", metrics->draining);
    for (const struct list *node = metrics->sources->next; node != metrics->sources; node = node->next) {
        const struct metrics_source *source = LIST_OWNER(node, struct metrics_source, node);
        json_name(out, source->json_name);
        source->append_json(source->context, out);
    }
    json_close(out);
}
