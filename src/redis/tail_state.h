/*
 * What the parts of the tail share, private to them.
 *
 *   tail.c         the link, creation and destruction
 *   tail_watch.c   which streams are watched: asked about, told, refused
 *   tail_read.c    what is sent over the tail's link, and its replies
 *   tail_wake.c    CLIENT UNBLOCK
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "redis/read_size.h"
#include "redis/reply.h"
#include "redis/stream_progress.h"
#include "redis/tail.h"

/* XINFO STREAMs under way at once. */
#define TAIL_ASKS_MAX 64
#define TAIL_CHECKS_MAX 64

enum watch_state { WATCH_ASKING, WATCH_WATCHED, WATCH_ENDED };

/* A stream. Freed with its last hold, which may be an answer that comes after it ended. */
struct watch {
    enum watch_state state;
    uint32_t holds;
    struct list in_queue;  /* ASKING: to be asked about. WATCHED: somebody waits for on_watched */
    struct list in_set;    /* WATCHED: in the order of reading */
    struct list in_checks; /* WATCHED: the one not checked for longest first */
    size_t references;     /* tail_watch() less tail_unwatch() */
    size_t owed;           /* of these, not answered yet */
    unsigned unanswered;   /* how often the link broke with our question under way */
    struct stream_progress progress;
    bool must_check; /* before it is read again: the connection was lost, or a read was refused */
    bool was_away;
    uint64_t checked_ms;
    uint64_t read_number; /* the last read it was part of */
    struct entry_id position_as_text;
    size_t position_length;
    char position[ENTRY_ID_LENGTH_MAX];
    size_t length;
    char name[];
};

/* A question asked over the commands link; outlives the tail if it must. */
struct tail_call {
    struct list node;
    struct tail *tail;   /* NULL: destroyed */
    struct watch *watch; /* held; NULL for CLIENT UNBLOCK */
};

/*
 *            tail_step                       the batch's last answer
 *   IDLE ───────────────────▶ CHECKING ───────────────────────────▶ IDLE
 *     └─────────────────────▶ READING ──── entries, nil, error ───▶ IDLE
 *            tail_step
 */
enum tail_phase { TAIL_IDLE, TAIL_CHECKING, TAIL_READING };

struct tail {
    struct tail_events events;
    struct log *log;
    struct log_limiter limiter;
    struct redis_link *link;
    struct commands *commands;
    uint64_t block_ms_max;

    struct map *watches; /* by name; all but those ENDED */
    struct list asking;
    struct list answers;
    struct list set;
    struct list checks;
    size_t set_count;

    struct list calls;
    size_t asks_in_flight;
    struct event *ask_again; /* pending: Redis is away, nothing is asked */

    enum tail_phase phase;
    struct event *step;

    struct watch *checking[TAIL_CHECKS_MAX]; /* held */
    size_t checking_count;
    size_t checking_answered;
    bool has_checked; /* since the last read */

    struct read_size size;
    uint64_t read_number;
    uint64_t read_ms; /* when the read was sent */
    bool is_blocking;
    unsigned read_errors; /* one after another */
    const char **arguments;
    size_t *lengths;
    size_t argument_capacity;
    struct entry_field *fields;
    size_t field_capacity;

    bool is_stale; /* a stream is watched that the read under way does not have */
    bool is_waking;
    uint64_t waking_read; /* the read that CLIENT UNBLOCK was sent for */
    bool is_wake_refused;
    uint64_t wake_after_ms;
    uint64_t wake_delay_ms;
};

/* --- tail.c --------------------------------------------------------------------------------------------- */

/* Runs tail_step() from the loop, at once or later. */
void tail_step_in(struct tail *tail, uint64_t wait_ms);

/* Asks over the commands link. `watch` (may be NULL) is held until the answer. False: memory is short. */
bool tail_call(struct tail *tail, struct watch *watch, int count, const char *const *arguments,
               const size_t *lengths, commands_done *done);

/* Ends a call with its answer. NULL when the tail has gone. A watch is the caller's to release. */
struct tail *tail_call_end(struct tail_call *call, struct watch **ret_watch);

/* --- tail_watch.c --------------------------------------------------------------------------------------- */

struct watch *watch_hold(struct watch *watch);
void watch_release(struct watch *watch);

/* An event's callback: asks what had to wait. */
void tail_on_ask_again(evutil_socket_t descriptor, short what, void *context);

/* Takes it out of everything and forgets it. */
void watch_end(struct tail *tail, struct watch *watch);

/* Ends it and says so. */
void watch_refuse(struct tail *tail, struct watch *watch, const char *problem, size_t length);

/* Tells those who watched a stream that was watched already. */
void tail_answer_owed(struct tail *tail);

/* --- tail_read.c ---------------------------------------------------------------------------------------- */

/* Sends what is to be sent next, if it is time. */
void tail_step(struct tail *tail);
void tail_take_reply(struct tail *tail, const struct reply *reply);

/* All streams are to be checked before the next read. */
void tail_check_all(struct tail *tail, bool was_away);

/* Forgets what was under way. */
void tail_lose_link(struct tail *tail, const char *reason);

/* --- tail_wake.c ---------------------------------------------------------------------------------------- */

/* How long a read may block. */
uint64_t tail_block_ms(const struct tail *tail);

/* How long after a read the next one may be sent. */
uint64_t tail_spacing_ms(const struct tail *tail);

/* A read of the whole set has been sent. */
void tail_expect_wake(struct tail *tail);

/* Ends the blocking read if the set has grown since it was sent. */
void tail_wake(struct tail *tail);
