/*
 * Fetches the keys that tokens are signed with, for all threads: who asks for an address that is being
 * fetched waits for that, and an answer younger than JWKS_AGAIN_AFTER_MS is given again, be it that there was
 * none. So whatever tokens come to however many threads, whoever has the keys is asked at most once in that
 * time.
 *
 *   jwks_fetcher_get ──▶ FETCHING ──▶ all who wait ──▶ kept ──(JWKS_AGAIN_AFTER_MS, and it is asked for)─▶ …
 *
 * Belongs to the main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/log.h"
#include "base/text.h"
#include "metrics/metrics.h"

/* The one that is wanted, and one that a reload has made stale. */
#define JWKS_ADDRESSES_MAX 2

struct jwks_fetcher;

/* `status` is 0 with `problem` when no answer came. */
typedef void jwks_got(void *context, long status, const char *body, size_t length, const char *problem);

/* GET by an HTTP client; `done` comes later, once, if the call returned true. */
struct jwks_fetcher_client {
    bool (*get)(void *context, const char *url, jwks_got *done, void *done_context);
    void *context;
};

/* Whoever asked; zeroed, and the asker's. */
struct jwks_taker {
    struct list node;
    /* `jwks` was asked for at `fetched_ms` (clock_now_ms()), is one, and is borrowed for the call; without
     * bytes it cannot be had. Does not ask the fetcher for more inside the call. */
    void (*done)(struct jwks_taker *taker, struct text jwks, uint64_t fetched_ms);
};

/* NULL when memory is short. */
struct jwks_fetcher *jwks_fetcher_create(const struct jwks_fetcher_client *client, struct metrics *metrics,
                                         struct log *log);
/* After the client has ended what was under way: so nobody waits. */
void jwks_fetcher_destroy(struct jwks_fetcher *fetcher);

/* `taker->done` follows once, inside the call or later. */
void jwks_fetcher_get(struct jwks_fetcher *fetcher, const char *url, struct jwks_taker *taker);
