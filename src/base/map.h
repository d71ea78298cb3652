/*
 * A hash map from byte strings to pointers: open addressing, seeded SipHash-1-3, so that names chosen by a
 * stranger cannot make it slow.
 *
 * Keys are borrowed: the bytes given to map_put() must stay where they are until the entry is removed, which
 * is easy when the value holds its own name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct map;

struct map *map_create(void);

/* Frees the map, not the values. */
void map_destroy(struct map *map);

size_t map_count(const struct map *map);

/* The value, or NULL if there is none. */
void *map_get(const struct map *map, const char *key, size_t length);

/* Adds an entry or replaces its key and value. `value` is not NULL. False when memory is short; nothing
 * changed then. */
bool map_put(struct map *map, const char *key, size_t length, void *value);

/* Removes the entry and returns its value, or NULL if there was none. Memory is given back when the map
 * empties out. */
void *map_remove(struct map *map, const char *key, size_t length);

/*
 * Walks all entries in no order: start with *cursor = 0, ends with NULL. Removing the entry just returned is
 * allowed; any other change during the walk is not.
 */
void *map_next(const struct map *map, size_t *cursor);
