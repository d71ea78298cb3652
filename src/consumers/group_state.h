/*
 * What groups are made of, for the files that are:
 *
 *   group.c         life of groups and consumers, timers
 *   group_step.c    what to ask Redis next
 *   group_answer.c  what its answers mean
 *   group_ids.c     acknowledging, from anywhere
 *   group_script.c  the scripts
 *
 * Of each group at most one request is under way (`busy`): the next one is chosen when its answer is here.
 */
#pragma once

#include "base/buffer.h"
#include "base/list.h"
#include "base/map.h"
#include "consumers/group.h"
#include "consumers/group_script.h"

#define GROUP_TICK_MS 1000    /* looks for what nobody told us about */
#define GROUP_TICK_MIN_MS 100 /* more often where idle_ms is short */
#define GROUP_RETRY_MS 500    /* after an error */
#define GROUP_RECONCILE_MIN_MS 50
#define GROUP_RECONCILE_MAX_MS 1000
#define GROUP_READ_MAX 100 /* entries of one read */

struct groups {
    struct event_base *base;
    struct commands *commands; /* NULL once stopped */
    struct groups_source source;
    struct metrics *metrics;
    struct log *log;
    struct log_limiter limiter;
    struct map *by_name; /* struct group */
    struct map *streams; /* struct consumed_stream */
    struct buffer json;  /* of the entry being delivered */
    struct entry_field *fields;
    size_t field_capacity;
};

/* A stream of which there are groups here. */
struct consumed_stream {
    struct list groups;
    bool is_watched;
    size_t length;
    char name[];
};

/* An entry that a consumer has and that was not acknowledged yet, as far as this process knows. */
struct flight {
    struct entry_id id; /* the key in group->flights */
    struct list node;   /* in the consumer's, oldest delivery first */
    struct group_consumer *consumer;
    uint64_t since_ms;
    bool confirmed; /* by the reconciliation that is being read */
};

enum consumer_state {
    CONSUMER_RECOVERING, /* gets what is pending under its name, behind recover_after */
    CONSUMER_LIVE,
};

struct group_consumer {
    struct list node; /* in group->consumers; then in group->leaving */
    struct group *group;
    struct consumer_events events;
    enum consumer_state state;
    bool is_ready; /* was told */
    bool is_started;
    bool has_left;
    bool claim_due;
    bool gap_due;
    size_t prefetch;
    uint64_t idle_ms;
    uint64_t max_deliveries;
    struct list flights;
    size_t flight_count;
    struct entry_id recover_after;
    struct entry_id claim_after; /* what is pending up to here cannot become dead letters */
    struct entry_id last_id;     /* greatest id it was given: what got lost on the way is behind it */
    size_t read_max;             /* entries of its next read; fewer after one that was too much */
    uint64_t reconcile_at_ms;    /* without room: when to look whether others acknowledged for it */
    uint64_t reconcile_wait_ms;  /* 0: it had room */
    size_t name_length;
    char name[];
};

enum group_request {
    GROUP_REQUEST_NONE,
    GROUP_REQUEST_CREATE,
    GROUP_REQUEST_RECOVER,
    GROUP_REQUEST_CLAIM,
    GROUP_REQUEST_RECONCILE,
    GROUP_REQUEST_READ,
};

struct group {
    struct list node; /* in the stream's */
    struct groups *groups;
    struct consumed_stream *stream;
    struct list consumers;
    struct list leaving; /* to be freed when the answer under way is done with */
    struct map *flights; /* by entry id */
    struct event *timer;

    enum group_request request; /* under way */
    struct group_consumer *asker;
    size_t asked_count;
    bool in_answer; /* an answer is being taken: steps wait for its end */

    bool exists;       /* as far as we know */
    bool existed;      /* it did before: if it has to be made again, it was lost */
    bool lost;         /* Redis did not know it any more */
    bool start_at_new; /* begins behind what is there when it is first made */
    bool news;         /* there may be entries that nobody has read */
    bool news_since;   /* … that came while a read was under way */
    uint64_t retry_at_ms;
    uint64_t tick_at_ms;
    struct entry_id last_id; /* greatest id delivered here */

    size_t name_length; /* of the group */
    size_t key_length;
    char *name; /* in key */
    char key[]; /* stream's length, stream, group: in groups->by_name */
};

static inline struct group_names group_names_of(const struct group *group)
{
    return (struct group_names){ .stream = group->stream->name,
                                 .stream_length = group->stream->length,
                                 .group = group->name,
                                 .group_length = group->name_length };
}

/* --- group.c --- */

/* Asks for news of a stream, if that is not done yet. */
void consumed_stream_watch(struct groups *groups, struct consumed_stream *stream);

/* NULL when there is no such group here. */
struct group *groups_find(const struct groups *groups, const char *stream, size_t stream_length,
                          const char *group, size_t group_length);

/* Free entries before `prefetch` is reached. */
static inline size_t consumer_room(const struct group_consumer *consumer)
{
    return consumer->flight_count < consumer->prefetch ? consumer->prefetch - consumer->flight_count : 0;
}

/* The same if what was not acknowledged for idle_ms, and may be delivered again, takes no room. */
size_t consumer_claim_room(const struct group_consumer *consumer, uint64_t now_ms);

/* The consumer has this entry now; whoever had it before has not. False when memory is short. */
bool group_add_flight(struct group *group, struct group_consumer *consumer, struct entry_id id,
                      uint64_t now_ms);
struct flight *group_find_flight(const struct group *group, struct entry_id id);
void group_remove_flight(struct group *group, struct flight *flight);

/* Tells its owner, and it is gone. */
void consumer_end(struct group_consumer *consumer, enum consumer_end end, const char *problem);
void group_end_all(struct group *group, enum consumer_end end, const char *problem);

/* Frees who has left, and the group itself if nobody is left. True if it is gone. */
bool group_reap(struct group *group);

/* For the groups of other threads. */
static inline void groups_tell(const struct groups *groups, const struct group_news *news)
{
    if (groups->source.tell)
        groups->source.tell(groups->source.context, news);
}

/* --- group_ids.c --- */

void group_settle(struct group *group, const struct group_news *news);

/* --- group_step.c --- */

/* Asks Redis for what is wanted most, unless something is under way, and sets the timer. */
void group_step(struct group *group);

/* Time has passed, or a nack came: pending entries may be there to claim. */
void group_claims_due(struct group *group);

/* --- group_answer.c --- */

/* commands_done of every request of a group. */
void group_answer(void *context, enum commands_status status, const struct reply *reply);
