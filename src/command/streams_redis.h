/* Redis for a command that asks one thing after the other and ends: each call runs the event loop until the
 * answer is there. */
#pragma once

#include <stdbool.h>

#include "consumers/stream_report.h"
#include "gateway/settings.h"
#include "redis/commands.h"

struct streams_redis;

/* Connects, and waits for it no longer than redis_timeout. NULL after saying on standard error why not. */
struct streams_redis *streams_redis_open(const struct settings *settings);
void streams_redis_close(struct streams_redis *redis);

/* Sends a command, or several as one transaction. The words are NUL-terminated. `take` may be NULL. True when
 * Redis has answered, and not with an error; otherwise it has been said why. */
typedef void streams_redis_take(void *context, const struct reply *reply);
bool streams_redis_call(struct streams_redis *redis, const char *const *const *commands, size_t command_count,
                        streams_redis_take *take, void *context);

/* The same for a Lua script (a static string), its keys and arguments. */
bool streams_redis_run_script(struct streams_redis *redis, const char *script, int key_count,
                              const char *const *keys_and_arguments, streams_redis_take *take, void *context);

/* As streams_redis_call(), with Redis' error as the text that `take` gets: for errors that mean something. */
bool streams_redis_try(struct streams_redis *redis, const char *const *words, streams_redis_take *take,
                       void *context);

/* The report is the caller's. *ret_problem is what Redis said, to be freed, or NULL. */
struct stream_report *streams_redis_report(struct streams_redis *redis, const char *name,
                                           enum stream_report_status *ret_status, char **ret_problem);
