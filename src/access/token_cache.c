#include "access/token_cache.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/map.h"

struct entry {
    struct grant *grant;
    size_t length;
    char token[];
};

struct token_cache {
    struct map *generations[2]; /* new, old */
};

static void free_entry(struct entry *entry)
{
    grant_release(entry->grant);
    OPENSSL_cleanse(entry->token, entry->length);
    free(entry);
}

/* NULL: nothing. */
static void destroy_generation(struct map *generation)
{
    size_t cursor = 0;
    struct entry *entry;
    while (generation && (entry = map_next(generation, &cursor)) != NULL)
        free_entry(entry);
    map_destroy(generation);
}

struct token_cache *token_cache_create(void)
{
    return calloc(1, sizeof(struct token_cache));
}

void token_cache_destroy(struct token_cache *cache)
{
    if (cache)
        token_cache_clear(cache);
    free(cache);
}

void token_cache_clear(struct token_cache *cache)
{
    for (int i = 0; i < 2; i++) {
        destroy_generation(cache->generations[i]);
        cache->generations[i] = NULL;
    }
}

/* Into the new generation; when that is full, it becomes the old one. Takes the entry; false when memory is
 * short. */
static bool put(struct token_cache *cache, struct entry *entry)
{
    if (cache->generations[0] && map_count(cache->generations[0]) >= TOKEN_CACHE_GENERATION) {
        destroy_generation(cache->generations[1]);
        cache->generations[1] = cache->generations[0];
        cache->generations[0] = NULL;
    }
    if (!cache->generations[0])
        cache->generations[0] = map_create();
    if (cache->generations[0] && map_put(cache->generations[0], entry->token, entry->length, entry))
        return true;
    free_entry(entry);
    return false;
}

/* NULL: it is in neither. */
static struct entry *take(struct map *generation, struct text token)
{
    return generation ? map_remove(generation, token.bytes, token.length) : NULL;
}

struct grant *token_cache_find(struct token_cache *cache, struct text token)
{
    struct entry *entry =
        cache->generations[0] ? map_get(cache->generations[0], token.bytes, token.length) : NULL;
    if (entry)
        return entry->grant;
    entry = take(cache->generations[1], token);
    return entry && put(cache, entry) ? entry->grant : NULL;
}

void token_cache_keep(struct token_cache *cache, struct text token, struct grant *grant)
{
    if (token.length > TOKEN_CACHE_BYTES_MAX)
        return;
    for (int i = 0; i < 2; i++) {
        struct entry *stale = take(cache->generations[i], token);
        if (stale)
            free_entry(stale);
    }
    struct entry *entry = malloc(sizeof(*entry) + token.length);
    if (!entry)
        return;
    entry->grant = grant_hold(grant);
    entry->length = token.length;
    memcpy(entry->token, token.bytes, token.length);
    put(cache, entry);
}
