/*
 * Consumers of a Redis Streams group inside this process: each entry goes to one consumer of the group,
 * whichever gateway it is connected to, until somebody acknowledges it.
 *
 *   groups_consume ─▶ on_ready ─▶ group_consumer_start ─▶ on_entry … ─▶ group_consumer_leave
 *                     (the group                          at most `prefetch` of them
 *                      exists)                            not acknowledged at any time
 *
 * Redis keeps what is pending for whom. A consumer first gets what is pending under its own name, then what
 * is new. An entry that is not acknowledged for `idle_ms` is delivered again, to any consumer with room, and
 * after `max_deliveries` becomes a dead letter (consumers/dead_letter.h). So an entry may come twice and
 * never gets lost: a consumer that needs longer says so by group_consumer_touch().
 *
 * Nothing blocks: Redis is asked when there is room and news (groups_stream_changed()), and once a second in
 * any case. While Redis is away consumers wait. A group that has vanished (FLUSHALL, XGROUP DESTROY) is made
 * again.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "metrics/metrics.h"
#include "redis/commands.h"
#include "wire/entry.h"
#include "wire/entry_id.h"

#define GROUP_NAME_MAX 512 /* bytes of a stream's, group's or consumer's name */
#define GROUP_PREFETCH_DEFAULT 10
#define GROUP_PREFETCH_MAX 1000
#define GROUP_IDLE_MS_DEFAULT 60000
#define GROUP_IDLE_MS_MIN 100
#define GROUP_IDLE_MS_MAX 86400000
#define GROUP_DELIVERIES_DEFAULT 5
#define GROUP_DELIVERIES_MAX 1000
#define GROUP_IDS_MAX 1000 /* of one acknowledgement */

struct groups;
struct group_consumer;

/* What groups of other threads of this process should know. */
struct group_news {
    const char *stream;
    size_t stream_length;
    const char *group;
    size_t group_length;
    const char *consumer; /* whose; NULL: anybody's */
    size_t consumer_length;
    bool is_newcomer;           /* it has come: an older one of its name ends */
    bool are_free;              /* the ids were given back: others may have them */
    const struct entry_id *ids; /* what was acknowledged or given back … */
    const bool *done;           /* … if it was pending */
    size_t count;
};

/* What groups ask of the tail; bound by the gateway. Each watch() that returned true is followed by one
 * unwatch() or groups_stream_refused(). */
struct groups_source {
    bool (*watch)(void *context, const char *stream, size_t length);
    void (*unwatch)(void *context, const char *stream, size_t length);
    /* For groups_told() in the other threads; may be NULL. */
    void (*tell)(void *context, const struct group_news *news);
    void *context;
};

/* Borrows commands, metrics and log. NULL when memory is short. */
struct groups *groups_create(struct event_base *base, struct commands *commands,
                             const struct groups_source *source, struct metrics *metrics, struct log *log);
/* Asks Redis and the tail for nothing from now on; before the commands are destroyed, which answers what is
 * under way. */
void groups_stop(struct groups *groups);
/* After groups_stop() and the destruction of the commands; no consumer is left. */
void groups_destroy(struct groups *groups);

/* There are new entries in a stream. Cheap for streams that nobody consumes. */
void groups_stream_changed(struct groups *groups, const char *name, size_t length);

/* What happened in another thread. */
void groups_told(struct groups *groups, const struct group_news *news);

/* The stream is not watched any more, without unwatch(). Groups ask again within a second or two. */
void groups_stream_refused(struct groups *groups, const char *name, size_t length);

/* --- consuming --- */

enum group_start {
    GROUP_START_NEW, /* a group made anew begins with what comes from now on ($) */
    GROUP_START_ALL, /* with the stream's first entry (0) */
};

/* Names are copied. All numbers within their bounds above. */
struct consumer_request {
    const char *stream;
    size_t stream_length;
    const char *group;
    size_t group_length;
    const char *consumer;
    size_t consumer_length;
    enum group_start start;
    size_t prefetch;
    uint64_t idle_ms;
    uint64_t max_deliveries;
};

