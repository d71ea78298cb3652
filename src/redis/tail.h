/*
 * The one connection that waits for new entries of every watched stream: one `XREAD BLOCK` at a time over the
 * whole set, woken by `CLIENT UNBLOCK` (through the commands link) when the set changes.
 *
 *   tail_watch ─▶ ASKING (XINFO STREAM) ─▶ WATCHED ─▶ tail_unwatch
 *                    └───────── on_refused ◀───┘
 *
 * Entries of a stream come in order, each once, behind the position that on_watched told. A lost connection
 * loses nothing: the tail reads on from where it was, and says on_broken when Redis no longer has what came
 * in between (trimmed; deleted or restored to an older state). Every few seconds, and after each
 * reconnection, it asks Redis whether that is so.
 */
#pragma once

#include <event2/dns.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "redis/commands.h"
#include "redis/redis_link.h"
#include "wire/entry.h"
#include "wire/entry_id.h"

struct tail;

enum tail_break { TAIL_BREAK_TRIMMED, TAIL_BREAK_RESET };

struct tail_events {
    /* Everything behind `last` will come. `last` is the stream's last id, 0-0 when there is no such stream
     * yet. */
    void (*on_watched)(void *context, const char *stream, size_t length, struct entry_id last);
    /* WRONGTYPE, NOPERM: not watched, or not any more; a tail_unwatch() is not needed. Also later, when the
     * key is overwritten. */
    void (*on_refused)(void *context, const char *stream, size_t length, const char *problem);
    void (*on_entry)(void *context, const char *stream, size_t length, struct entry_id id,
                     const struct entry_field *fields, size_t field_count);
    /* Entries were lost; what is behind `last` will come. After a RESET that may be before what came. */
    void (*on_broken)(void *context, const char *stream, size_t length, enum tail_break reason,
                      struct entry_id last);
    /* Everything that could be read this turn has been told. */
    void (*on_turn_end)(void *context);
    void (*on_up)(void *context);
    void (*on_down)(void *context, const char *reason);
    void *context;
};

/* `options->name` is set by the tail. `commands` is borrowed; it may be destroyed before or after the tail.
 * NULL when memory is short. */
struct tail *tail_create(struct event_base *base, struct evdns_base *dns,
                         const struct redis_link_options *options, const struct tail_events *events,
                         struct commands *commands, struct log *log);
void tail_destroy(struct tail *tail);
void tail_start(struct tail *tail);

/*
 * Answered by on_watched or on_refused, never inside the call; waits for Redis if it is away. False: memory
 * is short. Counted: a stream watched twice answers twice (the second time at once, with the position
 * reached), gives each entry once, and needs two tail_unwatch().
 */
bool tail_watch(struct tail *tail, const char *stream, size_t length);
void tail_unwatch(struct tail *tail, const char *stream, size_t length);
