#include "base/map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

/*
 * The entries lie densely in one array; a second array, the slots, is the open-addressing table (linear
 * probing) and holds their positions, 4 bytes each:
 *
 *     slots    [ -  2  -  -  0  1  -  - ]      position + 1; 0 is an empty slot
 *     entries  [ a | b | c ]
 *
 * So a table with room to spare costs little, a walk touches entries only, and removing one, which moves the
 * last entry into its place, never disturbs a walk that goes from the last to the first.
 */
#define SLOTS_MIN 8
#define SLOTS_MAX (SIZE_MAX / 2 < UINT32_MAX ? SIZE_MAX / 2 : (size_t)UINT32_MAX / 2 + 1)

struct entry {
    const char *key;
    size_t length;
    void *value;
    uint64_t hash;
};

struct map {
    uint64_t seed[2];
    struct entry *entries;
    uint32_t *slots;
    size_t count;
    size_t slot_count; /* a power of two, or 0 while there is no entry; at most 3/4 of them are used */
};

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t state[4])
{
    state[0] += state[1];
    state[1] = rotate_left(state[1], 13) ^ state[0];
    state[0] = rotate_left(state[0], 32);
    state[2] += state[3];
    state[3] = rotate_left(state[3], 16) ^ state[2];
    state[0] += state[3];
    state[3] = rotate_left(state[3], 21) ^ state[0];
    state[2] += state[1];
    state[1] = rotate_left(state[1], 17) ^ state[2];
    state[2] = rotate_left(state[2], 32);
}

/* SipHash-1-3 (Aumasson, Bernstein): one round a word, three to finish. */
static uint64_t hash_bytes(const uint64_t seed[2], const char *bytes, size_t length)
{
    uint64_t state[4] = {
        seed[0] ^ UINT64_C(0x736f6d6570736575),
        seed[1] ^ UINT64_C(0x646f72616e646f6d),
        seed[0] ^ UINT64_C(0x6c7967656e657261),
        seed[1] ^ UINT64_C(0x7465646279746573),
    };
    uint64_t last = (uint64_t)length << 56;
    uint64_t word;
    for (; length >= sizeof word; bytes += sizeof word, length -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        state[3] ^= word;
        sip_round(state);
        state[0] ^= word;
    }
    for (size_t i = 0; i < length; i++)
        last |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    state[3] ^= last;
    sip_round(state);
    state[0] ^= last;
    state[2] ^= 0xff;
    sip_round(state);
    sip_round(state);
    sip_round(state);
    return state[0] ^ state[1] ^ state[2] ^ state[3];
}

static size_t entries_allowed(size_t slot_count)
{
    return slot_count / 4 * 3;
}

/* Enters a position into the first free slot from where its hash belongs; there is always one. */
static void slot_insert(uint32_t *slots, size_t slot_count, uint64_t hash, size_t position)
{
    size_t slot = hash & (slot_count - 1);
    while (slots[slot] != 0)
        slot = (slot + 1) & (slot_count - 1);
    slots[slot] = (uint32_t)position + 1;
}

/* The slot that holds this position; it exists. */
static size_t slot_of_position(const struct map *map, size_t position)
{
    size_t slot = map->entries[position].hash & (map->slot_count - 1);
    while (map->slots[slot] != position + 1)
        slot = (slot + 1) & (map->slot_count - 1);
    return slot;
}

/* Closes the hole at `slot`: what stands behind it and may move nearer to where it belongs does, so no
 * tombstones. */
static void slot_erase(struct map *map, size_t slot)
{
    size_t mask = map->slot_count - 1;
    size_t hole = slot;
    for (size_t next = (hole + 1) & mask; map->slots[next] != 0; next = (next + 1) & mask) {
        size_t wanted = map->entries[map->slots[next] - 1].hash & mask;
        size_t distance_to_next = (next - wanted) & mask;
        size_t distance_to_hole = (next - hole) & mask;
        if (distance_to_next >= distance_to_hole) {
            map->slots[hole] = map->slots[next];
            hole = next;
        }
    }
    map->slots[hole] = 0;
}

