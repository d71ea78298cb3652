#include "redis/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/list.h"
#include "redis/redis_request.h"
#include "redis/script_digest.h"

#define FORMAT_BYTES_KEPT 65536
#define REPLICA_STAY_MS 5000      /* where there is no other server, a replica is not left over and over */
#define SCRIPT_ARGUMENTS_MAX 4096 /* half of what Lua's unpack() takes in Redis */

enum request_kind { REQUEST_SINGLE, REQUEST_GROUP, REQUEST_SCRIPT, REQUEST_TRACKING };

struct request {
    struct list node;
    enum request_kind kind;
    commands_done *done;
    void *context;
    size_t command_count; /* without MULTI and EXEC */
    size_t replies_due;
    uint64_t deadline_ms;
    char *queued_error; /* GROUP: the first error before EXEC */
    char *eval;         /* SCRIPT: the formatted EVAL, in case of NOSCRIPT */
    size_t eval_length;
    int64_t redirect_id; /* TRACKING */
};

struct commands {
    struct commands_events events;
    struct metrics *metrics;
    struct log *log;
    struct log_limiter limiter;
    struct redis_link *link;
    size_t pending_max;
    uint64_t timeout_ms;

    struct list in_flight; /* sent, oldest first */
    size_t in_flight_count;
    struct list unsent; /* to be answered in the next turn */
    size_t unsent_count;
    struct event *answer_unsent;
    struct event *timer; /* pending while something is in flight: the oldest deadline, or earlier */
    struct buffer format;
    struct script_digester *digester;
    bool is_destroying;

    int64_t redirect_id; /* where invalidations go; 0: nowhere */
    bool is_tracking;
    uint64_t left_replica_ms; /* when the connection was last dropped for READONLY; 0: never */
};

/* --- requests ------------------------------------------------------------------------------------------- */

static void request_free(struct request *request)
{
    free(request->queued_error);
    free(request->eval);
    free(request);
}

static struct request *request_create(enum request_kind kind, size_t command_count, commands_done *done,
                                      void *context)
{
    struct request *request = calloc(1, sizeof(*request));
    if (!request)
        return NULL;
    request->kind = kind;
    request->command_count = command_count;
    request->replies_due = kind == REQUEST_GROUP ? command_count + 2 : 1;
    request->done = done;
    request->context = context;
    return request;
}

/* Ends a request that is on no list any more. */
static void answer(struct commands *commands, struct request *request, enum commands_status status,
                   const struct reply *reply)
{
    static const struct reply nothing = { .kind = REPLY_NIL };
    if (status != COMMANDS_OK && commands->metrics)
        commands->metrics->redis_errors++;
    if (request->done)
        request->done(request->context, status, reply ? reply : &nothing);
    request_free(request);
}

/* Answers what is on the list now; what the callbacks add is for later. */
static void answer_all(struct commands *commands, struct list *requests, size_t *count,
                       enum commands_status status)
{
    struct list now;
    struct list *node;
    list_init(&now);
    while ((node = list_first(requests))) {
        list_remove(node);
        list_append(&now, node);
    }
    *count = 0;
    while ((node = list_first(&now))) {
        list_remove(node);
        answer(commands, LIST_OWNER(node, struct request, node), status, NULL);
    }
}

static void arm_timer(struct commands *commands, uint64_t wait_ms)
{
    struct timeval wait = { .tv_sec = (time_t)(wait_ms / 1000),
                            .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000) };
    (void)event_add(commands->timer, &wait);
}

/* Sends what is in `format` for this request. False when it cannot be sent now; nothing has been sent then.
 */
static bool send_formatted(struct commands *commands, struct request *request, const char *bytes,
                           size_t length)
{
    if (!redis_link_send_formatted(commands->link, bytes, length, request->replies_due))
        return false;
    request->deadline_ms = clock_now_ms() + commands->timeout_ms;
    list_append(&commands->in_flight, &request->node);
    commands->in_flight_count++;
    if (commands->metrics)
        commands->metrics->redis_commands += request->command_count;
    if (!event_pending(commands->timer, EV_TIMEOUT, NULL))
        arm_timer(commands, commands->timeout_ms);
    return true;
}

