/* Listen addresses as people write them: `host:port`, `[v6]:port`, `:port` (everywhere), `unix:/path`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define ADDRESS_HOST_MAX 256
#define ADDRESS_PORT_MAX 6

struct address {
    bool is_unix;
    char host[ADDRESS_HOST_MAX]; /* empty: every address; the socket's path for a unix socket */
    char port[ADDRESS_PORT_MAX];
};

/* False with a static sentence in *ret_problem. */
bool address_parse(const char *text, struct address *ret_address, const char **ret_problem);
