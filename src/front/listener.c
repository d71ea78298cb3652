#include "front/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "front/address.h"
#include "front/port_sharing.h"

#define BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */

/* Connections taken in one turn of the loop; then the others have their turn. */
#define ACCEPTS_PER_TURN 128

/* How long accepting rests when there are no descriptors. */
#define PAUSE_MS 100

/* Handshakes that have begun end within this: a round trip, or one lost segment that was sent again. */
#define HANDOVER_MS 1200

struct listener {
    int descriptor;
    struct address address;
    struct event *readable;
    struct event *pause_timer;
    listener_accepted *accepted;
    void *context;
    struct metrics *metrics;
    struct log *log;
    struct log_limiter own_limiter;
    struct log_limiter *limiter; /* the first's, who lives as long as those that share its address */
    bool has_room;
    bool owns_file; /* a unix socket's */
    bool reuse_port;
    bool is_leaving;
    unsigned siblings;
    struct event *leave_timer;
};

static bool is_out_of_resources(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void pause_accepting(struct listener *listener, int error)
{
    const struct log_field fields[] = { LOG_TEXT("problem", strerror(error)) };
    listener->metrics->accept_pauses++;
    log_event_limited(listener->log, listener->limiter, LOG_LEVEL_WARN,
                      "accepting pauses; raise the limit of open files (ulimit -n)", fields, 1);
    struct timeval wait = { .tv_usec = PAUSE_MS * 1000 };
    event_del(listener->readable);
    evtimer_add(listener->pause_timer, &wait);
}

static void on_pause_over(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct listener *listener = context;
    if (listener->has_room && listener->readable)
        event_add(listener->readable, NULL);
}

enum accept_end { ACCEPT_MORE, ACCEPT_NONE_LEFT, ACCEPT_NO_ROOM };

static enum accept_end accept_some(struct listener *listener, int most)
{
    for (int i = 0; i < most; i++) {
        struct sockaddr_storage address = { 0 };
        socklen_t length = sizeof(address);
        int accepted =
            accept4(listener->descriptor, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) {
            if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO)
                continue;
            if (is_out_of_resources(errno) && !listener->is_leaving)
                pause_accepting(listener, errno);
            return ACCEPT_NONE_LEFT;
        }
        if (listener->is_leaving)
            port_accept_all(accepted);
        /* The peer of a unix socket has no name; its family says all. */
        if (length < sizeof(sa_family_t))
            length = sizeof(sa_family_t);
        if (!listener->accepted(listener->context, accepted, (struct sockaddr *)&address, length))
            return ACCEPT_NO_ROOM;
    }
    return ACCEPT_MORE;
}

static void on_readable(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct listener *listener = context;
    if (accept_some(listener, ACCEPTS_PER_TURN) != ACCEPT_NO_ROOM)
        return;
    listener->has_room = false;
    event_del(listener->readable);
}

static bool bind_and_listen(int descriptor, const struct sockaddr *address, socklen_t length, bool is_shared)
{
    const int on = 1;
    const int off = 0;
    if (is_shared)
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (address->sa_family == AF_INET6)
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return bind(descriptor, address, length) == 0 && listen(descriptor, BACKLOG) == 0;
}

/* A socket file that nobody listens on was left behind by a process that ended badly. */
static void remove_stale_socket(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return;
    if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) != 0 && errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(probe);
}

static int open_unix(const struct address *address)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    memcpy(name.sun_path, address->host, strlen(address->host) + 1);
    remove_stale_socket(&name);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor >= 0 &&
        !bind_and_listen(descriptor, (const struct sockaddr *)&name, sizeof(name), false)) {
        int error = errno;
        close(descriptor);
        errno = error;
        return -1;
    }
    return descriptor;
}

static int open_at(const struct sockaddr *address, socklen_t length, bool is_shared)
{
    int descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor >= 0 && !bind_and_listen(descriptor, address, length, is_shared)) {
        int error = errno;
        close(descriptor);
        errno = error;
        return -1;
    }
    return descriptor;
}

/* A shared port is open to every process of this user: unless that is wanted, it must be nobody's yet. */
static int open_as_first(const struct addrinfo *entry, const struct listener_options *options)
{
    if (options->reuse_port)
        return open_at(entry->ai_addr, entry->ai_addrlen, true);
    int descriptor = open_at(entry->ai_addr, entry->ai_addrlen, false);
    if (descriptor < 0 || options->siblings <= 1)
        return descriptor;
    close(descriptor);
    return open_at(entry->ai_addr, entry->ai_addrlen, true);
}

/* The first of the host's addresses that can be listened on. `*ret_reason` stays NULL where errno says it. */
static int open_internet(const struct address *address, const struct listener_options *options,
                         const char **ret_reason)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    /* `::` takes IPv4 as well; where there is no IPv6, the loop below comes to 0.0.0.0. */
    if (!*address->host)
        hints.ai_family = AF_INET6;
    int failure = getaddrinfo(*address->host ? address->host : NULL, address->port, &hints, &found);
    int descriptor = -1;
    int error = EADDRNOTAVAIL;
    for (struct addrinfo *entry = found; failure == 0 && entry && descriptor < 0; entry = entry->ai_next) {
        descriptor = open_as_first(entry, options);
        error = errno;
    }
    if (failure == 0)
        freeaddrinfo(found);
    else
        *ret_reason = gai_strerror(failure);
    errno = error;
    return descriptor;
}

