/* Where the benchmark's programs listen and connect: `127.0.0.1:8000` or `unix:/path`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct address {
    struct sockaddr_storage socket_address;
    socklen_t length;
};

bool address_parse(const char *text, struct address *ret_address);

/* Non-blocking sockets, or -1 with errno. A connection may still be in progress. */
int address_listen(const struct address *address);
int address_connect(const struct address *address);

/*
 * Connects as the client of that number. On loopback each 10,000 clients come from an address of their own:
 * with more than half of the ephemeral ports of one address taken, the kernel's search for a free one takes
 * milliseconds.
 */
int address_connect_as(const struct address *address, size_t client);