static void park_unsent(struct commands *commands, struct request *request)
{
    list_append(&commands->unsent, &request->node);
    commands->unsent_count++;
    event_active(commands->answer_unsent, EV_TIMEOUT, 0);
}

/* Forgets the formatted command, which may be large. */
static void end_format(struct commands *commands)
{
    buffer_reset(&commands->format);
    if (commands->format.capacity > FORMAT_BYTES_KEPT)
        buffer_free(&commands->format);
}

/* Takes over `request` (NULL: memory was short) and what was formatted for it. */
static bool submit(struct commands *commands, struct request *request)
{
    bool taken = request && !commands->format.failed && !commands->is_destroying &&
                 commands->unsent_count < commands->pending_max;
    if (taken) {
        bool has_room = commands->in_flight_count < commands->pending_max;
        if (!has_room || !send_formatted(commands, request, commands->format.data, commands->format.size))
            park_unsent(commands, request);
    } else if (request) {
        request_free(request);
    }
    end_format(commands);
    return taken;
}

static void append_command(struct buffer *out, const struct command *command)
{
    redis_request_append(out, command->count, command->arguments, command->lengths);
}

static void append_word(struct buffer *out, const char *word)
{
    redis_request_append(out, 1, &word, NULL);
}

bool commands_send(struct commands *commands, const struct command *list, size_t command_count,
                   commands_done *done, void *context)
{
    bool is_group = command_count > 1;
    buffer_reset(&commands->format);
    if (is_group)
        append_word(&commands->format, "MULTI");
    for (size_t i = 0; i < command_count; i++)
        append_command(&commands->format, &list[i]);
    if (is_group)
        append_word(&commands->format, "EXEC");
    return submit(commands,
                  request_create(is_group ? REQUEST_GROUP : REQUEST_SINGLE, command_count, done, context));
}

/* --- scripts -------------------------------------------------------------------------------------------- */

static void append_script_call(struct buffer *out, const char *verb, const char *script, int key_count,
                               const struct command *tail)
{
    char keys[16];
    snprintf(keys, sizeof(keys), "%d", key_count);
    size_t count = 3 + (size_t)tail->count;
    const char **arguments = calloc(count, sizeof(char *));
    size_t *lengths = calloc(count, sizeof(size_t));
    out->failed |= !arguments || !lengths;
    if (out->failed) {
        free(arguments);
        free(lengths);
        return;
    }
    const char *const head[] = { verb, script, keys };
    for (int i = 0; i < 3; i++) {
        arguments[i] = head[i];
        lengths[i] = strlen(head[i]);
    }
    for (int i = 0; i < tail->count; i++) {
        arguments[3 + i] = tail->arguments[i];
        lengths[3 + i] = tail->lengths ? tail->lengths[i] : strlen(tail->arguments[i]);
    }
    redis_request_append(out, (int)count, arguments, lengths);
    free(arguments);
    free(lengths);
}

bool commands_run_script(struct commands *commands, const char *script, int key_count,
                         const struct command *keys_and_arguments, commands_done *done, void *context)
{
    if (keys_and_arguments->count > SCRIPT_ARGUMENTS_MAX)
        return false;
    struct request *request = request_create(REQUEST_SCRIPT, 1, done, context);
    struct buffer eval = { 0 };
    append_script_call(&eval, "EVAL", script, key_count, keys_and_arguments);
    if (!request || eval.failed) {
        buffer_free(&eval);
        free(request);
        return false;
    }
    request->eval = buffer_take(&eval, &request->eval_length);

    char digest[SCRIPT_DIGEST_BYTES];
    if (!script_digest(commands->digester, script, digest)) {
        request_free(request);
        return false;
    }
    buffer_reset(&commands->format);
    append_script_call(&commands->format, "EVALSHA", digest, key_count, keys_and_arguments);
    return submit(commands, request);
}

/* Redis does not know the script (it restarted, or SCRIPT FLUSH): nothing was run, so it is sent in full. */
static void send_whole_script(struct commands *commands, struct request *request)
{
    char *eval = request->eval;
    request->eval = NULL;
    if (!send_formatted(commands, request, eval, request->eval_length))
        park_unsent(commands, request);
    free(eval);
}

