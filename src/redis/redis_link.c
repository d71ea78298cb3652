#include "redis/redis_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "redis/backoff.h"
#include "redis/keepalive.h"
#include "redis/redis_handshake.h"
#include "redis/redis_request.h"
#include "redis/redis_socket.h"
#include "redis/redis_target.h"
#include "redis/redis_tls.h"
#include "redis/reply.h"
#include "redis/reply_reader.h"

#define CONNECT_TIMEOUT_MS 5000
#define PING_AFTER_MS 5000
#define PING_TIMEOUT_MS 9000 /* with PING_AFTER_MS, dead peers are noticed within 15 s */
#define SETTLED_AFTER_MS 5000
#define FORMAT_BYTES_KEPT 65536

struct redis_link {
    struct event_base *base;
    struct redis_link_options options;
    struct redis_link_events events;
    struct log *log;
    struct log_limiter down_limiter;
    struct log_limiter note_limiter;
    char client_name[64];

    enum redis_link_state state;
    struct event *timer; /* the end of the attempt or of the wait; READY: the next look at the idle time */
    struct event *reset; /* drops the connection once the caller of redis_link_reset() is back in the loop */
    bool is_resetting;
    char reason[256];
    struct backoff backoff;
    uint64_t ready_since_ms;
    bool was_ready;

    struct redis_target *target;
    struct redis_socket *socket;
    SSL_CTX *tls; /* created with the first connection that needs it */
    struct reply_reader *reader;
    bool is_dispatching; /* the reader's reply is in use */
    struct redis_handshake handshake;
    struct keepalive keepalive;
    struct buffer format; /* a command on its way to the output */
};

static void redis_link_become(struct redis_link *link, enum redis_link_state next, const char *reason,
                              const char *remedy);

static void arm_timer(struct redis_link *link, uint64_t wait_ms)
{
    struct timeval wait = { .tv_sec = (time_t)(wait_ms / 1000),
                            .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000) };
    /* Without memory for the timer: better at once than never. */
    if (event_add(link->timer, &wait) != 0)
        event_active(link->timer, EV_TIMEOUT, 0);
}

/* --- the state ------------------------------------------------------------------------------------------ */

static void disconnect(struct redis_link *link)
{
    redis_target_cancel(link->target);
    redis_socket_close(link->socket);
    event_del(link->reset);
    link->is_resetting = false;
    /* Gives the memory of a half-read reply back. In a callback the next connection does it. */
    if (!link->is_dispatching)
        (void)reply_reader_reset(link->reader);
}

static void enter_ready(struct redis_link *link)
{
    link->ready_since_ms = clock_now_ms();
    keepalive_start(&link->keepalive, link->ready_since_ms, link->handshake.is_ping_refused);
    if (link->was_ready && link->options.metrics)
        link->options.metrics->redis_reconnects++;
    link->was_ready = true;
    arm_timer(link, link->keepalive.ping_after_ms);
    redis_target_watch(link->target);
    LOG_INFO(link->log, "redis link up", LOG_TEXT("link", link->options.name),
             LOG_TEXT("address", redis_target_display(link->target)),
             LOG_NUMBER("client_id", link->handshake.client_id));
    if (link->events.on_ready)
        link->events.on_ready(link->events.context);
}

static void enter_backoff(struct redis_link *link, bool was_ready, const char *reason, const char *remedy)
{
    if (was_ready && clock_now_ms() - link->ready_since_ms >= SETTLED_AFTER_MS)
        backoff_reset(&link->backoff);
    uint64_t wait_ms = backoff_next_ms(&link->backoff);
    arm_timer(link, wait_ms);
    const struct log_field fields[] = {
        LOG_TEXT("link", link->options.name), LOG_TEXT("address", redis_target_display(link->target)),
        LOG_TEXT("reason", reason),           LOG_TEXT("remedy", remedy),
        LOG_NUMBER("retry_in_ms", wait_ms),
    };
    log_event_limited(link->log, &link->down_limiter, LOG_LEVEL_WARN, "redis link down", fields,
                      sizeof(fields) / sizeof(fields[0]));
    if (was_ready && link->events.on_down)
        link->events.on_down(link->events.context, reason);
}

