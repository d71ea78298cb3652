/*
 * Redis addresses: `redis://[user][:password]@host[:port][/db]`, `rediss://` for TLS,
 * `unix:///path/to.sock?db=0` (also `unix://user:password@/path`). User and password are percent-decoded;
 * IPv6 hosts stand in brackets.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_url {
    bool is_unix;
    bool is_tls;
    char *host; /* or the socket's path */
    uint16_t port;
    char *user;     /* NULL: the default user */
    char *password; /* NULL: no AUTH, unless a user is named (then an empty one) */
    unsigned database;
};

/* On failure returns false and *ret_problem is a static sentence that says what is wrong (never with the
 * password in it). */
bool redis_url_parse(const char *text, struct redis_url *ret_url, const char **ret_problem);
void redis_url_clear(struct redis_url *url);

/* The address without user and password, for logs: `redis://host:6379/0`. Caller frees. NULL when memory is
 * short. */
char *redis_url_display(const struct redis_url *url);
