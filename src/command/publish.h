/* `sluice publish`: one event through a running gateway; prints the receipt. */
#pragma once

#include "command/exit_code.h"

/* `arguments` follow the word publish. */
enum exit_code command_publish(int argument_count, char *const *arguments);
