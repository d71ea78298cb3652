#include "redis/redis_connector.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/util.h>

#define ADDRESSES_MAX 8

/* A dead peer is noticed by PING; these end what PING cannot see, such as unsent output to a vanished host.
 */
#define KEEPALIVE_IDLE_SECONDS 15
#define KEEPALIVE_INTERVAL_SECONDS 5
#define KEEPALIVE_PROBES 3
#define USER_TIMEOUT_MS 15000

struct address {
    struct sockaddr_storage storage;
    socklen_t length;
};

/* Of its own, because evdns calls back even for a cancelled look-up, when the connector may be gone. */
struct lookup {
    struct redis_connector *connector; /* NULL: cancelled */
    struct evdns_getaddrinfo_request *request;
};

struct redis_connector {
    struct event_base *base;
    struct evdns_base *dns;
    redis_connector_done *done;
    void *context;
    struct lookup *lookup;
    struct address addresses[ADDRESSES_MAX];
    size_t address_count;
    size_t address_next;
    uint64_t address_timeout_ms;
    uint64_t timeout_ms;
    int descriptor;        /* the connecting socket, or -1 */
    struct event *waiting; /* for that socket */
    struct event *failed;  /* tells of a failure in the next turn */
    const char *problem;
};

static void fail(struct redis_connector *connector, const char *problem)
{
    connector->problem = problem;
    event_active(connector->failed, EV_TIMEOUT, 0);
}

static void on_failed(evutil_socket_t descriptor, short what, void *context)
{
    (void)descriptor;
    (void)what;
    struct redis_connector *connector = context;
    connector->done(connector->context, -1, connector->problem);
}

/* --- connecting ----------------------------------------------------------------------------------------- */

static void on_connecting(evutil_socket_t descriptor, short what, void *context);

static void set_tcp_options(int descriptor)
{
    static const struct {
        int level, name, value;
    } options[] = {
        { IPPROTO_TCP, TCP_NODELAY, 1 },
        { SOL_SOCKET, SO_KEEPALIVE, 1 },
        { IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS },
        { IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS },
        { IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES },
        { IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS },
    };
    /* Comforts: a kernel without one of them still connects. */
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        (void)setsockopt(descriptor, options[i].level, options[i].name, &options[i].value,
                         sizeof(options[i].value));
}

static void stop_connecting(struct redis_connector *connector)
{
    if (connector->waiting)
        event_free(connector->waiting);
    connector->waiting = NULL;
    if (connector->descriptor >= 0)
        close(connector->descriptor);
    connector->descriptor = -1;
}

/* False with errno when this address is of no use. */
static bool connect_to(struct redis_connector *connector, const struct address *address)
{
    int family = address->storage.ss_family;
    connector->descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connector->descriptor < 0)
        return false;
    if (family != AF_UNIX)
        set_tcp_options(connector->descriptor);
    /* On a unix socket EAGAIN says that the server's backlog is full: a failure, nothing is under way. */
    if (connect(connector->descriptor, (const struct sockaddr *)&address->storage, address->length) != 0 &&
        errno != EINPROGRESS)
        return false;
    connector->waiting =
        event_new(connector->base, connector->descriptor, EV_WRITE, on_connecting, connector);
    struct timeval limit = { .tv_sec = (time_t)(connector->address_timeout_ms / 1000),
                             .tv_usec = (suseconds_t)(connector->address_timeout_ms % 1000 * 1000) };
    if (!connector->waiting || event_add(connector->waiting, &limit) != 0) {
        errno = ENOMEM;
        return false;
    }
    return true;
}

/* Tries from the next address on; the last problem is the one that is told. */
static void connect_next(struct redis_connector *connector, int error)
{
    stop_connecting(connector);
    while (connector->address_next < connector->address_count) {
        if (connect_to(connector, &connector->addresses[connector->address_next++]))
            return;
        error = errno;
        stop_connecting(connector);
    }
    fail(connector, strerrordesc_np(error));
}

static void on_connecting(evutil_socket_t descriptor, short what, void *context)
{
    struct redis_connector *connector = context;
    int error = 0;
    socklen_t length = sizeof(error);
    if (what & EV_TIMEOUT)
        error = ETIMEDOUT;
    else if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        error = errno;
    if (error != 0) {
        connect_next(connector, error);
        return;
    }
    connector->descriptor = -1;
    stop_connecting(connector);
    connector->done(connector->context, descriptor, NULL);
}

static void start_connecting(struct redis_connector *connector)
{
    if (connector->address_count == 0) {
        fail(connector, "the name has no address");
        return;
    }
    connector->address_next = 0;
    connector->address_timeout_ms = connector->timeout_ms / connector->address_count;
    connect_next(connector, 0);
}

