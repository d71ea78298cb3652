/*
 * A thread's keys of a JWKS by its address: asked for at the start and every so often, kept when they cannot
 * be had, and asked for again for a token that names a key which is not among them; but, whatever tokens
 * come, only if what was got last is older than JWKS_AGAIN_AFTER_MS.
 *
 *   jwks_create ─▶ asking ──▶ kept ──(age, or a key is missing)──▶ asking …
 *                    └─ none came: what there was stays; the next try after JWKS_AGAIN_AFTER_MS
 *
 * All threads ask the one jwks_fetcher, which goes by the same time: nobody is shown keys older than those
 * that another thread has for more than that.
 */
#pragma once

#include "access/access.h"
#include "access/key_ring.h"
#include "base/list.h"

#define JWKS_AGAIN_AFTER_MS 10000

struct jwks;

struct jwks_options {
    const char *url; /* copied */
    uint64_t refresh_ms;
    struct event_base *base;
    const struct access_bindings *bindings; /* borrowed */
    struct log *log;
};

/* Waits for the fetch that is under way. */
struct jwks_waiter {
    struct list node;
    void (*done)(struct jwks_waiter *waiter);
};

/* Begins to fetch. NULL when memory is short. */
struct jwks *jwks_create(const struct jwks_options *options);
/* Those who wait are told first, and find no key. */
void jwks_destroy(struct jwks *jwks);

/* On reload: what another had of the same address serves until the fetch has brought the keys anew. */
void jwks_inherit(struct jwks *jwks, struct jwks *from);

/* The keys as they are now; empty before the first came. Borrowed, until the loop goes on. */
const struct key_ring *jwks_keys(const struct jwks *jwks);

/* Grows with each set of keys that takes the place of another. */
uint64_t jwks_version(const struct jwks *jwks);

/* False when there is nothing to wait for: the keys are as new as they may be. Else waiter->done follows. */
bool jwks_wait(struct jwks *jwks, struct jwks_waiter *waiter);
