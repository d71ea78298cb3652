/*
 * The header of the PROXY protocol, versions 1 and 2, by which a proxy says in front of everything else whose
 * connection it passes on. https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip_address.h"

/* Version 1 has at most 107 bytes; version 2 may bring more than addresses along, such as a certificate's
 * name. */
#define PROXY_HEADER_BYTES_MAX 2048

enum proxy_header_status {
    PROXY_HEADER_COMPLETE,
    PROXY_HEADER_PARTIAL, /* all of the bytes belong to it, and more will */
    PROXY_HEADER_INVALID,
};

struct proxy_header {
    size_t bytes;     /* its length; what follows is not the proxy's */
    bool has_address; /* false: the proxy calls for itself (health checks), or for a client that has none */
    struct ip_address address;
    uint16_t port;
};

enum proxy_header_status proxy_header_parse(const char *bytes, size_t length,
                                            struct proxy_header *ret_header);