/* --- tracking ------------------------------------------------------------------------------------------- */

static void send_tracking(struct commands *commands)
{
    char id[24];
    snprintf(id, sizeof(id), "%lld", (long long)commands->redirect_id);
    const char *const on[] = { "CLIENT", "TRACKING", "ON", "REDIRECT", id, "NOLOOP" };
    const char *const off[] = { "CLIENT", "TRACKING", "OFF" };
    commands->is_tracking = false;
    struct request *request = request_create(REQUEST_TRACKING, 1, NULL, NULL);
    buffer_reset(&commands->format);
    if (commands->redirect_id != 0)
        redis_request_append(&commands->format, 6, on, NULL);
    else
        redis_request_append(&commands->format, 3, off, NULL);
    bool sent = false;
    if (request && !commands->format.failed) {
        request->redirect_id = commands->redirect_id;
        sent = send_formatted(commands, request, commands->format.data, commands->format.size);
    }
    if (!sent && request)
        request_free(request);
    end_format(commands);
}

static void take_tracking_reply(struct commands *commands, const struct request *request,
                                const struct reply *reply)
{
    if (reply->kind == REPLY_ERROR) {
        const struct log_field fields[] = {
            LOG_BYTES("error", reply->text, reply->text_length),
            LOG_TEXT("remedy", reply_error_remedy(reply)),
        };
        log_event_limited(commands->log, &commands->limiter, LOG_LEVEL_WARN,
                          "redis refuses client tracking: changed keys are seen only when their copy expires",
                          fields, 2);
        return;
    }
    commands->is_tracking = request->redirect_id != 0 && request->redirect_id == commands->redirect_id;
}

void commands_track_to(struct commands *commands, int64_t client_id)
{
    if (client_id == commands->redirect_id)
        return;
    commands->redirect_id = client_id;
    commands->is_tracking = false;
    if (commands_is_up(commands))
        send_tracking(commands);
}

bool commands_tracking_is_on(const struct commands *commands)
{
    return commands->is_tracking;
}

/* --- replies -------------------------------------------------------------------------------------------- */

/* MULTI, the queued commands: true once EXEC's reply is here. */
static bool take_group_reply(struct request *request, const struct reply *reply)
{
    if (request->replies_due == 0)
        return true;
    /* Without memory for it, EXECABORT's own text will do. */
    if (reply->kind == REPLY_ERROR && !request->queued_error)
        request->queued_error = strndup(reply->text, reply->text_length);
    return false;
}

/* What a group has come to: the first error of any of its commands, or EXEC's array. */
static struct reply group_result(const struct request *request, const struct reply *exec)
{
    if (request->queued_error)
        return (struct reply){ .kind = REPLY_ERROR,
                               .text = request->queued_error,
                               .text_length = strlen(request->queued_error) };
    for (size_t i = 0; exec->kind == REPLY_ARRAY && i < exec->count; i++) {
        struct reply element = reply_element(exec, i);
        if (element.kind == REPLY_ERROR)
            return element;
    }
    return *exec;
}

/* The master has become a replica: its name may stand for another server by now, or Sentinels know one. */
static void leave_replica(struct commands *commands)
{
    uint64_t now_ms = clock_now_ms();
    if (commands->left_replica_ms != 0 && now_ms - commands->left_replica_ms < REPLICA_STAY_MS)
        return;
    commands->left_replica_ms = now_ms;
    redis_link_reset(commands->link, "READONLY: Redis has become a replica");
}

static void on_reply(void *context, const struct redisReply *source)
{
    struct commands *commands = context;
    struct list *node = list_first(&commands->in_flight);
    struct reply reply = reply_view(source);
    if (!node) {
        redis_link_reset(commands->link, reply.kind == REPLY_ERROR ? reply.text : "a reply to no command");
        return;
    }
    struct request *request = LIST_OWNER(node, struct request, node);
    request->replies_due--;
    if (request->kind == REQUEST_GROUP && !take_group_reply(request, &reply))
        return;

    list_remove(node);
    commands->in_flight_count--;
    if (request->kind == REQUEST_SCRIPT && request->eval && reply_has_prefix(&reply, "NOSCRIPT")) {
        request->replies_due = 1;
        send_whole_script(commands, request);
        return;
    }
    if (request->kind == REQUEST_TRACKING)
        take_tracking_reply(commands, request, &reply);
    if (request->kind == REQUEST_GROUP)
        reply = group_result(request, &reply);
    if (reply.kind == REPLY_ERROR && reply_has_prefix(&reply, "READONLY "))
        leave_replica(commands);
    answer(commands, request, reply.kind == REPLY_ERROR ? COMMANDS_ERROR : COMMANDS_OK, &reply);
}

