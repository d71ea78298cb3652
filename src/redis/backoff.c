#include "redis/backoff.h"

#include "base/random.h"

uint64_t backoff_next_ms(struct backoff *backoff)
{
    backoff->wait_ms = backoff->wait_ms == 0 ? BACKOFF_FIRST_MS : backoff->wait_ms * 2;
    if (backoff->wait_ms > BACKOFF_LAST_MS)
        backoff->wait_ms = BACKOFF_LAST_MS;
    return random_between(backoff->wait_ms / 2, backoff->wait_ms);
}

void backoff_reset(struct backoff *backoff)
{
    backoff->wait_ms = 0;
}
