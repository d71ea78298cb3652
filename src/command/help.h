/* `sluice --help`: teaches by short examples, then lists every command and setting. */
#pragma once

#include "command/exit_code.h"

enum exit_code command_help(void);
