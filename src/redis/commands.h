/*
 * Commands to Redis, pipelined over one connection. A request is one command or a MULTI … EXEC group; it is
 * answered exactly once, in order, by a reply or by an error that says whether Redis may have executed it.
 *
 * Bounded: at most `pending_max` requests wait; a request unanswered for `timeout_ms` fails with all others
 * in flight and resets the link (a pipeline has no other way to be in step again).
 */
#pragma once

#include <event2/dns.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "metrics/metrics.h"
#include "redis/redis_link.h"
#include "redis/reply.h"

struct commands;

enum commands_status {
    COMMANDS_OK,        /* `reply` is Redis' answer and not an error */
    COMMANDS_ERROR,     /* Redis answered with an error: `reply->str` */
    COMMANDS_UNSENT,    /* not connected, or too many pending: surely not executed */
    COMMANDS_UNCERTAIN, /* the link broke or timed out after sending: may have been executed */
};

typedef void commands_done(void *context, enum commands_status status, const struct reply *reply);

struct commands_options {
    struct redis_link_options link;
    size_t pending_max;
    uint64_t timeout_ms;
};

struct commands_events {
    void (*on_up)(void *context);
    void (*on_down)(void *context, const char *reason);
    void *context;
};

struct commands *commands_create(struct event_base *base, struct evdns_base *dns,
                                 const struct commands_options *options, const struct commands_events *events,
                                 struct metrics *metrics, struct log *log);
/* Answers what is pending with COMMANDS_UNCERTAIN or _UNSENT first. */
void commands_destroy(struct commands *commands);
void commands_start(struct commands *commands);
bool commands_is_up(const struct commands *commands);

/* One command of a request. Arguments are copied. */
struct command {
    int count;
    const char *const *arguments;
    const size_t *lengths;
};

/*
 * Sends `command_count` commands as one request: one command as it is, several inside MULTI/EXEC. `done` gets
 * the command's reply or EXEC's array; it is called from the loop, never inside this call (an unsent request
 * is answered in the next turn). An error of any queued command is COMMANDS_ERROR with that error's text.
 * False when memory is short: `done` is not called.
 */
bool commands_send(struct commands *commands, const struct command *list, size_t command_count,
                   commands_done *done, void *context);

/* Runs a Lua script by EVALSHA, with EVAL after NOSCRIPT. `script` is a static string. Else as
 * commands_send(). */
bool commands_run_script(struct commands *commands, const char *script, int key_count,
                         const struct command *keys_and_arguments, commands_done *done, void *context);

/* CLIENT TRACKING ON REDIRECT <id> NOLOOP: invalidations of keys read from now on go to that connection, but
 * for changes made by this one. Repeated on each reconnect until the id changes; 0 switches it off.
 * `commands_tracking_is_on` says whether Redis agreed. */
void commands_track_to(struct commands *commands, int64_t client_id);
bool commands_tracking_is_on(const struct commands *commands);