/* Lives for the call. */
struct group_entry {
    struct entry_id id;
    uint64_t deliveries; /* this one counted: 1 the first time */
    const char *json;    /* its fields as wire/entry.h writes them */
    size_t json_length;
    const struct entry_field *fields;
    size_t field_count;
};

enum consumer_end {
    CONSUMER_END_REPLACED,   /* a newer consumer of this name came to this gateway */
    CONSUMER_END_WRONG_TYPE, /* the key is no stream */
    CONSUMER_END_REFUSED,    /* Redis does not let us (NOPERM); `problem` is what it said */
};

/* None of them is called inside a call of the consumer's owner. Inside of them the owner may call anything of
 * this header but groups_consume(). */
struct consumer_events {
    /* Once: the group exists, or Redis is away and it will be made when Redis is back. May be NULL. */
    void (*on_ready)(void *context);
    void (*on_entry)(void *context, const struct group_entry *entry);
    /* What is in flight is no longer known to Redis. `reason` is "group-reset" or "trimmed" (`missing`
     * entries were deleted before they were acknowledged); static. May be NULL. */
    void (*on_gap)(void *context, const char *reason, uint64_t missing);
    /* Once, instead of everything else: the consumer is gone when this returns. `problem` lives for the call.
     */
    void (*on_ended)(void *context, enum consumer_end end, const char *problem);
    void *context;
};

/* NULL when memory is short. */
struct group_consumer *groups_consume(struct groups *groups, const struct consumer_request *request,
                                      const struct consumer_events *events);

/* Lets entries come, at first or again. May be called before on_ready. */
void group_consumer_start(struct group_consumer *consumer);

/* No entries come until the next start; what was on its way goes to others. */
void group_consumer_pause(struct group_consumer *consumer);

/* Ends it without a further call. What it has not acknowledged stays pending under its name. */
void group_consumer_leave(struct group_consumer *consumer);

/* Keeps entries from being delivered again for another idle_ms. False when memory is short. */
bool group_consumer_touch(struct group_consumer *consumer, const struct entry_id *ids, size_t count);

/* Gives an entry up: it becomes a dead letter with this reason, and is acknowledged. False when memory is
 * short. */
bool group_consumer_bury(struct group_consumer *consumer, struct entry_id id, const char *reason);

/* --- acknowledging, from anywhere --- */

enum group_ids_status {
    GROUP_IDS_DONE,
    GROUP_IDS_NO_GROUP,    /* no such stream or group */
    GROUP_IDS_WRONG_TYPE,  /* the key is no stream */
    GROUP_IDS_UNAVAILABLE, /* Redis is away, or answered too late: may have been done */
    GROUP_IDS_REFUSED,     /* `problem` is what Redis said */
};

/* `done` says of each id whether it was pending and is done; NULL unless GROUP_IDS_DONE. All live for the
 * call. */
typedef void group_ids_done(void *context, enum group_ids_status status, const bool *done, size_t count,
                            const char *problem);

struct group_ids {
    const char *stream;
    size_t stream_length;
    const char *group;
    size_t group_length;
    const char *consumer; /* only what is pending under this name; NULL: whoever has it */
    size_t consumer_length;
    const struct entry_id *ids;
    size_t count; /* 1 to GROUP_IDS_MAX */
};

/* XACK. `answer` (may be NULL) is called once, from the loop, never inside the call. False when memory is
 * short: it is not called then. */
bool groups_ack(struct groups *groups, const struct group_ids *ids, group_ids_done *answer, void *context);

/* Gives entries back: they are delivered again at once, to any consumer with room, and counted. */
bool groups_nack(struct groups *groups, const struct group_ids *ids, group_ids_done *answer, void *context);

/* The same for a consumer's own, without asking who else may have them by now. */
bool group_consumer_ack(struct group_consumer *consumer, const struct entry_id *ids, size_t count,
                        group_ids_done *answer, void *context);
bool group_consumer_nack(struct group_consumer *consumer, const struct entry_id *ids, size_t count,
                         group_ids_done *answer, void *context);

/* Gives back what the consumer has not looked at: this delivery is not counted. False when memory is short:
 * then it is delivered again when it has been idle for long enough. */
bool group_consumer_release(struct group_consumer *consumer, const struct entry_id *ids, size_t count);
