#include "redis/keepalive.h"

#include <criterion/criterion.h>
#include <hiredis/hiredis.h>
#include <string.h>

#define START 1000000

static struct keepalive started(bool is_subscriber, bool is_ping_refused)
{
    struct keepalive keepalive = { .ping_after_ms = 5000,
                                   .ping_timeout_ms = 10000,
                                   .is_subscriber = is_subscriber };
    keepalive_start(&keepalive, START, is_ping_refused);
    return keepalive;
}

static struct reply text(const char *words)
{
    return (struct reply){ .kind = REPLY_TEXT, .text = words, .text_length = strlen(words) };
}

static struct reply failure(const char *words)
{
    return (struct reply){ .kind = REPLY_ERROR, .text = words, .text_length = strlen(words) };
}

Test(keepalive, pings_after_silence_and_gives_up_after_more)
{
    struct keepalive keepalive = started(false, false);
    uint64_t wait = 0;
    cr_assert_eq(keepalive_check(&keepalive, START, &wait), KEEPALIVE_WAIT);
    cr_assert_eq(wait, 5000);
    cr_assert_eq(keepalive_check(&keepalive, START + 4999, &wait), KEEPALIVE_WAIT);
    cr_assert_eq(wait, 1);
    cr_assert_eq(keepalive_check(&keepalive, START + 5000, &wait), KEEPALIVE_PING);
    cr_assert_eq(wait, 5000, "the link may fall silent right behind its PONG");
    keepalive_ping_sent(&keepalive, START + 5000);
    cr_assert_eq(keepalive_check(&keepalive, START + 14999, &wait), KEEPALIVE_WAIT);
    cr_assert_eq(wait, 1);
    cr_assert_eq(keepalive_check(&keepalive, START + 15000, &wait), KEEPALIVE_DEAD);
}

Test(keepalive, any_byte_is_a_sign_of_life)
{
    struct keepalive keepalive = started(false, false);
    uint64_t wait = 0;
    keepalive_ping_sent(&keepalive, START + 5000);
    keepalive.received_ms = START + 14000; /* a part of a long reply */
    cr_assert_eq(keepalive_check(&keepalive, START + 15000, &wait), KEEPALIVE_WAIT);
    cr_assert_eq(wait, 9000);
    cr_assert_eq(keepalive_check(&keepalive, START + 24000, &wait), KEEPALIVE_DEAD);
}

Test(keepalive, sends_no_ping_where_it_is_refused)
{
    struct keepalive keepalive = started(false, true);
    uint64_t wait = 0;
    cr_assert_eq(keepalive_check(&keepalive, START + 60000, &wait), KEEPALIVE_WAIT);
    cr_assert_gt(wait, 0);
}

Test(keepalive, counts_replies_to_know_its_own)
{
    struct keepalive keepalive = started(false, false);
    struct reply pong = text("PONG");
    keepalive_commands_sent(&keepalive, 2);
    keepalive_ping_sent(&keepalive, START + 5000);
    keepalive_commands_sent(&keepalive, 1);
    cr_assert_not(keepalive_take_reply(&keepalive, &pong), "the answer to somebody's own PING");
    cr_assert_not(keepalive_take_reply(&keepalive, &pong));
    struct reply refused = failure("MISCONF no disk");
    cr_assert(keepalive_take_reply(&keepalive, &refused), "an error is an answer, too");
    cr_assert_not(keepalive_take_reply(&keepalive, &pong), "the command after it");
    cr_assert_eq(keepalive.replies_due, 0);

    keepalive_ping_sent(&keepalive, START + 10000);
    cr_assert(keepalive_take_reply(&keepalive, &pong));
    cr_assert_eq(keepalive.replies_due, 0);
}

Test(keepalive, knows_a_subscribers_pong_by_its_looks)
{
    redisReply pong = { .type = REDIS_REPLY_STRING, .str = (char *)"pong", .len = 4 };
    redisReply empty = { .type = REDIS_REPLY_STRING, .str = (char *)"", .len = 0 };
    redisReply *both[] = { &pong, &empty };
    redisReply pair = { .type = REDIS_REPLY_ARRAY, .elements = 2, .element = both };
    redisReply message = { .type = REDIS_REPLY_STRING, .str = (char *)"message", .len = 7 };
    redisReply *parts[] = { &message, &pong, &pong };
    redisReply published = { .type = REDIS_REPLY_ARRAY, .elements = 3, .element = parts };

    struct keepalive keepalive = started(true, false);
    struct reply subscribed_pong = reply_view(&pair);
    struct reply early_pong = text("PONG");
    struct reply payload = reply_view(&published);
    cr_assert_not(keepalive_take_reply(&keepalive, &subscribed_pong), "none is due");
    keepalive_ping_sent(&keepalive, START);
    cr_assert_not(keepalive_take_reply(&keepalive, &payload));
    struct reply refusal = failure("NOPERM this user has no permissions to access one of the channels");
    cr_assert_not(keepalive_take_reply(&keepalive, &refusal));
    cr_assert(keepalive_take_reply(&keepalive, &subscribed_pong));
    keepalive_ping_sent(&keepalive, START);
    cr_assert(keepalive_take_reply(&keepalive, &early_pong));
    keepalive_ping_sent(&keepalive, START);
    struct reply busy = failure("BUSY Redis is busy running a script");
    cr_assert(keepalive_take_reply(&keepalive, &busy));
}

Test(keepalive, a_new_connection_owes_nothing)
{
    struct keepalive keepalive = started(false, false);
    keepalive_commands_sent(&keepalive, 7);
    keepalive_ping_sent(&keepalive, START);
    keepalive_start(&keepalive, START + 1, false);
    cr_assert_not(keepalive.is_pong_due);
    cr_assert_eq(keepalive.replies_due, 0);
    cr_assert_eq(keepalive.ping_after_ms, 5000);
}
