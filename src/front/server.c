#include "front/server.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A request head of 16 KiB, the library's notes about it and the response head fit. Above 32 KiB it would use
 * mmap(2). */
#define CONNECTION_MEMORY_BYTES (32u << 10)

struct server {
    struct MHD_Daemon *daemon;
    struct event *readable;
    struct event *timer;
    struct event *wakeup; /* apart from the timer: server_run() sets that anew at its end, and it may be woken
                             meanwhile */
    struct log *log;
};

/* What the library complains about is what clients do wrong. */
__attribute__((format(printf, 2, 0))) static void on_log(void *context, const char *format, va_list arguments)
{
    struct server *server = context;
    if (!log_enabled(server->log, LOG_LEVEL_DEBUG))
        return;
    char line[512];
    int length = vsnprintf(line, sizeof(line), format, arguments);
    if (length < 0)
        return;
    size_t shown = (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1;
    while (shown > 0 && line[shown - 1] == '\n')
        shown--;
    LOG_DEBUG(server->log, "libmicrohttpd", LOG_BYTES("says", line, shown));
}

/* We decode the raw address ourselves; what the library makes of it is not looked at. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

void server_run(struct server *server)
{
    MHD_run(server->daemon);
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    if (MHD_get_timeout(server->daemon, &wait_ms) != MHD_YES) {
        evtimer_del(server->timer);
        return;
    }
    const struct timeval wait = { .tv_sec = (time_t)(wait_ms / 1000),
                                  .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000) };
    evtimer_add(server->timer, &wait);
}

static void on_event(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    server_run(context);
}

static struct MHD_Daemon *start_daemon(struct server *server, const struct server_handlers *handlers)
{
    /*
     * MHD_USE_TURBO: without it a connection that the library closes is shut down, and with it the stream
     * that was handed over as a duplicate of the same socket.
     */
    const unsigned flags = MHD_USE_EPOLL | MHD_USE_TURBO | MHD_USE_NO_LISTEN_SOCKET |
                           MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    return MHD_start_daemon(flags, 0, NULL, NULL, handlers->on_request, handlers->context, /* */
                            MHD_OPTION_EXTERNAL_LOGGER, on_log, server, /* must be the first */
                            MHD_OPTION_URI_LOG_CALLBACK, handlers->on_request_line, handlers->context, /* */
                            MHD_OPTION_NOTIFY_COMPLETED, handlers->on_completed, handlers->context,    /* */
                            MHD_OPTION_NOTIFY_CONNECTION, handlers->on_connection, handlers->context,  /* */
                            MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,                         /* */
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)INT_MAX,                            /* */
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,       /* */
                            MHD_OPTION_CONNECTION_TIMEOUT, 0u,                                         /* */
                            MHD_OPTION_END);
}

struct server *server_create(struct event_base *base, const struct server_handlers *handlers, struct log *log)
{
    struct server *server = calloc(1, sizeof(*server));
    if (!server)
        return NULL;
    server->log = log;
    server->daemon = start_daemon(server, handlers);
    const union MHD_DaemonInfo *info =
        server->daemon ? MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (info)
        server->readable = event_new(base, info->epoll_fd, EV_READ | EV_PERSIST, on_event, server);
    server->timer = evtimer_new(base, on_event, server);
    server->wakeup = evtimer_new(base, on_event, server);
    if (server->readable && server->timer && server->wakeup && event_add(server->readable, NULL) == 0)
        return server;
    server_destroy(server);
    return NULL;
}

void server_destroy(struct server *server)
{
    if (!server)
        return;
    /* The library closes its epoll descriptor, so the loop forgets it first. */
    if (server->readable)
        event_free(server->readable);
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    if (server->timer)
        event_free(server->timer);
    if (server->wakeup)
        event_free(server->wakeup);
    free(server);
}

bool server_add(struct server *server, int descriptor, const struct sockaddr *address, socklen_t length)
{
    server_wake(server);
    return MHD_add_connection(server->daemon, descriptor, address, length) == MHD_YES;
}

void server_wake(struct server *server)
{
    event_active(server->wakeup, EV_TIMEOUT, 0);
}
