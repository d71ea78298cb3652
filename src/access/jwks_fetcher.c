#include "access/jwks_fetcher.h"

#include <stdlib.h>
#include <string.h>

#include "access/jwks.h"
#include "access/key_ring.h"
#include "base/clock.h"

struct jwks_fetcher {
    struct jwks_fetcher_client client;
    struct metrics *metrics;
    struct log *log;
    struct list addresses; /* that asked for first is first */
    size_t address_count;
};

struct address {
    struct list node;
    struct jwks_fetcher *fetcher;
    char *url;
    bool is_fetching;
    struct list takers;
    uint64_t fetched_ms; /* when it was asked for last; 0: never */
    struct buffer jwks;  /* … and what came of it; empty: nothing */
};

/* ---- addresses ---- */

static void address_destroy(struct address *address)
{
    list_remove(&address->node);
    address->fetcher->address_count--;
    buffer_free(&address->jwks);
    free(address->url);
    free(address);
}

/* False when all are being fetched. */
static bool make_room(struct jwks_fetcher *fetcher)
{
    if (fetcher->address_count < JWKS_ADDRESSES_MAX)
        return true;
    for (struct list *node = fetcher->addresses.next; node != &fetcher->addresses; node = node->next) {
        struct address *address = LIST_OWNER(node, struct address, node);
        if (address->is_fetching)
            continue;
        address_destroy(address);
        return true;
    }
    return false;
}

static struct address *open_address(struct jwks_fetcher *fetcher, const char *url)
{
    for (struct list *node = fetcher->addresses.next; node != &fetcher->addresses; node = node->next) {
        struct address *address = LIST_OWNER(node, struct address, node);
        if (strcmp(address->url, url) == 0)
            return address;
    }
    struct address *address = make_room(fetcher) ? calloc(1, sizeof(*address)) : NULL;
    char *copy = address ? strdup(url) : NULL;
    if (!copy) {
        free(address);
        return NULL;
    }
    address->fetcher = fetcher;
    address->url = copy;
    list_init(&address->takers);
    list_append(&fetcher->addresses, &address->node);
    fetcher->address_count++;
    return address;
}

/* ---- fetching ---- */

static struct text kept(const struct address *address)
{
    return address->jwks.size > 0 ? text_of(address->jwks.data, address->jwks.size) : (struct text){ 0 };
}

static void tell_takers(struct address *address)
{
    struct list *node;
    address->is_fetching = false;
    while ((node = list_first(&address->takers)) != NULL) {
        struct jwks_taker *taker = LIST_OWNER(node, struct jwks_taker, node);
        list_remove(node);
        taker->done(taker, kept(address), address->fetched_ms);
    }
}

/* Looked at here, so that what is none is said once, and not by each thread. */
static bool keep(struct address *address, long status, struct text text, char *ret_problem)
{
    struct key_ring *keys = status == 200 ? key_ring_create() : NULL;
    snprintf(ret_problem, KEY_RING_PROBLEM_MAX, "%s",
             status == 200 ? "Memory is short." : "It was not answered with 200.");
    bool is_one = keys && key_ring_add_jwks(keys, text, false, ret_problem);
    key_ring_destroy(keys);
    if (is_one)
        buffer_append(&address->jwks, text.bytes, text.length);
    return is_one && !address->jwks.failed;
}

static void on_got(void *context, long status, const char *body, size_t length, const char *problem)
{
    struct address *address = context;
    struct jwks_fetcher *fetcher = address->fetcher;
    char why[KEY_RING_PROBLEM_MAX];
    if (!keep(address, status, text_of(body, length), why)) {
        buffer_free(&address->jwks);
        fetcher->metrics->jwks_failures++;
        LOG_WARN(fetcher->log, "keys of tokens not fetched; those that are known stay",
                 LOG_TEXT("why", status == 0 && problem ? problem : why), LOG_NUMBER("status", status));
    }
    tell_takers(address);
}

static void begin_fetch(struct address *address)
{
    struct jwks_fetcher *fetcher = address->fetcher;
    buffer_free(&address->jwks);
    address->fetched_ms = clock_now_ms();
    address->is_fetching = true;
    fetcher->metrics->jwks_fetches++;
    if (!fetcher->client.get(fetcher->client.context, address->url, on_got, address))
        on_got(address, 0, "", 0, "The request could not be made.");
}

void jwks_fetcher_get(struct jwks_fetcher *fetcher, const char *url, struct jwks_taker *taker)
{
    struct address *address = open_address(fetcher, url);
    uint64_t now_ms = clock_now_ms();
    if (!address) {
        fetcher->metrics->jwks_failures++;
        taker->done(taker, (struct text){ 0 }, now_ms);
        return;
    }
    if (!address->is_fetching && address->fetched_ms && now_ms < address->fetched_ms + JWKS_AGAIN_AFTER_MS) {
        taker->done(taker, kept(address), address->fetched_ms);
        return;
    }
    list_append(&address->takers, &taker->node);
    if (!address->is_fetching)
        begin_fetch(address);
}

/* ---- life ---- */

struct jwks_fetcher *jwks_fetcher_create(const struct jwks_fetcher_client *client, struct metrics *metrics,
                                         struct log *log)
{
    struct jwks_fetcher *fetcher = calloc(1, sizeof(*fetcher));
    if (!fetcher)
        return NULL;
    fetcher->client = *client;
    fetcher->metrics = metrics;
    fetcher->log = log;
    list_init(&fetcher->addresses);
    return fetcher;
}

void jwks_fetcher_destroy(struct jwks_fetcher *fetcher)
{
    if (!fetcher)
        return;
    struct list *node;
    while ((node = list_first(&fetcher->addresses)) != NULL)
        address_destroy(LIST_OWNER(node, struct address, node));
    free(fetcher);
}
