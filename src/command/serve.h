/* `sluice serve`: settings, signals, the event loop, and the way out. */
#pragma once

#include "command/exit_code.h"

/* `arguments` follow the word serve. */
enum exit_code command_serve(const char *version, int argument_count, char *const *arguments,
                             char *const *environment);
