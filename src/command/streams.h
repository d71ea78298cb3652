/* `sluice streams status|setup|trim|dead`: the daily work with Redis Streams. Talks to Redis itself, with the
 * gateway's settings. */
#pragma once

#include "command/exit_code.h"

enum exit_code command_streams(int argument_count, char *const *arguments, char *const *environment);
