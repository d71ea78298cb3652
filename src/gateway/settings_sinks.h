/* Sinks as the settings have them, made into what the consumers' layer takes. */
#pragma once

#include "base/buffer.h"
#include "consumers/sink_keys.h"
#include "gateway/settings_lists.h"

/* Of a sink that is not told its group: this and its name. */
#define SINK_GROUP_PREFIX "sink:"

/* The keys of `secret` or `secret_file`, or NULL without either. False, and why: they cannot be read or used.
 */
bool settings_sink_keys(const struct sink_settings *sink, struct sink_keys **ret_keys, struct buffer *why);