static void on_ready(void *context)
{
    struct commands *commands = context;
    if (commands->redirect_id != 0)
        send_tracking(commands);
    if (commands->events.on_up)
        commands->events.on_up(commands->events.context);
}

static void on_down(void *context, const char *reason)
{
    struct commands *commands = context;
    commands->is_tracking = false;
    answer_all(commands, &commands->in_flight, &commands->in_flight_count, COMMANDS_UNCERTAIN);
    if (commands->events.on_down)
        commands->events.on_down(commands->events.context, reason);
}

static void on_answer_unsent(evutil_socket_t descriptor, short what, void *context)
{
    (void)descriptor;
    (void)what;
    struct commands *commands = context;
    answer_all(commands, &commands->unsent, &commands->unsent_count, COMMANDS_UNSENT);
}

/* Looks at the oldest request only: all have the same time. */
static void on_timer(evutil_socket_t descriptor, short what, void *context)
{
    (void)descriptor;
    (void)what;
    struct commands *commands = context;
    struct list *node = list_first(&commands->in_flight);
    if (!node)
        return;
    uint64_t deadline_ms = LIST_OWNER(node, struct request, node)->deadline_ms;
    uint64_t now_ms = clock_now_ms();
    if (now_ms < deadline_ms) {
        arm_timer(commands, deadline_ms - now_ms);
        return;
    }
    char reason[64];
    snprintf(reason, sizeof(reason), "no answer within %llu ms", (unsigned long long)commands->timeout_ms);
    redis_link_reset(commands->link, reason);
}

/* --- the commands --------------------------------------------------------------------------------------- */

struct commands *commands_create(struct event_base *base, struct evdns_base *dns,
                                 const struct commands_options *options, const struct commands_events *events,
                                 struct metrics *metrics, struct log *log)
{
    struct commands *commands = calloc(1, sizeof(*commands));
    if (!commands)
        return NULL;
    commands->events = *events;
    commands->metrics = metrics;
    commands->log = log;
    commands->pending_max = options->pending_max;
    commands->timeout_ms = options->timeout_ms;
    list_init(&commands->in_flight);
    list_init(&commands->unsent);
    const struct redis_link_events link_events = {
        .on_ready = on_ready,
        .on_down = on_down,
        .on_reply = on_reply,
        .context = commands,
    };
    commands->answer_unsent = event_new(base, -1, 0, on_answer_unsent, commands);
    commands->timer = event_new(base, -1, 0, on_timer, commands);
    commands->digester = script_digester_create();
    struct redis_link_options link_options = options->link;
    link_options.metrics = metrics;
    commands->link = redis_link_create(base, dns, &link_options, &link_events, log);
    if (!commands->answer_unsent || !commands->timer || !commands->digester || !commands->link) {
        commands_destroy(commands);
        return NULL;
    }
    return commands;
}

void commands_destroy(struct commands *commands)
{
    if (!commands)
        return;
    commands->is_destroying = true;
    if (commands->link)
        redis_link_stop(commands->link);
    answer_all(commands, &commands->in_flight, &commands->in_flight_count, COMMANDS_UNCERTAIN);
    answer_all(commands, &commands->unsent, &commands->unsent_count, COMMANDS_UNSENT);
    redis_link_destroy(commands->link);
    if (commands->answer_unsent)
        event_free(commands->answer_unsent);
    if (commands->timer)
        event_free(commands->timer);
    script_digester_destroy(commands->digester);
    buffer_free(&commands->format);
    free(commands);
}

void commands_start(struct commands *commands)
{
    redis_link_start(commands->link);
}

bool commands_is_up(const struct commands *commands)
{
    return redis_link_state(commands->link) == REDIS_LINK_READY;
}
