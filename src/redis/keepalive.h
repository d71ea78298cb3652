/*
 * When to PING an idle connection, when to give it up, and which reply is the PING's. Takes times and
 * replies, knows no socket and no clock.
 *
 * Bytes of any kind are a sign of life; a PING is sent after `ping_after_ms` without, at most one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "redis/reply.h"

struct keepalive {
    uint64_t ping_after_ms;
    uint64_t ping_timeout_ms;
    bool is_subscriber; /* replies are no answers one by one, so that a PONG is known by its looks */
    bool is_ping_refused;

    uint64_t received_ms;
    uint64_t ping_sent_ms;
    bool is_pong_due;
    uint64_t replies_due;        /* of all commands sent; not for a subscriber */
    uint64_t replies_until_pong; /* those of the commands sent before the PING */
};

enum keepalive_action { KEEPALIVE_WAIT, KEEPALIVE_PING, KEEPALIVE_DEAD };

/* A new connection. Keeps the first three fields. */
void keepalive_start(struct keepalive *keepalive, uint64_t now_ms, bool is_ping_refused);

/* What to do now, and after how long to ask again. PING: send it, then call keepalive_ping_sent(). */
enum keepalive_action keepalive_check(const struct keepalive *keepalive, uint64_t now_ms,
                                      uint64_t *ret_wait_ms);
void keepalive_ping_sent(struct keepalive *keepalive, uint64_t now_ms);

/* `count` replies more are to come for commands sent now. */
void keepalive_commands_sent(struct keepalive *keepalive, uint64_t count);

/* True when the reply is the PING's, which nobody else is to see. To be asked for each reply. */
bool keepalive_take_reply(struct keepalive *keepalive, const struct reply *reply);
