/*
 * Has every gateway on this Redis do something with its streams, and collects what they say.
 *
 *   here                         Redis                              each gateway, we among them
 *   roll_call_start ── script ──▶ PUBLISH sluice:control ──▶ feed ──▶ each worker: its hub
 *          ▲                      sluice:call:<token> (a hash) ◀────── HSET <gateway>.<worker>.<workers>
 *          └──── HGETALL, until all have answered or the time is up
 *
 * A revocation is kept, too: a gateway that is cut off from Redis cuts the streams when it is back
 * (sluice:revocations), and a ticket got before is none any more (sluice:revoked:<subject>).
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "redis/commands.h"

/* What is published: `list <token>`, or `revoke <token> <id in sluice:revocations> <subject>`. */
#define CONTROL_CHANNEL "sluice:control"
#define CONTROL_TOKEN_LENGTH 16
#define REVOCATIONS_KEY "sluice:revocations"
#define REVOKED_KEY_PREFIX "sluice:revoked:"
#define ROLL_CALL_KEY_PREFIX "sluice:call:"
#define ROLL_CALL_KEPT_MS "10000"

struct roll_call;

struct roll_call_result {
    bool is_sent;                /* Redis has it, and somebody listened */
    bool is_answered;            /* this gateway did it in time */
    size_t gateways;             /* that were there … */
    size_t answered;             /* … and all of whose workers answered in time */
    const struct reply *answers; /* names and values in turn; NULL: none */
};

/* Not called once the call was cancelled. */
typedef void roll_call_done(void *context, const struct roll_call_result *result);

/* `subject` without bytes: list. `gateway` is the name under which this one answers. NULL when memory is
 * short. */
struct roll_call *roll_call_start(struct event_base *base, struct commands *commands, uint64_t gateway,
                                  struct text subject, roll_call_done *done, void *context);
void roll_call_cancel(struct roll_call *call);
