#include "redis/read_size.h"

#include <stdint.h>

/* Entries in one reply: more than that keeps other work waiting and makes reading no faster. */
#define ENTRIES_MAX 1000

static size_t at_least_one(size_t number)
{
    return number > 0 ? number : 1;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

void read_size_init(struct read_size *size, size_t reply_bytes_max)
{
    *size = (struct read_size){
        .count = ENTRIES_MAX / 10,
        .window = SIZE_MAX,
        .reply_bytes_max = reply_bytes_max,
    };
}

void read_size_start(struct read_size *size, size_t stream_count)
{
    size->count = smaller(size->count, at_least_one(ENTRIES_MAX / at_least_one(stream_count)));
}

void read_size_took(struct read_size *size, size_t stream_count, size_t entry_count, size_t bytes)
{
    /* Forgets large entries slowly. */
    size->entry_bytes -= size->entry_bytes / 8;
    if (entry_count > 0 && bytes / entry_count > size->entry_bytes)
        size->entry_bytes = bytes / entry_count;
    size_t total =
        at_least_one(smaller(ENTRIES_MAX, size->reply_bytes_max / 4 / at_least_one(size->entry_bytes)));
    size->count = smaller(size->count * 2, at_least_one(total / at_least_one(stream_count)));
    if (size->window < total)
        size->window *= 2;
    if (size->window >= ENTRIES_MAX)
        size->window = SIZE_MAX;
}

bool read_size_too_large(struct read_size *size, size_t stream_count)
{
    if (size->count == 1 && smaller(size->window, stream_count) <= 1)
        return false;
    size->count = 1;
    size->window = 1;
    return true;
}
