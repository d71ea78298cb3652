/* What the parts of `sluice streams` share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "command/exit_code.h"
#include "command/streams_redis.h"
#include "gateway/settings.h"

struct streams_arguments {
    const char **words; /* behind `sluice streams`, without the options */
    size_t word_count;
    const char *config_file;
    bool is_json;
    const char *maxlen, *minid, *count, *start;
    char **flags; /* what is left: settings */
    int flag_count;
};

struct streams {
    struct streams_arguments arguments;
    struct settings *settings;
    struct streams_redis *redis;
};

/* The parts; `words` are those behind the action. Each says on standard error what it could not do. */
enum exit_code streams_status(struct streams *streams, const char *const *words, size_t word_count);
enum exit_code streams_setup(struct streams *streams);
enum exit_code streams_trim(struct streams *streams, const char *const *words, size_t word_count);
enum exit_code streams_dead(struct streams *streams, const char *const *words, size_t word_count);

static inline const struct stream_settings *streams_configured(const struct streams *streams, size_t index)
{
    return (const struct stream_settings *)streams->settings->streams.items + index;
}
