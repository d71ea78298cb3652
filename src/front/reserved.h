/* Names of topics that are the gateways' own. */
#pragma once

#include <stdbool.h>

#include "base/text.h"

/* Whoever could publish there could fake what Redis and other gateways tell us, and whoever could listen
 * would learn what they say. */
bool topic_is_reserved(struct text name);
