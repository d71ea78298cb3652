#include "redis/redis_sentinel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/parse.h"
#include "redis/redis_connector.h"
#include "redis/redis_request.h"
#include "redis/redis_socket.h"
#include "redis/redis_tls.h"
#include "redis/reply.h"
#include "redis/reply_reader.h"

#define ANSWER_TIMEOUT_MS 1000
#define REPLY_BYTES_MAX 4096
#define READ_BYTES_PER_TURN 4096
#define HOST_BYTES_MAX 256

struct redis_sentinel {
    struct redis_sentinel_options options;
    redis_sentinel_done *done;
    void *context;
    struct redis_connector *connector;
    struct redis_socket *socket;
    struct reply_reader *reader;
    SSL_CTX *tls;        /* made for each connection: a CA file may be replaced */
    struct event *timer; /* the end of the time that one of them has */
    size_t current;      /* whom it asks, or will ask first */
    size_t asked;
    bool awaits_auth;
    char refusal[160]; /* its words */
    char problem[512];
};

static void disconnect(struct redis_sentinel *sentinel)
{
    event_del(sentinel->timer);
    redis_connector_cancel(sentinel->connector);
    redis_socket_close(sentinel->socket);
    SSL_CTX_free(sentinel->tls);
    sentinel->tls = NULL;
}

static void ask_current(struct redis_sentinel *sentinel)
{
    const struct redis_host *host = &sentinel->options.url->sentinels[sentinel->current];
    struct redis_url address = { .host = host->host, .port = host->port };
    struct timeval wait = { .tv_sec = ANSWER_TIMEOUT_MS / 1000, .tv_usec = ANSWER_TIMEOUT_MS % 1000 * 1000 };
    if (event_add(sentinel->timer, &wait) != 0)
        event_active(sentinel->timer, EV_TIMEOUT, 0);
    redis_connector_start(sentinel->connector, &address, ANSWER_TIMEOUT_MS);
}

/* This one is of no use: the next. */
static void ask_next(struct redis_sentinel *sentinel, const char *problem)
{
    const struct redis_url *url = sentinel->options.url;
    const struct redis_host *host = &url->sentinels[sentinel->current];
    snprintf(sentinel->problem, sizeof(sentinel->problem), "Sentinel %s:%u: %s", host->host,
             (unsigned)host->port, problem);
    disconnect(sentinel);
    sentinel->current = (sentinel->current + 1) % url->sentinel_count;
    if (++sentinel->asked < url->sentinel_count)
        ask_current(sentinel);
    else
        sentinel->done(sentinel->context, NULL, 0, sentinel->problem);
}

/* --- the answer ----------------------------------------------------------------------------------------- */

/* NULL, with the address, or what is wrong with the answer. */
static const char *read_address(const struct reply *answer, char *ret_host, uint16_t *ret_port)
{
    struct reply host = reply_element(answer, 0);
    struct reply port = reply_element(answer, 1);
    uint64_t number = 0;
    if (answer->kind == REPLY_NIL)
        return "it knows no master of this name";
    if (host.kind != REPLY_TEXT || port.kind != REPLY_TEXT || host.text_length == 0 ||
        host.text_length >= HOST_BYTES_MAX || memchr(host.text, '\0', host.text_length) ||
        !parse_unsigned(port.text, port.text_length, &number) || number == 0 || number > UINT16_MAX)
        return "its answer is no address";
    memcpy(ret_host, host.text, host.text_length);
    ret_host[host.text_length] = '\0';
    *ret_port = (uint16_t)number;
    return NULL;
}

/* NULL to go on, or why this Sentinel is of no use. Closes the socket when it has answered. */
static const char *take_reply(struct redis_sentinel *sentinel, const struct reply *reply)
{
    char host[HOST_BYTES_MAX];
    uint16_t port = 0;
    if (reply->kind == REPLY_ERROR) {
        snprintf(sentinel->refusal, sizeof(sentinel->refusal), "%.*s", (int)reply->text_length, reply->text);
        return sentinel->refusal;
    }
    if (sentinel->awaits_auth) {
        sentinel->awaits_auth = false;
        return NULL;
    }
    const char *problem = read_address(reply, host, &port);
    if (problem)
        return problem;
    disconnect(sentinel);
    sentinel->done(sentinel->context, host, port, NULL);
    return NULL;
}

static const char *on_bytes(void *context, const char *bytes, size_t length)
{
    struct redis_sentinel *sentinel = context;
    const struct redisReply *source = NULL;
    if (length > REPLY_READER_PIECE)
        return "more than an answer";
    reply_reader_feed(sentinel->reader, bytes, length);
    while (redis_socket_is_open(sentinel->socket) && reply_reader_next(sentinel->reader, &source)) {
        struct reply reply = reply_view(source);
        const char *problem = take_reply(sentinel, &reply);
        if (problem || !redis_socket_is_open(sentinel->socket))
            return problem;
    }
    return reply_reader_problem(sentinel->reader);
}

