#include "access/token_cache.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "../front/front_text.h"

static struct grant *new_grant(void)
{
    const struct grant_draft draft = { .means = GRANT_TOKEN };
    char problem[GRANT_PROBLEM_MAX];
    return grant_create(&draft, problem);
}

static struct text token_of(char storage[static 32], unsigned number)
{
    int length = snprintf(storage, 32, "token-%u", number);
    return text_of(storage, (size_t)length);
}

static void keep(struct token_cache *cache, unsigned number)
{
    char storage[32];
    struct grant *grant = new_grant();
    token_cache_keep(cache, token_of(storage, number), grant);
    grant_release(grant);
}

static bool has(struct token_cache *cache, unsigned number)
{
    char storage[32];
    return token_cache_find(cache, token_of(storage, number)) != NULL;
}

Test(token_cache, finds_what_was_kept)
{
    struct token_cache *cache = token_cache_create();
    struct grant *grant = new_grant(), *other = new_grant();
    cr_assert_null(token_cache_find(cache, TEXT("a.b.c")));
    token_cache_keep(cache, TEXT("a.b.c"), grant);
    cr_assert_eq(token_cache_find(cache, TEXT("a.b.c")), grant);
    cr_assert_null(token_cache_find(cache, TEXT("a.b.")));
    cr_assert_null(token_cache_find(cache, TEXT("a.b.cd")));
    token_cache_keep(cache, TEXT("a.b.c"), other);
    cr_assert_eq(token_cache_find(cache, TEXT("a.b.c")), other);
    token_cache_clear(cache);
    cr_assert_null(token_cache_find(cache, TEXT("a.b.c")));
    char large[TOKEN_CACHE_BYTES_MAX + 1];
    memset(large, 'a', sizeof(large));
    token_cache_keep(cache, text_of(large, sizeof(large)), grant);
    cr_assert_null(token_cache_find(cache, text_of(large, sizeof(large))));
    grant_release(grant);
    grant_release(other);
    token_cache_destroy(cache);
}

/* Tokens of one signature: nobody can make them, and nobody would be taken for another by them. */
Test(token_cache, the_same_end_is_not_the_same_token)
{
    char one[100], other[100];
    memset(one, 'a', sizeof(one));
    memset(other, 'a', sizeof(other));
    other[0] = 'b';
    const struct text first = text_of(one, sizeof(one)), second = text_of(other, sizeof(other));
    struct token_cache *cache = token_cache_create();
    struct grant *grant = new_grant(), *another = new_grant();
    token_cache_keep(cache, first, grant);
    cr_expect_null(token_cache_find(cache, second));
    cr_expect_null(token_cache_find(cache, text_of(one, 99)));
    cr_expect_eq(token_cache_find(cache, first), grant);
    for (unsigned number = 0; number < TOKEN_CACHE_GENERATION; number++)
        keep(cache, number);
    token_cache_keep(cache, second, another);
    cr_expect_neq(token_cache_find(cache, first), another);
    cr_expect_eq(token_cache_find(cache, second), another);
    token_cache_keep(cache, first, grant);
    for (unsigned number = 0; number < TOKEN_CACHE_GENERATION; number++)
        keep(cache, number);
    cr_expect_neq(token_cache_find(cache, second), grant);
    cr_expect_eq(token_cache_find(cache, first), grant, "and moves to the new generation");
    cr_expect_eq(token_cache_find(cache, first), grant);
    grant_release(grant);
    grant_release(another);
    token_cache_destroy(cache);
}

Test(token_cache, is_bounded_and_keeps_what_is_used)
{
    struct token_cache *cache = token_cache_create();
    for (unsigned number = 0; number < 10 * TOKEN_CACHE_GENERATION; number++) {
        keep(cache, number);
        cr_assert(number < 5 || has(cache, 5), "used all the time: %u", number);
    }
    unsigned found = 0;
    for (unsigned number = 0; number < 10 * TOKEN_CACHE_GENERATION; number++)
        found += has(cache, number);
    cr_assert_leq(found, 2 * TOKEN_CACHE_GENERATION + 1, "%u", found);
    cr_assert(has(cache, 10 * TOKEN_CACHE_GENERATION - 1));
    cr_assert_not(has(cache, 6));
    token_cache_destroy(cache);
}
