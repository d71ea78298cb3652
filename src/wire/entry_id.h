/* The id of a Redis Stream entry, `<milliseconds>-<sequence>` (Redis Streams, "Entry IDs"). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENTRY_ID_LENGTH_MAX 42

struct entry_id {
    uint64_t ms;
    uint64_t sequence;
};

/* Writes the id with a NUL and returns its length. */
size_t entry_id_format(struct entry_id id, char ret_text[static ENTRY_ID_LENGTH_MAX]);

/* `1517574547834-0`, or `1517574547834` alone, which is `…-0`. False for anything else. */
bool entry_id_parse(const char *text, size_t length, struct entry_id *ret_id);

/* <0, 0, >0 as a is before, the same as, behind b. */
int entry_id_compare(struct entry_id a, struct entry_id b);

/* The id right before `id`, so that reading what is behind it begins with `id`; 0-0 stays. */
struct entry_id entry_id_before(struct entry_id id);
