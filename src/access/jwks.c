#include "access/jwks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct jwks {
    char *url;
    uint64_t refresh_ms;
    const struct access_bindings *bindings;
    struct log *log;
    struct key_ring *keys;
    uint64_t version;
    struct event *timer;
    struct jwks_fetch *fetch; /* under way; NULL: none */
    uint64_t fetched_ms;      /* when what was got last was asked for, be it by others; 0: never */
    struct list waiters;
};

/* What is answered to; it may outlive the JWKS. */
struct jwks_fetch {
    struct jwks *jwks; /* NULL: nobody wants it any more */
};

static void rearm(struct jwks *jwks, uint64_t after_ms)
{
    struct timeval after = { .tv_sec = (time_t)(after_ms / 1000),
                             .tv_usec = (suseconds_t)(after_ms % 1000) * 1000 };
    evtimer_add(jwks->timer, &after);
}

static void tell_waiters(struct jwks *jwks)
{
    struct list told;
    list_init(&told);
    /* One that waits again, because of what it found, is for the next fetch. */
    while (!list_empty(&jwks->waiters)) {
        struct list *node = list_first(&jwks->waiters);
        list_remove(node);
        list_append(&told, node);
    }
    while (!list_empty(&told)) {
        struct list *node = list_first(&told);
        list_remove(node);
        struct jwks_waiter *waiter = LIST_OWNER(node, struct jwks_waiter, node);
        waiter->done(waiter);
    }
}

static bool take_keys(struct jwks *jwks, struct text text)
{
    struct key_ring *keys = text.bytes ? key_ring_create() : NULL;
    char problem[KEY_RING_PROBLEM_MAX] = "memory is short";
    if (!text.bytes)
        return false;
    if (!keys || !key_ring_add_jwks(keys, text, false, problem)) {
        LOG_WARN(jwks->log, "keys of tokens not taken; those that are known stay", LOG_TEXT("why", problem));
        key_ring_destroy(keys);
        return false;
    }
    key_ring_destroy(jwks->keys);
    jwks->keys = keys;
    jwks->version++;
    return true;
}

static void on_fetched(void *context, struct text text, uint64_t fetched_ms)
{
    struct jwks_fetch *fetch = context;
    struct jwks *jwks = fetch->jwks;
    free(fetch);
    if (!jwks)
        return;
    jwks->fetch = NULL;
    jwks->fetched_ms = fetched_ms;
    uint64_t after_ms = take_keys(jwks, text) ? jwks->refresh_ms : JWKS_AGAIN_AFTER_MS;
    uint64_t age_ms = clock_now_ms() - fetched_ms;
    rearm(jwks, age_ms < after_ms ? after_ms - age_ms : 0);
    tell_waiters(jwks);
}

static bool begin_fetch(struct jwks *jwks)
{
    struct jwks_fetch *fetch = malloc(sizeof(*fetch));
    jwks->fetched_ms = clock_now_ms();
    if (fetch) {
        fetch->jwks = jwks;
        jwks->fetch = fetch;
        if (jwks->bindings->fetch(jwks->bindings->fetch_context, jwks->url, on_fetched, fetch))
            return true;
        jwks->fetch = NULL;
        free(fetch);
    }
    rearm(jwks, JWKS_AGAIN_AFTER_MS);
    return false;
}

static void on_timer(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct jwks *jwks = context;
    if (!jwks->fetch)
        begin_fetch(jwks);
}

struct jwks *jwks_create(const struct jwks_options *options)
{
    struct jwks *jwks = calloc(1, sizeof(*jwks));
    if (!jwks)
        return NULL;
    list_init(&jwks->waiters);
    jwks->url = strdup(options->url);
    jwks->refresh_ms = options->refresh_ms;
    jwks->bindings = options->bindings;
    jwks->log = options->log;
    jwks->keys = key_ring_create();
    jwks->timer = evtimer_new(options->base, on_timer, jwks);
    if (jwks->url && jwks->keys && jwks->timer) {
        rearm(jwks, 0); /* in the first turn: whoever is asked may be made after this */
        return jwks;
    }
    jwks_destroy(jwks);
    return NULL;
}

void jwks_destroy(struct jwks *jwks)
{
    if (!jwks)
        return;
    if (jwks->fetch)
        jwks->fetch->jwks = NULL;
    tell_waiters(jwks);
    if (jwks->timer)
        event_free(jwks->timer);
    key_ring_destroy(jwks->keys);
    free(jwks->url);
    free(jwks);
}

void jwks_inherit(struct jwks *jwks, struct jwks *from)
{
    if (strcmp(jwks->url, from->url) != 0)
        return;
    struct key_ring *keys = jwks->keys;
    jwks->keys = from->keys;
    from->keys = keys;
}

const struct key_ring *jwks_keys(const struct jwks *jwks)
{
    return jwks->keys;
}

uint64_t jwks_version(const struct jwks *jwks)
{
    return jwks->version;
}

bool jwks_wait(struct jwks *jwks, struct jwks_waiter *waiter)
{
    bool is_recent = jwks->fetched_ms && clock_now_ms() < jwks->fetched_ms + JWKS_AGAIN_AFTER_MS;
    if (!jwks->fetch && (is_recent || !begin_fetch(jwks)))
        return false;
    list_append(&jwks->waiters, &waiter->node);
    return true;
}
