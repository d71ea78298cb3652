/* What a POST to …/ack or …/nack says: `{"ids":["1517574547834-0"],"consumer":"worker-1"}`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/text.h"
#include "front/problem.h"
#include "wire/entry_id.h"

struct group_ids_body {
    struct entry_id *ids; /* each once, in their order */
    size_t count;
    struct buffer consumer; /* empty: not given */
};

/* False with the answer in *ret_problem, and nothing to clear. */
bool group_ids_body_parse(struct text bytes, struct group_ids_body *ret_body, struct problem *ret_problem);
void group_ids_body_clear(struct group_ids_body *body);
