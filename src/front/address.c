#include "front/address.h"

#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include "base/parse.h"

#define PORT_MAX 65535

static bool parse_unix(const char *path, struct address *ret_address, const char **ret_problem)
{
    size_t length = strlen(path);
    if (length == 0) {
        *ret_problem = "unix: is followed by the path of a socket";
        return false;
    }
    if (length >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        *ret_problem = "the path of a unix socket has at most 107 bytes";
        return false;
    }
    *ret_address = (struct address){ .is_unix = true };
    memcpy(ret_address->host, path, length + 1);
    return true;
}

bool address_parse(const char *text, struct address *ret_address, const char **ret_problem)
{
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, ret_address, ret_problem);

    *ret_address = (struct address){ 0 };
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;
    if (!colon || strlen(colon + 1) >= ADDRESS_PORT_MAX ||
        !parse_unsigned(colon + 1, strlen(colon + 1), &port) || port > PORT_MAX) {
        *ret_problem = "a listen address ends in a colon and a port, such as 127.0.0.1:8000";
        return false;
    }
    size_t host_length = (size_t)(colon - text);
    bool bracketed = host_length >= 2 && text[0] == '[' && colon[-1] == ']';
    if (!bracketed && memchr(text, ':', host_length)) {
        *ret_problem = "an IPv6 address stands in brackets, such as [::1]:8000";
        return false;
    }
    if (bracketed) {
        text++;
        host_length -= 2;
    }
    if (host_length >= ADDRESS_HOST_MAX) {
        *ret_problem = "the host of a listen address is too long";
        return false;
    }
    memcpy(ret_address->host, text, host_length);
    memcpy(ret_address->port, colon + 1, strlen(colon + 1));
    return true;
}