/* The one function that changes the state. `reason` is for BACKOFF; it may lie in what gets cleared. */
static void redis_link_become(struct redis_link *link, enum redis_link_state next, const char *reason,
                              const char *remedy)
{
    bool was_ready = link->state == REDIS_LINK_READY;
    if (reason && reason != link->reason)
        snprintf(link->reason, sizeof(link->reason), "%s", reason);
    event_del(link->timer);
    link->state = next;
    switch (next) {
    case REDIS_LINK_DOWN:
        disconnect(link);
        backoff_reset(&link->backoff);
        break;
    case REDIS_LINK_CONNECTING:
        arm_timer(link, CONNECT_TIMEOUT_MS);
        redis_target_connect(link->target, CONNECT_TIMEOUT_MS);
        break;
    case REDIS_LINK_READY:
        enter_ready(link);
        break;
    case REDIS_LINK_BACKOFF:
        disconnect(link);
        enter_backoff(link, was_ready, link->reason, remedy);
        break;
    }
}

/* --- connecting ----------------------------------------------------------------------------------------- */

/* NULL without *ret_problem for a plain connection. */
static SSL *create_tls_session(struct redis_link *link, const char **ret_problem)
{
    *ret_problem = NULL;
    if (!link->options.url->is_tls)
        return NULL;
    if (!link->tls)
        link->tls =
            redis_tls_context_create(link->options.tls_ca_file, link->options.tls_verify, ret_problem);
    if (!link->tls)
        return NULL;
    SSL *session = redis_tls_session_create(link->tls, redis_target_host(link->target));
    if (!session)
        *ret_problem = "memory is short";
    return session;
}

static void on_connected(void *context, int descriptor, const char *problem)
{
    struct redis_link *link = context;
    if (descriptor < 0) {
        redis_link_become(link, REDIS_LINK_BACKOFF, problem, NULL);
        return;
    }
    SSL *session = create_tls_session(link, &problem);
    if (!problem && !reply_reader_reset(link->reader))
        problem = reply_reader_problem(link->reader);
    if (problem) {
        SSL_free(session);
        close(descriptor);
    } else if (!redis_socket_open(link->socket, descriptor, session)) {
        problem = "memory is short";
    }
    if (problem)
        redis_link_become(link, REDIS_LINK_BACKOFF, problem, NULL);
}

static void on_moved(void *context)
{
    redis_link_reset(context, "Sentinel names another master");
}

static void on_open(void *context)
{
    struct redis_link *link = context;
    buffer_reset(&link->format);
    redis_handshake_begin(&link->handshake, link->options.url, link->client_name, &link->format);
    if (link->format.failed || !redis_socket_write(link->socket, link->format.data, link->format.size))
        redis_link_reset(link, "memory is short");
    /* The password is in it. */
    if (link->format.data)
        explicit_bzero(link->format.data, link->format.size);
}

static void log_handshake_notes(struct redis_link *link)
{
    const char *note = NULL;
    if (link->handshake.is_password_unused)
        note = "Redis asks for no password: leave it out of redis_url";
    else if (link->handshake.is_ping_refused)
        note = "PING is refused, so a dead link is noticed late: ACL SETUSER <user> +ping";
    if (!note)
        return;
    const struct log_field fields[] = { LOG_TEXT("link", link->options.name), LOG_TEXT("note", note) };
    log_event_limited(link->log, &link->note_limiter, LOG_LEVEL_WARN, "redis link limited", fields, 2);
}

static const char *handshake_problem(const struct redis_link *link, const struct reply *reply)
{
    if (link->handshake.is_replica)
        return "the master that Sentinel names is a replica";
    return reply->kind == REPLY_ERROR ? reply->text : "not an answer of Redis";
}

static void take_handshake_reply(struct redis_link *link, const struct reply *reply)
{
    switch (redis_handshake_take(&link->handshake, reply)) {
    case HANDSHAKE_MORE:
        break;
    case HANDSHAKE_DONE:
        log_handshake_notes(link);
        redis_link_become(link, REDIS_LINK_READY, NULL, NULL);
        break;
    case HANDSHAKE_FAILED:
        redis_link_become(link, REDIS_LINK_BACKOFF, handshake_problem(link, reply),
                          reply_error_remedy(reply));
        break;
    }
}

/* --- reading -------------------------------------------------------------------------------------------- */

