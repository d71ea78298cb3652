#include "base/map.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct thing {
    char name[24];
    size_t length;
    bool listed;
};

static struct thing *things_create(size_t count)
{
    struct thing *things = calloc(count, sizeof *things);
    for (size_t i = 0; i < count; i++)
        things[i].length = (size_t)snprintf(things[i].name, sizeof things[i].name, "batch:%zu", i);
    return things;
}

Test(map, empty)
{
    struct map *map = map_create();
    size_t cursor = 0;
    cr_assert_eq(map_count(map), 0);
    cr_assert_null(map_get(map, "a", 1));
    cr_assert_null(map_remove(map, "a", 1));
    cr_assert_null(map_next(map, &cursor));
    cr_assert_null(map_next(map, &cursor));
    map_destroy(map);
    map_destroy(NULL);
}

Test(map, keys_are_bytes)
{
    struct map *map = map_create();
    int a, b, c, none;
    cr_assert(map_put(map, "x\0y", 3, &a));
    cr_assert(map_put(map, "x\0z", 3, &b));
    cr_assert(map_put(map, "x", 1, &c));
    cr_assert(map_put(map, NULL, 0, &none));
    cr_assert_eq(map_get(map, "x\0y", 3), &a);
    cr_assert_eq(map_get(map, "x\0z", 3), &b);
    cr_assert_eq(map_get(map, "x", 1), &c);
    cr_assert_eq(map_get(map, "", 0), &none);
    cr_assert_null(map_get(map, "x\0", 2));
    map_destroy(map);
}

Test(map, put_replaces_key_and_value)
{
    struct map *map = map_create();
    char first_key[] = "name";
    char second_key[] = "name";
    int first, second;
    cr_assert(map_put(map, first_key, 4, &first));
    cr_assert(map_put(map, second_key, 4, &second));
    memset(first_key, '?', 4); /* the map must not look at it any more */
    cr_assert_eq(map_count(map), 1);
    cr_assert_eq(map_get(map, "name", 4), &second);
    cr_assert_eq(map_remove(map, "name", 4), &second);
    cr_assert_eq(map_count(map), 0);
    map_destroy(map);
}

/* A long row of random puts and removes against an array of flags as the model. */
Test(map, behaves_like_a_set)
{
    enum { THINGS = 600, STEPS = 200000 };
    struct thing *things = things_create(THINGS);
    bool present[THINGS] = { false };
    size_t count = 0;
    struct map *map = map_create();
    uint32_t state = 12345;
    for (int step = 0; step < STEPS; step++) {
        state = state * 1664525 + 1013904223;
        size_t i = (state >> 8) % THINGS;
        /* The share of puts swings, so that the map grows and shrinks over and over. */
        bool put = (state >> 20) % 100 < (step / 10000 % 2 ? 20 : 80);
        struct thing *thing = &things[i];
        cr_assert_eq(map_get(map, thing->name, thing->length), present[i] ? thing : NULL);
        if (put) {
            cr_assert(map_put(map, thing->name, thing->length, thing));
            count += !present[i];
            present[i] = true;
        } else {
            cr_assert_eq(map_remove(map, thing->name, thing->length), present[i] ? thing : NULL);
            count -= present[i];
            present[i] = false;
        }
        cr_assert_eq(map_count(map), count);
    }
    for (size_t i = 0; i < THINGS; i++)
        cr_assert_eq(map_get(map, things[i].name, things[i].length), present[i] ? &things[i] : NULL);
    map_destroy(map);
    free(things);
}

Test(map, walk_lists_each_once)
{
    enum { THINGS = 1000 };
    struct thing *things = things_create(THINGS);
    struct map *map = map_create();
    for (size_t i = 0; i < THINGS; i++)
        cr_assert(map_put(map, things[i].name, things[i].length, &things[i]));
    size_t cursor = 0;
    size_t listed = 0;
    struct thing *thing;
    while ((thing = map_next(map, &cursor)) != NULL) {
        cr_assert_not(thing->listed);
        thing->listed = true;
        listed++;
    }
    cr_assert_eq(listed, THINGS);
    cr_assert_null(map_next(map, &cursor));
    map_destroy(map);
    free(things);
}

static void remove_during_walk(size_t keep_every)
{
    enum { THINGS = 1000 };
    struct thing *things = things_create(THINGS);
    struct map *map = map_create();
    for (size_t i = 0; i < THINGS; i++)
        cr_assert(map_put(map, things[i].name, things[i].length, &things[i]));
    size_t cursor = 0;
    size_t listed = 0;
    struct thing *thing;
    while ((thing = map_next(map, &cursor)) != NULL) {
        cr_assert_not(thing->listed);
        thing->listed = true;
        if (listed++ % keep_every != 0)
            cr_assert_eq(map_remove(map, thing->name, thing->length), thing);
    }
    cr_assert_eq(listed, THINGS);
    cr_assert_eq(map_count(map), (THINGS + keep_every - 1) / keep_every);
    map_destroy(map);
    free(things);
}

Test(map, walk_survives_removing_the_entry_returned)
{
    remove_during_walk(2);
    remove_during_walk(3);
    remove_during_walk(1000); /* nearly all: the map shrinks on the way */
}

Test(map, gives_memory_back)
{
    enum { THINGS = 50000 };
    struct thing *things = things_create(THINGS);
    struct map *map = map_create();
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (size_t i = 0; i < THINGS; i++)
        cr_assert(map_put(map, things[i].name, things[i].length, &things[i]));
    size_t full = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (size_t i = 0; i < THINGS; i++)
        cr_assert_eq(map_remove(map, things[i].name, things[i].length), &things[i]);
    size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    cr_assert_leq(after, before + 16384, "%zu bytes before, %zu full, %zu after", before, full, after);
    cr_assert_leq(full - before, THINGS * 80, "%zu bytes for %d entries", full - before, THINGS);
    map_destroy(map);
    free(things);
}
