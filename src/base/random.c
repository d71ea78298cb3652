#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void random_fill(void *bytes, size_t length)
{
    char *next = bytes;
    while (length > 0) {
        ssize_t got = getrandom(next, length, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            abort(); /* no such system call: without it hash seeds would be guessable, and nothing here could
                        go on safely */
        }
        next += got;
        length -= (size_t)got;
    }
}

uint64_t random_u64(void)
{
    uint64_t value;
    random_fill(&value, sizeof value);
    return value;
}

uint64_t random_between(uint64_t low, uint64_t high)
{
    uint64_t span = high - low + 1;
    if (span == 0) /* all 2^64 values */
        return random_u64();
    /* Values below 2^64 mod span would make the low results more likely; draw again. */
    uint64_t biased = -span % span;
    uint64_t value;
    do {
        value = random_u64();
    } while (value < biased);
    return low + value % span;
}
