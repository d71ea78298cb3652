#include "gateway/access_sources.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/authorizer.h"
#include "front/roll_call.h"
#include "outgoing/http_client.h"

#define ANSWER_BYTES_MAX (64u << 10)

struct access_sources {
    struct commands *const *commands;
    struct log *log;
    struct log_limiter limiter;
    struct http_client *http; /* NULL without an application to ask, and while being destroyed */
    struct tickets *tickets;
    struct authorizer *authorizer; /* NULL: no application is asked */
};

/* ---- tickets ---- */

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
    struct access_sources *sources;
    ticket_put_done *done;
    void *context;
};

struct taking {
    struct access_sources *sources;
    ticket_take_done *done;
    void *context;
};

static void log_refusal(struct access_sources *sources, const struct reply *reply)
{
    log_event_limited(sources->log, &sources->limiter, LOG_LEVEL_WARN,
                      "redis refused a ticket; it needs GET, SET, GETDEL and scripts on sluice:*",
                      (const struct log_field[]){ LOG_BYTES("problem", reply->text, reply->text_length) }, 1);
}

static void on_put(void *context, enum commands_status status, const struct reply *reply)
{
    struct putting *putting = context;
    if (status == COMMANDS_ERROR)
        log_refusal(putting->sources, reply);
    putting->done(putting->context, status == COMMANDS_OK);
    free(putting);
}

static bool put(void *context, const char *key, struct text subject, const char *grant, size_t length,
                uint64_t ttl_ms, ticket_put_done *done, void *done_context)
{
    struct access_sources *sources = context;
    struct commands *commands = *sources->commands;
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
        *putting = (struct putting){ .sources = sources, .done = done, .context = done_context };
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
        log_refusal(taking->sources, reply);
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
    struct access_sources *sources = context;
    struct commands *commands = *sources->commands;
    struct taking *taking = commands ? malloc(sizeof *taking) : NULL;
    const char *arguments[] = { key };
    const size_t lengths[] = { strlen(key) };
    const struct command command = { 1, arguments, lengths };
    if (!taking)
        return false;
    *taking = (struct taking){ .sources = sources, .done = done, .context = done_context };
    if (commands_run_script(commands, take_script, 1, &command, on_taken, taking))
        return true;
    free(taking);
    return false;
}

/* ---- the application ---- */

static bool post(void *context, const char *url, const char *const *headers, size_t header_count,
                 const char *body, size_t length, authorizer_posted *done, void *done_context)
{
    const struct access_sources *sources = context;
    return sources->http &&
           http_client_post(sources->http, url, headers, header_count, body, length, done, done_context);
}

static bool build_authorizer(struct access_sources *sources, struct event_base *base,
                             const struct settings *settings, struct metrics *metrics)
{
    const struct http_client_options http_options = {
        .transfers_max = settings->access_authorize_concurrency_max,
        .timeout_ms = settings->access_authorize_timeout_ms,
        .response_bytes_max = ANSWER_BYTES_MAX,
    };
    const struct authorizer_options options = {
        .url = settings->access_authorize_url,
        .timeout_ms = settings->access_authorize_timeout_ms,
        .ttl_ms = settings->access_authorize_ttl_ms,
        .refusal_ttl_ms = settings->access_authorize_refusal_ttl_ms,
        .hold_ms = settings->access_authorize_hold_ms,
        .concurrency_max = settings->access_authorize_concurrency_max,
        .entries_max = settings->access_authorize_entries_max,
        .waiting_max = settings->access_authorize_entries_max,
    };
    const struct authorizer_client client = { .post = post, .context = sources };
    if (!*settings->access_authorize_url)
        return true;
    sources->http = http_client_create(base, &http_options, sources->log);
    sources->authorizer = authorizer_create(&options, &client, metrics, sources->log);
    return sources->http && sources->authorizer;
}

/* ---- life ---- */

struct access_sources *access_sources_create(struct event_base *base, const struct settings *settings,
                                             struct commands *const *commands, struct metrics *metrics,
                                             struct log *log)
{
    struct access_sources *sources = calloc(1, sizeof *sources);
    if (!sources)
        return NULL;
    sources->commands = commands;
    sources->log = log;
    const struct ticket_store store = { .put = put, .take = take, .context = sources };
    sources->tickets = tickets_create(settings->ticket_ttl_ms, &store, metrics);
    if (sources->tickets && build_authorizer(sources, base, settings, metrics))
        return sources;
    access_sources_destroy(sources);
    return NULL;
}

void access_sources_stop(struct access_sources *sources)
{
    struct http_client *http = sources->http;
    sources->http = NULL;
    http_client_destroy(http);
}

void access_sources_destroy(struct access_sources *sources)
{
    if (!sources)
        return;
    access_sources_stop(sources);
    authorizer_destroy(sources->authorizer);
    tickets_destroy(sources->tickets);
    free(sources);
}

void access_sources_apply(struct access_sources *sources, const struct settings *settings)
{
    tickets_set_ttl(sources->tickets, settings->ticket_ttl_ms);
}

void access_sources_bind(struct access_sources *sources, struct access_bindings *bindings)
{
    bindings->ticket = tickets_source(sources->tickets);
    if (sources->authorizer)
        bindings->application = authorizer_source(sources->authorizer);
}

struct tickets *access_sources_tickets(struct access_sources *sources)
{
    return sources->tickets;
}

void access_sources_forget(struct access_sources *sources, struct text subject)
{
    if (sources->authorizer)
        authorizer_forget(sources->authorizer, subject);
}
