/*
 * The reports of the configured streams, read again every few seconds for the metrics, and at once for those
 * who ask. One round of reading at a time, with a bound on what is under way, so that many who ask cost no
 * more than one.
 *
 *   IDLE ──▶ READING ──▶ IDLE      timer, or somebody waits
 *               │ all answered     those who waited when the round began are told
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "consumers/stream_report.h"
#include "metrics/metrics.h"
#include "redis/commands.h"

#define STREAM_WATCH_INTERVAL_MS 5000
#define STREAM_WATCH_READS_MAX 16 /* under way at a time */

struct stream_watch;

/* Borrows all; adds its series to the metrics. `metrics` NULL: only reads when somebody asks. NULL when
 * memory is short. */
struct stream_watch *stream_watch_create(struct event_base *base, struct commands *commands,
                                         struct metrics *metrics);
/* After the commands: they answer what is under way. */
void stream_watch_destroy(struct stream_watch *watch);

/* Names are copied; `groups` is comma-separated, may be empty: figures of these are there (as 0) even while
 * the groups are not. `maxlen` is for stream_watch_maxlen(). Before stream_watch_start(). False when memory
 * is short. */
bool stream_watch_add(struct stream_watch *watch, const char *name, size_t length, const char *groups,
                      uint64_t maxlen);
bool stream_watch_start(struct stream_watch *watch);
/* Asks Redis for nothing from now on; before the commands are destroyed. */
void stream_watch_stop(struct stream_watch *watch);

size_t stream_watch_count(const struct stream_watch *watch);

/* What entries published to this stream trim it to; 0: nothing is said of it. */
uint64_t stream_watch_maxlen(const struct stream_watch *watch, const char *name, size_t length);

/* Somebody who waits for reports that are no older than the asking. */
struct stream_watch_wait {
    struct list node; /* linked while it waits; list_remove() calls it off */
    void (*done)(void *context);
    void *context;
};

/* `done` is called once, from the loop, never inside the call. */
void stream_watch_refresh(struct stream_watch *watch, struct stream_watch_wait *wait);

/* False when Redis did not answer for any of them. */
bool stream_watch_is_known(const struct stream_watch *watch);

/*
 * An array of the streams' reports (stream_report.h). Of one that is not there "length" is 0 and "exists"
 * false; where the key is no stream or Redis refuses, there is a "problem" instead.
 */
void stream_watch_append_json(const struct stream_watch *watch, bool with_consumers, struct buffer *out);

/*
 * sluice_stream_length and _bytes{stream}; sluice_stream_pending, _lag (absent when nobody knows),
 * _oldest_pending_seconds and _consumers{stream,group}. What Redis did not answer for is absent.
 */
void stream_watch_append_text(const struct stream_watch *watch, struct buffer *out);
