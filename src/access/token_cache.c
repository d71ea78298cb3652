#include "access/token_cache.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/map.h"

/* They are found by their last bytes: of a signature these differ from token to token, and hashing all of a
 * token several times would take longer than the signature does. */
#define KEY_BYTES 43

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

static struct text key_of(struct text token)
{
    size_t length = token.length < KEY_BYTES ? token.length : KEY_BYTES;
    return text_of(token.bytes + token.length - length, length);
}

/* NULL: it is not in it. */
static struct entry *find(const struct map *generation, struct text token)
{
    struct text key = key_of(token);
    struct entry *entry = generation ? map_get(generation, key.bytes, key.length) : NULL;
    bool is_it =
        entry && entry->length == token.length && memcmp(entry->token, token.bytes, token.length) == 0;
    return is_it ? entry : NULL;
}

/* What is in its place, which need not be the same token; NULL: nothing is. */
static struct entry *take(struct map *generation, struct text token)
{
    struct text key = key_of(token);
    return generation ? map_remove(generation, key.bytes, key.length) : NULL;
}

static void drop(struct map *generation, struct text token)
{
    struct entry *entry = take(generation, token);
    if (entry)
        free_entry(entry);
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
    struct text token = text_of(entry->token, entry->length);
    struct text key = key_of(token);
    drop(cache->generations[0], token);
    if (cache->generations[0] && map_put(cache->generations[0], key.bytes, key.length, entry))
        return true;
    free_entry(entry);
    return false;
}

struct grant *token_cache_find(struct token_cache *cache, struct text token)
{
    struct entry *entry = find(cache->generations[0], token);
    if (entry)
        return entry->grant;
    if (!find(cache->generations[1], token))
        return NULL;
    entry = take(cache->generations[1], token);
    return put(cache, entry) ? entry->grant : NULL;
}

void token_cache_keep(struct token_cache *cache, struct text token, struct grant *grant)
{
    if (token.length > TOKEN_CACHE_BYTES_MAX)
        return;
    drop(cache->generations[1], token);
    struct entry *entry = malloc(sizeof(*entry) + token.length);
    if (!entry)
        return;
    entry->grant = grant_hold(grant);
    entry->length = token.length;
    memcpy(entry->token, token.bytes, token.length);
    put(cache, entry);
}
