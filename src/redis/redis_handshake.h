/*
 * What is said before a connection is of use, in one go: AUTH, SELECT, CLIENT SETNAME, CLIENT ID, ROLE, PING.
 * Takes replies, knows no socket.
 *
 * The PING asks whether Redis serves at all: while it loads or a script holds it up, the commands before are
 * answered as if all were well. Older servers and narrow ACLs refuse CLIENT or PING; that costs a comfort,
 * not the link.
 *
 * ROLE is asked where Sentinels gave the address: while they agree on a new master, the old one may still be
 * named, and be a replica already.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "redis/redis_url.h"
#include "redis/reply.h"

#define REDIS_HANDSHAKE_STEPS_MAX 6

enum redis_handshake_step {
    HANDSHAKE_AUTH,
    HANDSHAKE_SELECT,
    HANDSHAKE_SETNAME,
    HANDSHAKE_ID,
    HANDSHAKE_ROLE,
    HANDSHAKE_PING
};
enum redis_handshake_result { HANDSHAKE_MORE, HANDSHAKE_DONE, HANDSHAKE_FAILED };

struct redis_handshake {
    enum redis_handshake_step steps[REDIS_HANDSHAKE_STEPS_MAX];
    size_t step_count;
    size_t answered;
    int64_t client_id;       /* 0: the server would not say */
    bool is_ping_refused;    /* do not PING this server */
    bool is_password_unused; /* it asks for none */
    bool is_replica;         /* on FAILED: that is why */
};

/* Appends the commands; a failure is sticky in `out`. `name` is for CLIENT SETNAME. */
void redis_handshake_begin(struct redis_handshake *handshake, const struct redis_url *url, const char *name,
                           struct buffer *out);

/* On FAILED the reply is the error that Redis gave, if it is one. */
enum redis_handshake_result redis_handshake_take(struct redis_handshake *handshake,
                                                 const struct reply *reply);
