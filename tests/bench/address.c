#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define UNIX_PREFIX "unix:"
#define CLIENTS_PER_SOURCE 10000

static bool parse_unix(const char *path, struct address *ret_address)
{
    struct sockaddr_un *unix_address = (struct sockaddr_un *)(void *)&ret_address->socket_address;
    if (*path == '\0' || strlen(path) >= sizeof unix_address->sun_path)
        return false;
    unix_address->sun_family = AF_UNIX;
    strcpy(unix_address->sun_path, path);
    ret_address->length = sizeof *unix_address;
    return true;
}

static bool parse_inet(const char *text, struct address *ret_address)
{
    const char *colon = strrchr(text, ':');
    char host[INET_ADDRSTRLEN];
    if (!colon || (size_t)(colon - text) >= sizeof host)
        return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    struct sockaddr_in *inet_address = (struct sockaddr_in *)(void *)&ret_address->socket_address;
    if (*end != '\0' || port == 0 || port > UINT16_MAX ||
        inet_pton(AF_INET, host, &inet_address->sin_addr) != 1)
        return false;
    inet_address->sin_family = AF_INET;
    inet_address->sin_port = htons((uint16_t)port);
    ret_address->length = sizeof *inet_address;
    return true;
}

bool address_parse(const char *text, struct address *ret_address)
{
    memset(ret_address, 0, sizeof *ret_address);
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return parse_unix(text + strlen(UNIX_PREFIX), ret_address);
    return parse_inet(text, ret_address);
}

static int open_socket(const struct address *address)
{
    int descriptor = socket(address->socket_address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || address->socket_address.ss_family == AF_UNIX)
        return descriptor;
    int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return descriptor;
}

static int close_and_fail(int descriptor)
{
    int problem = errno;
    close(descriptor);
    errno = problem;
    return -1;
}

int address_listen(const struct address *address)
{
    int descriptor = open_socket(address);
    if (descriptor < 0)
        return -1;
    int on = 1; /* several processes share a port */
    if (address->socket_address.ss_family != AF_UNIX)
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (bind(descriptor, (const struct sockaddr *)&address->socket_address, address->length) != 0 ||
        listen(descriptor, SOMAXCONN) != 0)
        return close_and_fail(descriptor);
    return descriptor;
}

static int connect_socket(int descriptor, const struct address *address)
{
    if (connect(descriptor, (const struct sockaddr *)&address->socket_address, address->length) != 0 &&
        errno != EINPROGRESS)
        return close_and_fail(descriptor);
    return descriptor;
}

int address_connect(const struct address *address)
{
    int descriptor = open_socket(address);
    return descriptor < 0 ? -1 : connect_socket(descriptor, address);
}

static bool is_loopback(const struct address *address)
{
    const struct sockaddr_in *inet_address =
        (const struct sockaddr_in *)(const void *)&address->socket_address;
    return inet_address->sin_family == AF_INET &&
           ntohl(inet_address->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

int address_connect_as(const struct address *address, size_t client)
{
    int descriptor = open_socket(address);
    if (descriptor < 0)
        return -1;
    if (is_loopback(address)) {
        in_addr_t host = INADDR_LOOPBACK + (in_addr_t)(client / CLIENTS_PER_SOURCE);
        struct sockaddr_in source = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(host) };
        int on = 1; /* the port is chosen when both ends are known */
        setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(descriptor, (const struct sockaddr *)&source, sizeof source) != 0)
            return close_and_fail(descriptor);
    }
    return connect_socket(descriptor, address);
}
