#include "front/roll_call.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/random.h"

#define POLL_MS 20
#define TIME_MS 2000
/* As long as any ticket may be valid, and more. */
#define REVOKED_MS "900000"
#define REVOCATIONS_MAX "1000"
#define GATEWAYS_MAX 1024 /* beyond which nobody counts whether all have answered */

/* KEYS: revocations, the subject's mark. ARGV: token, subject. Answers how many gateways listen. A mark is
 * the token, so that a later one is another. */
static const char revoke_script[] =
    "redis.call('SET', KEYS[2], ARGV[1], 'PX', " REVOKED_MS ")\n"
    "local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', " REVOCATIONS_MAX ", '*', 'subject', ARGV[2])\n"
    "local gateways = redis.call('PUBSUB', 'NUMSUB', '" CONTROL_CHANNEL "')[2]\n"
    "redis.call('PUBLISH', '" CONTROL_CHANNEL "', 'revoke ' .. ARGV[1] .. ' ' .. id .. ' ' .. ARGV[2])\n"
    "return gateways\n";

/* KEYS: any. ARGV: token. */
static const char list_script[] =
    "local gateways = redis.call('PUBSUB', 'NUMSUB', '" CONTROL_CHANNEL "')[2]\n"
    "redis.call('PUBLISH', '" CONTROL_CHANNEL "', 'list ' .. ARGV[1])\n"
    "return gateways\n";

struct roll_call {
    struct commands *commands;
    uint64_t gateway;
    roll_call_done *done; /* NULL: cancelled, or told */
    void *context;
    struct event *timer;
    bool is_asking; /* Redis has yet to answer, which cannot be called off */
    size_t gateways;
    uint64_t deadline_ms;
    char token[CONTROL_TOKEN_LENGTH + 1];
    char key[sizeof(ROLL_CALL_KEY_PREFIX) + CONTROL_TOKEN_LENGTH];
};

static void release(struct roll_call *call)
{
    if (call->is_asking)
        return;
    if (call->timer)
        event_free(call->timer);
    free(call);
}

void roll_call_cancel(struct roll_call *call)
{
    call->done = NULL;
    release(call);
}

static void tell(struct roll_call *call, const struct roll_call_result *result)
{
    roll_call_done *done = call->done;
    void *context = call->context;
    call->done = NULL;
    release(call);
    if (done)
        done(context, result);
}

/* --- collecting --- */

/* One gateway's answers: how many of its workers have given one. */
struct tally {
    uint64_t gateway;
    uint64_t workers, answered;
};

static bool read_name(const struct reply *name, uint64_t *ret_gateway, unsigned *ret_workers)
{
    struct text rest = text_of(name->text, name->text_length), gateway, worker;
    uint64_t workers;
    if (name->kind != REPLY_TEXT || !text_split(&rest, '.', &gateway) || !text_split(&rest, '.', &worker) ||
        !parse_unsigned(gateway.bytes, gateway.length, ret_gateway) ||
        !parse_unsigned(rest.bytes, rest.length, &workers) || workers > UINT_MAX)
        return false;
    *ret_workers = (unsigned)workers;
    return workers > 0;
}

static size_t count_answers(struct tally *tallies, const struct reply *answers)
{
    size_t count = 0;
    for (size_t i = 0; i + 1 < answers->count; i += 2) {
        struct reply name = reply_element(answers, i);
        uint64_t gateway;
        unsigned workers;
        size_t at = 0;
        if (!read_name(&name, &gateway, &workers))
            continue;
        while (at < count && tallies[at].gateway != gateway)
            at++;
        if (at == GATEWAYS_MAX)
            continue;
        if (at == count)
            tallies[count++] = (struct tally){ .gateway = gateway, .workers = workers };
        tallies[at].answered++;
    }
    return count;
}

static struct roll_call_result judge(const struct roll_call *call, const struct reply *answers)
{
    struct tally tallies[GATEWAYS_MAX];
    struct roll_call_result result = { .is_sent = true, .gateways = call->gateways, .answers = answers };
    size_t count = answers ? count_answers(tallies, answers) : 0;
    for (size_t i = 0; i < count; i++) {
        bool is_whole = tallies[i].answered >= tallies[i].workers;
        result.answered += is_whole;
        result.is_answered |= is_whole && tallies[i].gateway == call->gateway;
    }
    return result;
}

static void on_answers(void *context, enum commands_status status, const struct reply *reply)
{
    struct roll_call *call = context;
    call->is_asking = false;
    if (!call->done) {
        release(call);
        return;
    }
    const struct roll_call_result result = judge(call, status == COMMANDS_OK ? reply : NULL);
    const struct timeval wait = { .tv_usec = POLL_MS * 1000 };
    if ((result.is_answered && result.answered >= result.gateways) || clock_now_ms() >= call->deadline_ms ||
        event_add(call->timer, &wait) != 0)
        tell(call, &result);
}

static void look(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct roll_call *call = context;
    const char *arguments[] = { "HGETALL", call->key };
    const size_t lengths[] = { strlen("HGETALL"), strlen(call->key) };
    const struct command command = { .count = 2, .arguments = arguments, .lengths = lengths };
    call->is_asking = commands_send(call->commands, &command, 1, on_answers, call);
    if (!call->is_asking)
        tell(call, &(struct roll_call_result){ .is_sent = true, .gateways = call->gateways });
}

/* --- calling --- */

static void on_called(void *context, enum commands_status status, const struct reply *reply)
{
    struct roll_call *call = context;
    call->is_asking = false;
    if (!call->done) {
        release(call);
    } else if (status != COMMANDS_OK || reply->kind != REPLY_INTEGER || reply->integer <= 0) {
        tell(call, &(struct roll_call_result){ .is_sent = false });
    } else {
        call->gateways = (size_t)reply->integer;
        look(-1, 0, call);
    }
}

static bool send_call(struct roll_call *call, struct text subject)
{
    struct buffer mark = { 0 };
    buffer_append_text(&mark, REVOKED_KEY_PREFIX);
    buffer_append(&mark, subject.bytes, subject.length);
    const char *revoke[] = { REVOCATIONS_KEY, mark.data, call->token, subject.bytes };
    const size_t revoke_lengths[] = { strlen(REVOCATIONS_KEY), mark.size, CONTROL_TOKEN_LENGTH,
                                      subject.length };
    const char *list[] = { call->key, call->token };
    const size_t list_lengths[] = { strlen(call->key), CONTROL_TOKEN_LENGTH };
    const struct command revoking = { 4, revoke, revoke_lengths };
    const struct command listing = { 2, list, list_lengths };
    bool is_sent =
        !mark.failed &&
        (subject.bytes ? commands_run_script(call->commands, revoke_script, 2, &revoking, on_called, call)
                       : commands_run_script(call->commands, list_script, 1, &listing, on_called, call));
    buffer_free(&mark);
    return is_sent;
}

struct roll_call *roll_call_start(struct event_base *base, struct commands *commands, uint64_t gateway,
                                  struct text subject, roll_call_done *done, void *context)
{
    struct roll_call *call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->commands = commands;
    call->gateway = gateway;
    call->done = done;
    call->context = context;
    call->deadline_ms = clock_now_ms() + TIME_MS;
    snprintf(call->token, sizeof call->token, "%016" PRIx64, random_u64());
    snprintf(call->key, sizeof call->key, "%s%s", ROLL_CALL_KEY_PREFIX, call->token);
    call->timer = event_new(base, -1, 0, look, call);
    call->is_asking = call->timer && send_call(call, subject);
    if (call->is_asking)
        return call;
    release(call);
    return NULL;
}
