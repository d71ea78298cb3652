/*
 * What there is to know about one Redis Stream and its consumer groups, as Redis has it at one moment: read
 * by one script of `XINFO STREAM … FULL`, `XREVRANGE`, `MEMORY USAGE` and `TIME`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "redis/commands.h"
#include "wire/entry_id.h"

#define STREAM_NAME_MAX 512             /* bytes of a stream's name */
#define STREAM_REPORT_GROUPS_MAX 256    /* more are counted, not listed */
#define STREAM_REPORT_CONSUMERS_MAX 256 /* of one group; likewise */

struct stream_report_consumer {
    char *name;
    size_t name_length;
    uint64_t pending;
    uint64_t idle_ms; /* since it last asked for entries */
};

struct stream_report_group {
    char *name;
    size_t name_length;
    struct entry_id last_delivered;
    uint64_t pending;
    /* How long the oldest entry has waited for its acknowledgement: since its delivery if there was one, and
     * since it was added if it was delivered again (a further delivery starts Redis' own clock anew). */
    uint64_t oldest_pending_ms; /* 0 without pending entries */
    bool has_lag;               /* false: nobody can tell */
    uint64_t lag;               /* entries not delivered yet */
    uint64_t consumer_count;
    struct stream_report_consumer *consumers;
    size_t listed_count;
};

struct stream_report {
    char *name;
    size_t name_length;
    uint64_t length;
    struct entry_id first, last; /* of the entries that are there; 0-0 when there is none */
    struct entry_id last_generated;
    uint64_t bytes; /* MEMORY USAGE, estimated from some of its nodes; 0: Redis would not say */
    uint64_t group_count;
    struct stream_report_group *groups;
    size_t listed_count;
};

enum stream_report_status {
    STREAM_REPORT_FOUND,
    STREAM_REPORT_ABSENT,
    STREAM_REPORT_WRONG_TYPE,  /* the key holds something else */
    STREAM_REPORT_UNAVAILABLE, /* Redis is away, or memory is short */
    STREAM_REPORT_REFUSED,     /* `problem` is what Redis said */
};

/* `report` is the callee's from now on; NULL unless FOUND. `problem` lives for the call; NULL unless REFUSED.
 */
typedef void stream_report_done(void *context, enum stream_report_status status, struct stream_report *report,
                                const char *problem);

/* Asks Redis. `done` is called once, from the loop and never inside the call. False when memory is short: it
 * is not called then. */
bool stream_report_read(struct commands *commands, const char *name, size_t length, stream_report_done *done,
                        void *context);

/* Makes a report of the script's replies. NULL when memory is short or the replies are none of Redis'.
 */
struct stream_report *stream_report_parse(const char *name, size_t length, const struct reply *replies);
void stream_report_destroy(struct stream_report *report);

/*
 * {"name", "length", "firstId", "lastId", "bytes", "groups": [{"name", "pending", "oldestPendingSeconds",
 * "lag", "lastDeliveredId", "consumerCount", "consumers": [{"name", "pending", "idleSeconds"}]}]}; what is
 * not known is null. "consumers" only with `with_consumers`. Names that are no UTF-8 have U+FFFD in them.
 */
void stream_report_append_json(const struct stream_report *report, bool with_consumers, struct buffer *out);

/*
 * In the place of a report that there is not: of a stream that does not exist "length" is 0 and "exists"
 * false; else there is a "problem" (NULL: nobody knows which).
 */
void stream_report_append_missing_json(const char *name, size_t length, enum stream_report_status status,
                                       const char *problem, struct buffer *out);

/* What `lag` is, from what XINFO says. False where it cannot be known (stream_report_lag.c). */
struct stream_lag_source {
    uint64_t length;
    struct entry_id first, last_generated;
    struct entry_id last_delivered;
    struct entry_id max_deleted;
    bool has_counts; /* Redis 7: the next three are known */
    uint64_t entries_added, entries_read, lag;
};
bool stream_report_lag(const struct stream_lag_source *source, uint64_t *ret_lag);