/* Another socket at the same port, with a queue of its own; of a unix socket the same one again. */
static int open_beside(const struct listener *first)
{
    struct sockaddr_storage address = { 0 };
    socklen_t length = sizeof(address);
    if (first->address.is_unix)
        return fcntl(first->descriptor, F_DUPFD_CLOEXEC, 3);
    if (getsockname(first->descriptor, (struct sockaddr *)&address, &length) != 0)
        return -1;
    return open_at((struct sockaddr *)&address, length, true);
}

static int open_socket(const struct address *address, const struct listener_options *options,
                       const char **ret_reason)
{
    if (address->is_unix)
        return open_unix(address);
    int descriptor = open_internet(address, options, ret_reason);
    if (descriptor < 0 && !*address->host && errno == EAFNOSUPPORT) {
        struct address everywhere = *address;
        memcpy(everywhere.host, "0.0.0.0", sizeof("0.0.0.0"));
        descriptor = open_internet(&everywhere, options, ret_reason);
    }
    return descriptor;
}

static void close_socket(struct listener *listener)
{
    if (listener->readable)
        event_free(listener->readable);
    listener->readable = NULL;
    if (listener->descriptor < 0)
        return;
    if (listener->owns_file)
        unlink(listener->address.host);
    close(listener->descriptor);
    listener->descriptor = -1;
}

/* What is in the queue would be reset. There may be no room for it, but it is no more than the queue holds.
 */
static void finish_leaving(struct listener *listener)
{
    port_refuse_all(listener->descriptor);
    for (int left = BACKLOG; left > 0 && accept_some(listener, 1) != ACCEPT_NONE_LEFT; left--)
        ;
    if (listener->reuse_port)
        port_end_steering(listener->descriptor);
    close_socket(listener);
}

static void on_leave_timer(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    finish_leaving(context);
}

static char *make_problem(const char *address, const char *reason)
{
    char *problem = NULL;
    if (asprintf(&problem, "cannot listen on %s: %s", address, reason) < 0)
        return NULL;
    return problem;
}

struct listener *listener_create(struct event_base *base, const struct listener_options *options,
                                 listener_accepted *accepted, void *context, struct metrics *metrics,
                                 struct log *log, char **ret_problem)
{
    static const char in_use[] =
        "it is in use by another process. Stop that, choose another address with --listen, or let "
        "both share it with reuse_port: on";
    const char *address = options->address;
    const char *reason = NULL;
    struct listener *listener = calloc(1, sizeof(*listener));
    if (!listener) {
        *ret_problem = make_problem(address, "memory is short");
        return NULL;
    }
    *listener = (struct listener){ .descriptor = -1,
                                   .accepted = accepted,
                                   .context = context,
                                   .metrics = metrics,
                                   .log = log,
                                   .has_room = true,
                                   .reuse_port = options->reuse_port,
                                   .siblings = options->siblings > 0 ? options->siblings : 1 };
    listener->limiter = options->first ? options->first->limiter : &listener->own_limiter;
    if (address_parse(address, &listener->address, &reason)) {
        listener->descriptor =
            options->first ? open_beside(options->first) : open_socket(&listener->address, options, &reason);
        listener->owns_file = listener->address.is_unix && !options->first && listener->descriptor >= 0;
        if (listener->descriptor < 0 && !reason)
            reason = errno == EADDRINUSE ? in_use : strerror(errno);
    }
    if (listener->descriptor >= 0) {
        listener->readable =
            event_new(base, listener->descriptor, EV_READ | EV_PERSIST, on_readable, listener);
        listener->pause_timer = evtimer_new(base, on_pause_over, listener);
        listener->leave_timer = evtimer_new(base, on_leave_timer, listener);
        if (listener->readable && listener->pause_timer && listener->leave_timer &&
            event_add(listener->readable, NULL) == 0)
            return listener;
        reason = "the event loop takes no more";
    }
    *ret_problem = make_problem(address, reason);
    listener_destroy(listener);
    return NULL;
}

void listener_leave(struct listener *listener)
{
    const struct timeval wait = { .tv_sec = HANDOVER_MS / 1000, .tv_usec = HANDOVER_MS % 1000 * 1000 };
    if (listener->is_leaving)
        return;
    listener->is_leaving = true;
    if (listener->reuse_port && !listener->address.is_unix &&
        evtimer_add(listener->leave_timer, &wait) == 0) {
        port_steer_away(listener->descriptor, listener->siblings);
        port_refuse_new(listener->descriptor);
    } else {
        finish_leaving(listener);
    }
}

bool listener_has_left(const struct listener *listener)
{
    return listener->is_leaving && listener->descriptor < 0;
}

void listener_destroy(struct listener *listener)
{
    if (!listener)
        return;
    close_socket(listener);
    if (listener->pause_timer)
        event_free(listener->pause_timer);
    if (listener->leave_timer)
        event_free(listener->leave_timer);
    free(listener);
}

void listener_resume(struct listener *listener)
{
    if (listener->has_room)
        return;
    listener->has_room = true;
    if (listener->readable && !evtimer_pending(listener->pause_timer, NULL))
        event_add(listener->readable, NULL);
}

uint16_t listener_port(const struct listener *listener)
{
    struct sockaddr_storage address = { 0 };
    socklen_t length = sizeof(address);
    if (getsockname(listener->descriptor, (struct sockaddr *)&address, &length) != 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return 0;
}
