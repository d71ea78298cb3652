/* `sluice tail`: prints what a running gateway streams, a payload a line, and comes back without a gap. */
#pragma once

#include "command/exit_code.h"

/* `arguments` follow the word tail. */
enum exit_code command_tail(int argument_count, char *const *arguments);
