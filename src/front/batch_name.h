/* Names of batches, and where Redis keeps what belongs to one. */
#pragma once

#include <stdbool.h>

#include "front/exchange.h"

#define BATCH_NAME_MAX 256
#define BATCH_CHANNEL "batch:"
#define BATCH_KEY "batch:progress:"

/* Control characters and invalid UTF-8 have not come this far; the length is left to look at. Answers 400 if
 * it is wrong. */
static inline bool batch_name_check(struct exchange *exchange, struct text name)
{
    if (name.length >= 1 && name.length <= BATCH_NAME_MAX)
        return true;
    exchange_answer_problem(exchange, 400, "The id of a batch has between 1 and %d bytes.", BATCH_NAME_MAX);
    return false;
}