/* --- resolving ------------------------------------------------------------------------------------------ */

static void add_address(struct redis_connector *connector, const void *address, socklen_t length)
{
    if (connector->address_count == ADDRESSES_MAX || length > sizeof(struct sockaddr_storage))
        return;
    struct address *added = &connector->addresses[connector->address_count++];
    memcpy(&added->storage, address, length);
    added->length = length;
}

static void add_ipv4(struct redis_connector *connector, struct in_addr host, uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = host };
    add_address(connector, &address, sizeof(address));
}

static void add_ipv6(struct redis_connector *connector, const struct in6_addr *host, uint16_t port)
{
    struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = *host };
    add_address(connector, &address, sizeof(address));
}

/* What needs no look-up: a path, an IP address, and `localhost`, which is always this host (RFC 6761, 6.3).
 */
static bool resolve_at_once(struct redis_connector *connector, const struct redis_url *url)
{
    if (url->is_unix) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", url->host);
        add_address(connector, &address, sizeof(address));
        return true;
    }
    if (strcasecmp(url->host, "localhost") == 0) {
        add_ipv4(connector, (struct in_addr){ htonl(INADDR_LOOPBACK) }, url->port);
        add_ipv6(connector, &in6addr_loopback, url->port);
        return true;
    }
    char service[8];
    snprintf(service, sizeof(service), "%u", (unsigned)url->port);
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    if (getaddrinfo(url->host, service, &hints, &found) != 0)
        return false;
    /* Through getaddrinfo rather than inet_pton for the zone of a link-local address: fe80::1%eth0. */
    add_address(connector, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return true;
}

static void on_resolved(int result, struct evutil_addrinfo *found, void *context)
{
    struct lookup *lookup = context;
    struct redis_connector *connector = lookup->connector;
    free(lookup);
    if (connector) {
        connector->lookup = NULL;
        for (struct evutil_addrinfo *each = found; each && result == 0; each = each->ai_next)
            add_address(connector, each->ai_addr, (socklen_t)each->ai_addrlen);
        if (result == 0)
            start_connecting(connector);
        else
            fail(connector, evutil_gai_strerror(result));
    }
    if (found)
        evutil_freeaddrinfo(found);
}

static void resolve_by_dns(struct redis_connector *connector, const struct redis_url *url)
{
    if (!connector->dns) {
        fail(connector, "names cannot be resolved: /etc/resolv.conf names no server; use an IP address");
        return;
    }
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    if (!lookup) {
        fail(connector, "memory is short");
        return;
    }
    char service[8];
    snprintf(service, sizeof(service), "%u", (unsigned)url->port);
    struct evutil_addrinfo hints = { .ai_family = AF_UNSPEC,
                                     .ai_socktype = SOCK_STREAM,
                                     .ai_protocol = IPPROTO_TCP };
    lookup->connector = connector;
    connector->lookup = lookup;
    struct evdns_getaddrinfo_request *request =
        evdns_getaddrinfo(connector->dns, url->host, service, &hints, on_resolved, lookup);
    /* Without a request the answer was at hand, and `lookup` is freed already. */
    if (request)
        lookup->request = request;
}

static void stop_resolving(struct redis_connector *connector)
{
    struct lookup *lookup = connector->lookup;
    connector->lookup = NULL;
    if (!lookup)
        return;
    lookup->connector = NULL;
    evdns_getaddrinfo_cancel(lookup->request);
}

/* --- the connector -------------------------------------------------------------------------------------- */

struct redis_connector *redis_connector_create(struct event_base *base, struct evdns_base *dns,
                                               redis_connector_done *done, void *context)
{
    struct redis_connector *connector = calloc(1, sizeof(*connector));
    if (!connector)
        return NULL;
    connector->base = base;
    connector->dns = dns;
    connector->done = done;
    connector->context = context;
    connector->descriptor = -1;
    connector->failed = event_new(base, -1, 0, on_failed, connector);
    if (!connector->failed) {
        free(connector);
        return NULL;
    }
    return connector;
}

void redis_connector_destroy(struct redis_connector *connector)
{
    if (!connector)
        return;
    redis_connector_cancel(connector);
    event_free(connector->failed);
    free(connector);
}

void redis_connector_start(struct redis_connector *connector, const struct redis_url *url,
                           uint64_t timeout_ms)
{
    redis_connector_cancel(connector);
    connector->timeout_ms = timeout_ms;
    connector->address_count = 0;
    if (resolve_at_once(connector, url))
        start_connecting(connector);
    else
        resolve_by_dns(connector, url);
}

void redis_connector_cancel(struct redis_connector *connector)
{
    event_del(connector->failed);
    stop_resolving(connector);
    stop_connecting(connector);
}
