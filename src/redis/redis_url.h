/*
 * Redis addresses: `redis://[user][:password]@host[:port][/db]`, `rediss://` for TLS,
 * `unix:///path/to.sock?db=0` (also `unix://user:password@/path`). User and password are percent-decoded;
 * IPv6 hosts stand in brackets.
 *
 * `redis+sentinel://[user][:password]@host[:port],host[:port]…/master[/db]` names Sentinels, which know where
 * the master called `master` is; user and password are the master's, those of the Sentinels are the
 * parameters sentinel_user and sentinel_password. With rediss+sentinel:// both speak TLS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REDIS_SENTINELS_MAX 16

struct redis_host {
    char *host;
    uint16_t port;
};

struct redis_url {
    bool is_unix;
    bool is_tls;
    char *host; /* or the socket's path; NULL with Sentinels */
    uint16_t port;
    char *user;     /* NULL: the default user */
    char *password; /* NULL: no AUTH, unless a user is named (then an empty one) */
    unsigned database;

    char *master_name; /* NULL: no Sentinels */
    struct redis_host sentinels[REDIS_SENTINELS_MAX];
    size_t sentinel_count;
    char *sentinel_user; /* as user and password, for the Sentinels */
    char *sentinel_password;
};

/* On failure returns false and *ret_problem is a static sentence that says what is wrong (never with the
 * password in it). */
bool redis_url_parse(const char *text, struct redis_url *ret_url, const char **ret_problem);
void redis_url_clear(struct redis_url *url);

/* The address without user and password, for logs: `redis://host:6379/0`. Caller frees. NULL when memory is
 * short. */
char *redis_url_display(const struct redis_url *url);
