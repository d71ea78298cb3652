#include "redis/keepalive.h"

#include <string.h>

void keepalive_start(struct keepalive *keepalive, uint64_t now_ms, bool is_ping_refused)
{
    *keepalive = (struct keepalive){
        .ping_after_ms = keepalive->ping_after_ms,
        .ping_timeout_ms = keepalive->ping_timeout_ms,
        .is_subscriber = keepalive->is_subscriber,
        .is_ping_refused = is_ping_refused,
        .received_ms = now_ms,
    };
}

enum keepalive_action keepalive_check(const struct keepalive *keepalive, uint64_t now_ms,
                                      uint64_t *ret_wait_ms)
{
    uint64_t waited_ms = now_ms - keepalive->received_ms;
    if (!keepalive->is_pong_due) {
        bool is_idle = waited_ms >= keepalive->ping_after_ms && !keepalive->is_ping_refused;
        if (is_idle)
            /* Not only when the PONG is overdue: it may come, and the link fall silent right behind it. */
            *ret_wait_ms = keepalive->ping_after_ms < keepalive->ping_timeout_ms ? keepalive->ping_after_ms
                                                                                 : keepalive->ping_timeout_ms;
        else if (waited_ms < keepalive->ping_after_ms)
            *ret_wait_ms = keepalive->ping_after_ms - waited_ms;
        else
            *ret_wait_ms = keepalive->ping_after_ms;
        return is_idle ? KEEPALIVE_PING : KEEPALIVE_WAIT;
    }
    /* Long replies may still come in before the PONG. */
    if (keepalive->ping_sent_ms > keepalive->received_ms)
        waited_ms = now_ms - keepalive->ping_sent_ms;
    *ret_wait_ms = waited_ms < keepalive->ping_timeout_ms ? keepalive->ping_timeout_ms - waited_ms : 0;
    return *ret_wait_ms == 0 ? KEEPALIVE_DEAD : KEEPALIVE_WAIT;
}

void keepalive_ping_sent(struct keepalive *keepalive, uint64_t now_ms)
{
    keepalive->is_pong_due = true;
    keepalive->ping_sent_ms = now_ms;
    keepalive->replies_until_pong = keepalive->replies_due;
}

void keepalive_commands_sent(struct keepalive *keepalive, uint64_t count)
{
    keepalive->replies_due += count;
}

static bool is_pong_text(const struct reply *reply)
{
    return reply->kind == REPLY_TEXT && reply->text_length == 4 && strncasecmp(reply->text, "pong", 4) == 0;
}

/*
 * Subscribed, Redis answers PING with ["pong", ""]; before the first subscription with PONG; or with an error
 * such as MISCONF. NOPERM is a subscription's: where PING is not permitted none is sent.
 */
static bool looks_like_pong(const struct reply *reply)
{
    if (reply->kind == REPLY_ERROR)
        return !reply_has_prefix(reply, "NOPERM");
    struct reply first = reply_element(reply, 0);
    return is_pong_text(reply) || (reply->count == 2 && is_pong_text(&first));
}

bool keepalive_take_reply(struct keepalive *keepalive, const struct reply *reply)
{
    bool is_pong = false;
    if (keepalive->is_pong_due)
        is_pong = keepalive->is_subscriber ? looks_like_pong(reply) : keepalive->replies_until_pong == 0;
    if (is_pong) {
        keepalive->is_pong_due = false;
        return true;
    }
    if (keepalive->replies_until_pong > 0)
        keepalive->replies_until_pong--;
    if (keepalive->replies_due > 0)
        keepalive->replies_due--;
    return false;
}
