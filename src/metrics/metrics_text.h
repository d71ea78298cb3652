/*
 * The figures for reading: Prometheus text exposition format 0.0.4 for scrapers, JSON for the web page.
 * `promtool check metrics` finds nothing to say about the first. Adds `process_*` from /proc/self and
 * `sluice_build_info`.
 */
#pragma once

#include "base/buffer.h"
#include "metrics/metrics.h"

#define METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

void metrics_append_text(const struct metrics *metrics, const char *version, struct buffer *out);

/*
 * One object: {"version", "uptimeSeconds", "redis": {"up", "cacheHits", "cacheMisses", "cacheTotal",
 * "cacheHitRatio", "pubSubEvents", "reconnects", "subscriptions"}, "sse": {"clients", "sseEventCount",
 * "sseBytes", "sseAvgLatencyMs", "sseP50LatencyMs", "sseP99LatencyMs", "backlogBytes", "gaps": {reason: n},
 * "slowClients": {action: n}}, "publish": {"published", "duplicates", "failed", "avgMs", "p99Ms"}, "http":
 * {"connections", "requests"}, "process": {"residentBytes", "cpuSeconds", "openFds", "maxFds"}, "draining"}
 * and a member for each source (metrics/series.h).
 */
void metrics_append_json(const struct metrics *metrics, const char *version, struct buffer *out);