/* Rebuilds for `slot_count` slots; the map is as before when memory is short. */
static bool resize(struct map *map, size_t slot_count)
{
    uint32_t *slots = calloc(slot_count, sizeof *slots);
    if (!slots)
        return false;
    struct entry *entries = reallocarray(map->entries, entries_allowed(slot_count), sizeof *entries);
    if (!entries) {
        free(slots);
        return false;
    }
    for (size_t position = 0; position < map->count; position++)
        slot_insert(slots, slot_count, entries[position].hash, position);
    free(map->slots);
    map->slots = slots;
    map->entries = entries;
    map->slot_count = slot_count;
    return true;
}

static void release_memory(struct map *map)
{
    free(map->slots);
    free(map->entries);
    map->slots = NULL;
    map->entries = NULL;
    map->slot_count = 0;
}

struct map *map_create(void)
{
    struct map *map = calloc(1, sizeof *map);
    if (map)
        random_fill(map->seed, sizeof map->seed);
    return map;
}

void map_destroy(struct map *map)
{
    if (!map)
        return;
    release_memory(map);
    free(map);
}

size_t map_count(const struct map *map)
{
    return map->count;
}

static struct entry *find(const struct map *map, const char *key, size_t length, uint64_t hash)
{
    if (map->count == 0)
        return NULL;
    size_t mask = map->slot_count - 1;
    for (size_t slot = hash & mask; map->slots[slot] != 0; slot = (slot + 1) & mask) {
        struct entry *entry = &map->entries[map->slots[slot] - 1];
        if (entry->hash == hash && entry->length == length &&
            (length == 0 || memcmp(entry->key, key, length) == 0))
            return entry;
    }
    return NULL;
}

void *map_get(const struct map *map, const char *key, size_t length)
{
    struct entry *entry = find(map, key, length, hash_bytes(map->seed, key, length));
    return entry ? entry->value : NULL;
}

bool map_put(struct map *map, const char *key, size_t length, void *value)
{
    uint64_t hash = hash_bytes(map->seed, key, length);
    struct entry *entry = find(map, key, length, hash);
    if (!entry) {
        if (map->count == entries_allowed(map->slot_count)) {
            if (map->slot_count >= SLOTS_MAX)
                return false;
            if (!resize(map, map->slot_count ? map->slot_count * 2 : SLOTS_MIN))
                return false;
        }
        slot_insert(map->slots, map->slot_count, hash, map->count);
        entry = &map->entries[map->count++];
    }
    *entry = (struct entry){ .key = key, .length = length, .value = value, .hash = hash };
    return true;
}

void *map_remove(struct map *map, const char *key, size_t length)
{
    struct entry *entry = find(map, key, length, hash_bytes(map->seed, key, length));
    if (!entry)
        return NULL;
    void *value = entry->value;
    size_t position = (size_t)(entry - map->entries);
    size_t last = map->count - 1;
    slot_erase(map, slot_of_position(map, position));
    if (position != last) {
        map->slots[slot_of_position(map, last)] = (uint32_t)position + 1;
        map->entries[position] = map->entries[last];
    }
    map->count--;

    if (map->count == 0)
        release_memory(map);
    else if (map->slot_count > SLOTS_MIN && map->count < map->slot_count / 8)
        resize(map, map->slot_count / 2); /* short of memory just now: the map stays large, and correct */
    return value;
}

void *map_next(const struct map *map, size_t *cursor)
{
    /* From the last entry to the first. The cursor is the position returned last, plus one; 0 before the
     * first call. */
    size_t end = *cursor == 0 ? map->count : *cursor - 1;
    *cursor = end == 0 ? 1 : end;
    return end == 0 ? NULL : map->entries[end - 1].value;
}
