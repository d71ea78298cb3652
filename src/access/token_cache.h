/*
 * Tokens that a public key found to be good, and what they grant: a page opens several streams and comes back
 * to each, a service publishes again and again, all with one token, and RSA takes its time.
 *
 * Bounded by two generations: what is found moves into the new one, and when that is full the old one is
 * forgotten. Only good tokens get in, so strangers cannot push them out; when a key changes, or a rule, the
 * cache is emptied. Whether the grant has ended meanwhile is for the caller to look at.
 */
#pragma once

#include "access/grant.h"

#define TOKEN_CACHE_GENERATION 1024 /* tokens */
#define TOKEN_CACHE_BYTES_MAX 2048  /* a longer token is not kept */

struct token_cache;

struct token_cache *token_cache_create(void); /* NULL when memory is short */
void token_cache_destroy(struct token_cache *cache);

/* The grant, borrowed, or NULL. */
struct grant *token_cache_find(struct token_cache *cache, struct text token);

/* Keeps a reference of its own, unless memory is short. */
void token_cache_keep(struct token_cache *cache, struct text token, struct grant *grant);

void token_cache_clear(struct token_cache *cache);
