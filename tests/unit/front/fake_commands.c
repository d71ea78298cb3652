#include "fake_commands.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static bool keep(struct commands *commands, bool is_script, int key_count, const struct command *command,
                 commands_done *done, void *context)
{
    if (commands->refuses)
        return false;
    cr_assert_lt(commands->count, FAKE_REQUESTS_MAX);
    cr_assert_leq(command->count, FAKE_ARGUMENTS_MAX);
    struct fake_request *request = &commands->requests[commands->count++];
    *request = (struct fake_request){ .is_script = is_script,
                                      .key_count = key_count,
                                      .count = command->count,
                                      .done = done,
                                      .context = context };
    for (int i = 0; i < command->count; i++)
        request->arguments[i] = strndup(command->arguments[i], command->lengths[i]);
    return true;
}

bool commands_send(struct commands *commands, const struct command *list, size_t command_count,
                   commands_done *done, void *context)
{
    cr_assert_eq(command_count, 1);
    return keep(commands, false, 0, list, done, context);
}

bool commands_run_script(struct commands *commands, const char *script, int key_count,
                         const struct command *keys_and_arguments, commands_done *done, void *context)
{
    cr_assert_not_null(script);
    return keep(commands, true, key_count, keys_and_arguments, done, context);
}

struct reply reply_element(const struct reply *array, size_t index)
{
    const struct reply *elements = array->elements;
    return array->kind == REPLY_ARRAY && index < array->count ? elements[index]
                                                              : (struct reply){ .kind = REPLY_NIL };
}

bool reply_error_is_transient(const struct reply *reply)
{
    return reply->text_length >= 7 && memcmp(reply->text, "LOADING", 7) == 0;
}

void fake_commands_clear(struct commands *commands)
{
    for (size_t i = 0; i < commands->count; i++)
        for (int argument = 0; argument < commands->requests[i].count; argument++)
            free(commands->requests[i].arguments[argument]);
    commands->count = 0;
}
