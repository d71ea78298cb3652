/* The inside of struct access, for access.c and access_check.c. */
#pragma once

#include "access/access.h"
#include "access/jwks.h"
#include "access/machine_keys.h"
#include "access/token.h"
#include "access/token_cache.h"
#include "base/list.h"

/* Callers who wait for an answer of somebody else's; more are refused. */
#define ACCESS_CHECKS_MAX 10000

/* What the settings say; replaced as a whole on reload. */
struct access_config {
    bool open;
    char *cookie;   /* "": none */
    char *audience; /* these two are what `rules` points to */
    char *issuer;
    struct token_rules rules;
    struct key_ring *keys;             /* of the secret and the file; never NULL */
    struct jwks *jwks;                 /* NULL: no address is set */
    struct token_cache *tokens;        /* found to be good by the keys above; never NULL */
    uint64_t tokens_version;           /* jwks_version() of that time */
    struct machine_keys *machine_keys; /* NULL: no file is set */
};

struct access {
    struct event_base *base;
    struct access_bindings bindings;
    struct log *log;
    struct access_config config;
    struct list checks; /* that wait */
    size_t check_count;
    bool is_ending; /* nobody is asked any more */
};

/* Whether there are keys for tokens at all. */
static inline bool access_takes_tokens(const struct access *access)
{
    return key_ring_count(access->config.keys) > 0 || access->config.jwks;
}