static void dispatch(struct redis_link *link)
{
    const struct redisReply *reply = NULL;
    link->is_dispatching = true;
    while (redis_socket_is_open(link->socket) && !link->is_resetting &&
           reply_reader_next(link->reader, &reply)) {
        struct reply view = reply_view(reply);
        if (link->state == REDIS_LINK_CONNECTING)
            take_handshake_reply(link, &view);
        else if (!keepalive_take_reply(&link->keepalive, &view))
            link->events.on_reply(link->events.context, reply);
    }
    link->is_dispatching = false;
}

static const char *on_bytes(void *context, const char *bytes, size_t length)
{
    struct redis_link *link = context;
    link->keepalive.received_ms = clock_now_ms();
    for (size_t at = 0; at < length; at += REPLY_READER_PIECE) {
        size_t piece = length - at < REPLY_READER_PIECE ? length - at : REPLY_READER_PIECE;
        reply_reader_feed(link->reader, bytes + at, piece);
        dispatch(link);
        if (!redis_socket_is_open(link->socket))
            return NULL;
        if (link->is_resetting)
            return link->reason;
        if (reply_reader_problem(link->reader))
            return reply_reader_problem(link->reader);
    }
    return NULL;
}

static void on_turn_end(void *context)
{
    struct redis_link *link = context;
    if (link->state == REDIS_LINK_READY && link->events.on_turn_end)
        link->events.on_turn_end(link->events.context);
}

static void on_lost(void *context, const char *reason)
{
    struct redis_link *link = context;
    /* A CA file may have been replaced: read it again. */
    if (link->state == REDIS_LINK_CONNECTING && link->tls && link->options.tls_ca_file) {
        SSL_CTX_free(link->tls);
        link->tls = NULL;
    }
    /* hiredis' words for bytes that are no RESP at all. */
    const char *remedy = NULL;
    if (strncmp(reason, "Protocol error", strlen("Protocol error")) == 0)
        remedy = "check host and port in redis_url; for a TLS port use rediss://";
    redis_link_become(link, REDIS_LINK_BACKOFF, reason, remedy);
}

static void check_idle(struct redis_link *link)
{
    static const char ping[] = "*1\r\n$4\r\nPING\r\n";
    uint64_t now_ms = clock_now_ms();
    uint64_t wait_ms = 0;
    enum keepalive_action action = keepalive_check(&link->keepalive, now_ms, &wait_ms);
    if (action == KEEPALIVE_DEAD) {
        redis_link_become(link, REDIS_LINK_BACKOFF, "no answer to PING", NULL);
        return;
    }
    arm_timer(link, wait_ms);
    /* Output at its bound is a sign of no life, too: the link is dead if that lasts. Without memory no PING
     * is sent, and then none may be waited for: the next reply would be taken for its PONG. */
    if (action == KEEPALIVE_PING && redis_socket_write(link->socket, ping, sizeof(ping) - 1))
        keepalive_ping_sent(&link->keepalive, now_ms);
}

static void on_reset(evutil_socket_t descriptor, short what, void *context)
{
    (void)descriptor;
    (void)what;
    struct redis_link *link = context;
    redis_link_become(link, REDIS_LINK_BACKOFF, link->reason, NULL);
}

static void give_up_attempt(struct redis_link *link)
{
    const char *reason = "no connection within 5 s";
    const char *remedy = NULL;
    if (redis_socket_is_open(link->socket)) {
        reason = "connected, but no answer within 5 s";
        /* Redis takes a TLS greeting for the start of a long command, and waits for more. */
        remedy = link->options.url->is_tls ? "check that this port of Redis speaks TLS, or use redis://"
                                           : "check host and port in redis_url";
    }
    redis_link_become(link, REDIS_LINK_BACKOFF, reason, remedy);
}

static void on_timer(evutil_socket_t descriptor, short what, void *context)
{
    (void)descriptor;
    (void)what;
    struct redis_link *link = context;
    switch (link->state) {
    case REDIS_LINK_CONNECTING:
        give_up_attempt(link);
        break;
    case REDIS_LINK_BACKOFF:
        redis_link_become(link, REDIS_LINK_CONNECTING, NULL, NULL);
        break;
    case REDIS_LINK_READY:
        check_idle(link);
        break;
    case REDIS_LINK_DOWN:
        break;
    }
}

