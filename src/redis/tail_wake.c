/* When a read is ended, and when the next one begins. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "redis/tail_state.h"

/* A read that nothing can wake. */
#define BLOCK_UNWOKEN_MS 200
#define BLOCK_MS_MIN 100

/* The read has not reached Redis yet, or its reply is under way: a moment later we know. */
#define WAKE_DELAY_MS_MIN 1
#define WAKE_DELAY_MS_MAX 64
#define WAKE_UNSENT_MS 50

/* Redis takes about a microsecond to block on a stream and to unblock: so many streams may cost it a
 * millisecond of every four. */
#define STREAMS_PER_SPACING_MS 250

uint64_t tail_block_ms(const struct tail *tail)
{
    /* Between two reads some streams are checked; so each comes round about every block_ms_max. */
    uint64_t block_ms = tail->block_ms_max / (tail->set_count / TAIL_CHECKS_MAX + 1);
    if (block_ms < BLOCK_MS_MIN && tail->block_ms_max > BLOCK_MS_MIN)
        block_ms = BLOCK_MS_MIN;
    if (tail->is_wake_refused && block_ms > BLOCK_UNWOKEN_MS)
        block_ms = BLOCK_UNWOKEN_MS;
    return block_ms > 0 ? block_ms : 1; /* 0 would be for ever */
}

uint64_t tail_spacing_ms(const struct tail *tail)
{
    return tail->set_count / STREAMS_PER_SPACING_MS;
}

static void wake_later(struct tail *tail, uint64_t wait_ms)
{
    tail->wake_after_ms = clock_now_ms() + wait_ms;
    tail_step_in(tail, wait_ms);
}

static void take_refusal(struct tail *tail, const struct reply *error)
{
    const struct log_field fields[] = {
        LOG_BYTES("error", error->text, error->text_length),
        LOG_TEXT("remedy", "allow the command to this user: ACL SETUSER <user> +client|unblock +client|id"),
    };
    log_event_limited(tail->log, &tail->limiter, LOG_LEVEL_WARN,
                      "redis refuses to wake the reader of streams: it looks for new ones every 200 ms",
                      fields, 2);
    tail->is_wake_refused = true;
}

static void on_woken(void *context, enum commands_status status, const struct reply *reply)
{
    struct watch *none;
    struct tail *tail = tail_call_end(context, &none);
    if (!tail)
        return;
    tail->is_waking = false;
    bool is_woken = status == COMMANDS_OK && reply->integer == 1 && tail->read_number == tail->waking_read;
    if (tail->phase != TAIL_READING || !tail->is_stale || is_woken)
        return;
    if (status == COMMANDS_ERROR) {
        take_refusal(tail, reply);
    } else if (status == COMMANDS_OK) {
        wake_later(tail, tail->wake_delay_ms);
        tail->wake_delay_ms *= tail->wake_delay_ms < WAKE_DELAY_MS_MAX ? 2 : 1;
    } else {
        wake_later(tail, WAKE_UNSENT_MS);
    }
}

void tail_wake(struct tail *tail)
{
    if (tail->phase != TAIL_READING || !tail->is_blocking || !tail->is_stale || tail->is_waking ||
        tail->is_wake_refused)
        return;
    uint64_t now_ms = clock_now_ms();
    if (now_ms < tail->wake_after_ms) {
        tail_step_in(tail, tail->wake_after_ms - now_ms);
        return;
    }
    char id[24];
    snprintf(id, sizeof(id), "%" PRId64, redis_link_client_id(tail->link));
    const char *const arguments[] = { "CLIENT", "UNBLOCK", id };
    tail->waking_read = tail->read_number;
    tail->is_waking = tail_call(tail, NULL, 3, arguments, NULL, on_woken);
    if (!tail->is_waking)
        wake_later(tail, WAKE_UNSENT_MS);
}

void tail_expect_wake(struct tail *tail)
{
    tail->is_stale = false;
    tail->wake_after_ms = tail->read_ms + tail_spacing_ms(tail);
    tail->wake_delay_ms = WAKE_DELAY_MS_MIN;
}
