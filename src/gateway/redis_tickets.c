#include "gateway/redis_tickets.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front/roll_call.h"

struct redis_tickets {
    struct commands *const *commands;
    struct log *log;
    struct log_limiter limiter;
    struct tickets *tickets;
};

/* ---- what Redis is asked ---- */

/* KEYS: ticket, the subject's mark of its last revocation. ARGV: grant, milliseconds. */
static const char put_script[] = "local mark = redis.call('GET', KEYS[2]) or ''\n"
                                 "redis.call('SET', KEYS[1], mark .. '\\n' .. ARGV[1], 'PX', ARGV[2])\n"
                                 "return 1\n";

/*
 * KEYS: ticket. Of several who ask, one gets the grant; nil: it is not there, 0: its subject was revoked
 * since. Whose it is stands in the grant, so the mark's key is known no sooner.
 */
static const char take_script[] = "local kept = redis.call('GETDEL', KEYS[1])\n"
                                  "if not kept then return false end\n"
                                  "local at = string.find(kept, '\\n', 1, true)\n"
                                  "local grant = string.sub(kept, at + 1)\n"
                                  "local subject = cjson.decode(grant).sub\n"
                                  "if type(subject) == 'string' then\n"
                                  "  local mark = redis.call('GET', '" REVOKED_KEY_PREFIX "' .. subject)\n"
                                  "  if mark and mark ~= string.sub(kept, 1, at - 1) then return 0 end\n"
                                  "end\n"
                                  "return grant\n";

struct putting {
    struct redis_tickets *redis;
    ticket_put_done *done;
    void *context;
};

struct taking {
    struct redis_tickets *redis;
    ticket_take_done *done;
    void *context;
};

static void log_refusal(struct redis_tickets *redis, const struct reply *reply)
{
    log_event_limited(redis->log, &redis->limiter, LOG_LEVEL_WARN,
                      "redis refused a ticket; it needs GET, SET, GETDEL and scripts on sluice:*",
                      (const struct log_field[]){ LOG_BYTES("problem", reply->text, reply->text_length) }, 1);
}

static void on_put(void *context, enum commands_status status, const struct reply *reply)
{
    struct putting *putting = context;
    if (status == COMMANDS_ERROR)
        log_refusal(putting->redis, reply);
    putting->done(putting->context, status == COMMANDS_OK);
    free(putting);
}

static bool put(void *context, const char *key, struct text subject, const char *grant, size_t length,
                uint64_t ttl_ms, ticket_put_done *done, void *done_context)
{
    struct redis_tickets *redis = context;
    struct commands *commands = *redis->commands;
    struct putting *putting = commands ? malloc(sizeof *putting) : NULL;
    struct buffer mark = { 0 };
    char ttl[24];
    buffer_append_text(&mark, REVOKED_KEY_PREFIX);
    buffer_append(&mark, subject.bytes, subject.length);
    snprintf(ttl, sizeof ttl, "%" PRIu64, ttl_ms);
    const char *arguments[] = { key, mark.data, grant, ttl };
    const size_t lengths[] = { strlen(key), mark.size, length, strlen(ttl) };
    const struct command command = { 4, arguments, lengths };
    bool is_sent = false;
    if (putting && !mark.failed) {
        *putting = (struct putting){ .redis = redis, .done = done, .context = done_context };
        is_sent = commands_run_script(commands, put_script, 2, &command, on_put, putting);
    }
    if (!is_sent)
        free(putting);
    buffer_free(&mark);
    return is_sent;
}

static void on_taken(void *context, enum commands_status status, const struct reply *reply)
{
    struct taking *taking = context;
    if (status == COMMANDS_ERROR)
        log_refusal(taking->redis, reply);
    if (status != COMMANDS_OK)
        taking->done(taking->context, TICKET_UNREACHABLE, NULL, 0);
    else if (reply->kind == REPLY_TEXT)
        taking->done(taking->context, TICKET_FOUND, reply->text, reply->text_length);
    else
        taking->done(taking->context, reply->kind == REPLY_NIL ? TICKET_ABSENT : TICKET_REVOKED, NULL, 0);
    free(taking);
}

static bool take(void *context, const char *key, ticket_take_done *done, void *done_context)
{
    struct redis_tickets *redis = context;
    struct commands *commands = *redis->commands;
    struct taking *taking = commands ? malloc(sizeof *taking) : NULL;
    const char *arguments[] = { key };
    const size_t lengths[] = { strlen(key) };
    const struct command command = { 1, arguments, lengths };
    if (!taking)
        return false;
    *taking = (struct taking){ .redis = redis, .done = done, .context = done_context };
    if (commands_run_script(commands, take_script, 1, &command, on_taken, taking))
        return true;
    free(taking);
    return false;
}

/* ---- life ---- */

struct redis_tickets *redis_tickets_create(const struct settings *settings, struct commands *const *commands,
                                           struct metrics *metrics, struct log *log)
{
    struct redis_tickets *redis = calloc(1, sizeof *redis);
    if (!redis)
        return NULL;
    redis->commands = commands;
    redis->log = log;
    const struct ticket_store store = { .put = put, .take = take, .context = redis };
    redis->tickets = tickets_create(settings->ticket_ttl_ms, &store, metrics);
    if (redis->tickets)
        return redis;
    free(redis);
    return NULL;
}

void redis_tickets_destroy(struct redis_tickets *redis)
{
    if (!redis)
        return;
    tickets_destroy(redis->tickets);
    free(redis);
}

void redis_tickets_apply(struct redis_tickets *redis, const struct settings *settings)
{
    tickets_set_ttl(redis->tickets, settings->ticket_ttl_ms);
}

struct tickets *redis_tickets_get(struct redis_tickets *redis)
{
    return redis->tickets;
}
