/*
 * Asks Sentinels where the master is (SENTINEL GET-MASTER-ADDR-BY-NAME), one after the other, beginning with
 * the one that answered last. Each has a second; a connection is for one question.
 */
#pragma once

#include <event2/dns.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "redis/redis_url.h"

struct redis_sentinel;

/* `host` lives for the call; or it is NULL, and `problem` says what the last one said or did. */
typedef void redis_sentinel_done(void *context, const char *host, uint16_t port, const char *problem);

struct redis_sentinel_options {
    const struct redis_url *url; /* with Sentinels; borrowed */
    const char *tls_ca_file;     /* for rediss+sentinel://; borrowed, NULL: the system's */
    bool tls_verify;
};

/* `dns` may be NULL. NULL when memory is short. */
struct redis_sentinel *redis_sentinel_create(struct event_base *base, struct evdns_base *dns,
                                             const struct redis_sentinel_options *options,
                                             redis_sentinel_done *done, void *context);
/* Not inside `done`. */
void redis_sentinel_destroy(struct redis_sentinel *sentinel);

/* Calls `done` once, never inside, unless cancelled before. What is under way is cancelled. */
void redis_sentinel_ask(struct redis_sentinel *sentinel);
void redis_sentinel_cancel(struct redis_sentinel *sentinel);

/* What was answered was of no use: the next question begins with the next one. */
void redis_sentinel_distrust(struct redis_sentinel *sentinel);
