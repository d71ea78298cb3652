/* `sluice key`: keys for machines. */
#pragma once

#include "command/exit_code.h"

enum exit_code command_key(int argument_count, char *const *arguments);