/* --- the link ------------------------------------------------------------------------------------------- */

struct redis_link *redis_link_create(struct event_base *base, struct evdns_base *dns,
                                     const struct redis_link_options *options,
                                     const struct redis_link_events *events, struct log *log)
{
    struct redis_link *link = calloc(1, sizeof(*link));
    if (!link)
        return NULL;
    link->base = base;
    link->options = *options;
    link->keepalive.ping_after_ms = options->ping_after_ms ? options->ping_after_ms : PING_AFTER_MS;
    link->keepalive.ping_timeout_ms = options->ping_timeout_ms ? options->ping_timeout_ms : PING_TIMEOUT_MS;
    link->keepalive.is_subscriber = options->is_subscriber;
    link->events = *events;
    link->log = log;
    snprintf(link->client_name, sizeof(link->client_name), "sluice-%s", options->name);
    const struct redis_socket_events socket_events = {
        .on_open = on_open,
        .on_bytes = on_bytes,
        .on_turn_end = on_turn_end,
        .on_lost = on_lost,
        .context = link,
    };
    const struct redis_target_options target_options = { .url = options->url,
                                                         .tls_ca_file = options->tls_ca_file,
                                                         .tls_verify = options->tls_verify };
    const struct redis_target_events target_events = { .on_connected = on_connected,
                                                       .on_moved = on_moved,
                                                       .context = link };
    link->timer = event_new(base, -1, 0, on_timer, link);
    link->reset = event_new(base, -1, 0, on_reset, link);
    link->target = redis_target_create(base, dns, &target_options, &target_events);
    link->socket = redis_socket_create(base, options->read_bytes_per_turn, &socket_events);
    link->reader = reply_reader_create(options->reply_bytes_max);
    if (!link->timer || !link->reset || !link->target || !link->socket || !link->reader) {
        redis_link_destroy(link);
        return NULL;
    }
    return link;
}

void redis_link_destroy(struct redis_link *link)
{
    if (!link)
        return;
    redis_socket_destroy(link->socket);
    redis_target_destroy(link->target);
    reply_reader_destroy(link->reader);
    if (link->timer)
        event_free(link->timer);
    if (link->reset)
        event_free(link->reset);
    SSL_CTX_free(link->tls);
    buffer_free(&link->format);
    free(link);
}

void redis_link_start(struct redis_link *link)
{
    if (link->state == REDIS_LINK_DOWN)
        redis_link_become(link, REDIS_LINK_CONNECTING, NULL, NULL);
}

void redis_link_stop(struct redis_link *link)
{
    redis_link_become(link, REDIS_LINK_DOWN, NULL, NULL);
}

void redis_link_reset(struct redis_link *link, const char *reason)
{
    if (link->is_resetting || link->state == REDIS_LINK_DOWN || link->state == REDIS_LINK_BACKOFF)
        return;
    link->is_resetting = true;
    snprintf(link->reason, sizeof(link->reason), "%s", reason);
    event_active(link->reset, EV_TIMEOUT, 0);
}

enum redis_link_state redis_link_state(const struct redis_link *link)
{
    return link->state;
}

int64_t redis_link_client_id(const struct redis_link *link)
{
    return link->handshake.client_id;
}

bool redis_link_send_formatted(struct redis_link *link, const char *bytes, size_t length, size_t reply_count)
{
    if (link->state != REDIS_LINK_READY || link->is_resetting)
        return false;
    size_t waiting = redis_socket_output_bytes(link->socket);
    if (waiting >= link->options.output_bytes_max || length > link->options.output_bytes_max - waiting)
        return false;
    if (!redis_socket_write(link->socket, bytes, length))
        return false;
    keepalive_commands_sent(&link->keepalive, reply_count);
    return true;
}

bool redis_link_send(struct redis_link *link, int count, const char *const *arguments, const size_t *lengths)
{
    if (link->state != REDIS_LINK_READY || link->is_resetting)
        return false;
    buffer_reset(&link->format);
    redis_request_append(&link->format, count, arguments, lengths);
    bool sent =
        !link->format.failed && redis_link_send_formatted(link, link->format.data, link->format.size, 1);
    if (link->format.capacity > FORMAT_BYTES_KEPT)
        buffer_free(&link->format);
    return sent;
}
