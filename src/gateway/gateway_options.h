/* What the parts are told of the settings. */
#pragma once

#include "front/front.h"
#include "gateway/gateway_state.h"
#include "hub/hub.h"
#include "hub/snapshot_cache.h"

struct hub_options hub_options_of(const struct settings *settings);
struct front_options front_options_of(const struct settings *settings, const struct gateway *gateway);
struct dispatcher_options dispatcher_options_of(const struct settings *settings);
/* Each worker has its share of what is bounded. */
struct snapshot_cache_options snapshot_cache_options_of(const struct settings *settings,
                                                        unsigned worker_count);
uint64_t audit_lines_of(const struct settings *settings, unsigned worker_count);
/* How many threads serve clients: the setting, or as many as there are processors for this process. */
unsigned worker_count_of(const struct settings *settings);
