/* What the endpoints of consumer groups have in common. */
#pragma once

#include <stdbool.h>

#include "front/exchange.h"

/* Answers 400 if a name in the path is too long. */
bool group_names_check(struct exchange *exchange);

/* 422: the key is no stream. */
void group_answer_wrong_type(struct exchange *exchange);

/* 503: Redis does not let the gateway do it; `problem` is what it said. */
void group_answer_refused(struct exchange *exchange, const char *problem);