/* --- the connection ------------------------------------------------------------------------------------- */

static void on_open(void *context)
{
    struct redis_sentinel *sentinel = context;
    const struct redis_url *url = sentinel->options.url;
    const char *password = url->sentinel_password ? url->sentinel_password : "";
    struct buffer out = { 0 };
    sentinel->awaits_auth = url->sentinel_user || url->sentinel_password;
    if (url->sentinel_user) {
        const char *const arguments[] = { "AUTH", url->sentinel_user, password };
        redis_request_append(&out, 3, arguments, NULL);
    } else if (sentinel->awaits_auth) {
        const char *const arguments[] = { "AUTH", password };
        redis_request_append(&out, 2, arguments, NULL);
    }
    const char *const question[] = { "SENTINEL", "GET-MASTER-ADDR-BY-NAME", url->master_name };
    redis_request_append(&out, 3, question, NULL);
    /* Unsent, it is answered by the timer. */
    if (!out.failed)
        (void)redis_socket_write(sentinel->socket, out.data, out.size);
    if (out.data)
        explicit_bzero(out.data, out.size);
    buffer_free(&out);
}

static void on_turn_end(void *context)
{
    (void)context;
}

static void on_lost(void *context, const char *reason)
{
    ask_next(context, reason);
}

static SSL *create_tls_session(struct redis_sentinel *sentinel, const char **ret_problem)
{
    const struct redis_url *url = sentinel->options.url;
    *ret_problem = NULL;
    if (!url->is_tls)
        return NULL;
    sentinel->tls =
        redis_tls_context_create(sentinel->options.tls_ca_file, sentinel->options.tls_verify, ret_problem);
    SSL *session = sentinel->tls
                       ? redis_tls_session_create(sentinel->tls, url->sentinels[sentinel->current].host)
                       : NULL;
    if (!session && !*ret_problem)
        *ret_problem = "memory is short";
    return session;
}

static void on_connected(void *context, int descriptor, const char *problem)
{
    struct redis_sentinel *sentinel = context;
    if (descriptor < 0) {
        ask_next(sentinel, problem);
        return;
    }
    SSL *session = create_tls_session(sentinel, &problem);
    if (!problem && !reply_reader_reset(sentinel->reader))
        problem = reply_reader_problem(sentinel->reader);
    if (problem) {
        SSL_free(session);
        close(descriptor);
    } else if (!redis_socket_open(sentinel->socket, descriptor, session)) {
        problem = "memory is short";
    }
    if (problem)
        ask_next(sentinel, problem);
}

static void on_timer(evutil_socket_t descriptor, short what, void *context)
{
    (void)descriptor;
    (void)what;
    ask_next(context, "no answer within 1 s");
}

/* --- the sentinel --------------------------------------------------------------------------------------- */

struct redis_sentinel *redis_sentinel_create(struct event_base *base, struct evdns_base *dns,
                                             const struct redis_sentinel_options *options,
                                             redis_sentinel_done *done, void *context)
{
    struct redis_sentinel *sentinel = calloc(1, sizeof(*sentinel));
    if (!sentinel)
        return NULL;
    sentinel->options = *options;
    sentinel->done = done;
    sentinel->context = context;
    const struct redis_socket_events events = {
        .on_open = on_open,
        .on_bytes = on_bytes,
        .on_turn_end = on_turn_end,
        .on_lost = on_lost,
        .context = sentinel,
    };
    sentinel->timer = event_new(base, -1, 0, on_timer, sentinel);
    sentinel->connector = redis_connector_create(base, dns, on_connected, sentinel);
    sentinel->socket = redis_socket_create(base, READ_BYTES_PER_TURN, &events);
    sentinel->reader = reply_reader_create(REPLY_BYTES_MAX);
    if (!sentinel->timer || !sentinel->connector || !sentinel->socket || !sentinel->reader) {
        redis_sentinel_destroy(sentinel);
        return NULL;
    }
    return sentinel;
}

void redis_sentinel_destroy(struct redis_sentinel *sentinel)
{
    if (!sentinel)
        return;
    redis_connector_destroy(sentinel->connector);
    redis_socket_destroy(sentinel->socket);
    reply_reader_destroy(sentinel->reader);
    SSL_CTX_free(sentinel->tls);
    if (sentinel->timer)
        event_free(sentinel->timer);
    free(sentinel);
}

void redis_sentinel_ask(struct redis_sentinel *sentinel)
{
    disconnect(sentinel);
    sentinel->asked = 0;
    ask_current(sentinel);
}

void redis_sentinel_cancel(struct redis_sentinel *sentinel)
{
    disconnect(sentinel);
}

void redis_sentinel_distrust(struct redis_sentinel *sentinel)
{
    sentinel->current = (sentinel->current + 1) % sentinel->options.url->sentinel_count;
}
