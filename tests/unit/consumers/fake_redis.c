#include "fake_redis.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static bool keep(struct commands *commands, const char *script, const struct command *command,
                 commands_done *done, void *context)
{
    if (commands->refuses)
        return false;
    cr_assert_lt(commands->count, FAKE_REQUESTS_MAX);
    cr_assert_leq(command->count, FAKE_ARGUMENTS_MAX);
    struct fake_request *request = &commands->requests[commands->count++];
    *request =
        (struct fake_request){ .script = script, .count = command->count, .done = done, .context = context };
    for (int i = 0; i < command->count; i++)
        request->arguments[i] = strndup(command->arguments[i], command->lengths[i]);
    return true;
}

bool commands_send(struct commands *commands, const struct command *list, size_t command_count,
                   commands_done *done, void *context)
{
    cr_assert_eq(command_count, 1);
    return keep(commands, NULL, list, done, context);
}

bool commands_run_script(struct commands *commands, const char *script, int key_count,
                         const struct command *keys_and_arguments, commands_done *done, void *context)
{
    cr_assert_not_null(script);
    cr_assert_leq(key_count, keys_and_arguments->count);
    return keep(commands, script, keys_and_arguments, done, context);
}

struct reply reply_element(const struct reply *array, size_t index)
{
    const struct reply *elements = array->elements;
    return array->kind == REPLY_ARRAY && index < array->count ? elements[index] : FAKE_NIL;
}

bool reply_error_is_transient(const struct reply *reply)
{
    return reply->text_length >= 7 && memcmp(reply->text, "LOADING", 7) == 0;
}

const char *reply_error_remedy(const struct reply *reply)
{
    (void)reply;
    return NULL;
}

struct fake_request *fake_request(struct commands *commands)
{
    cr_assert_lt(commands->answered, commands->count, "nothing is asked of Redis");
    return &commands->requests[commands->answered];
}

size_t fake_waiting(const struct commands *commands)
{
    return commands->count - commands->answered;
}

void fake_answer(struct commands *commands, enum commands_status status, struct reply reply)
{
    struct fake_request *request = fake_request(commands);
    commands->answered++;
    if (request->done)
        request->done(request->context, status, &reply);
}

void fake_clear(struct commands *commands)
{
    for (size_t i = 0; i < commands->count; i++)
        for (int argument = 0; argument < commands->requests[i].count; argument++)
            free(commands->requests[i].arguments[argument]);
    commands->count = 0;
    commands->answered = 0;
}

struct reply fake_text(const char *text)
{
    return (struct reply){ .kind = REPLY_TEXT, .text = text, .text_length = strlen(text) };
}

struct reply fake_error(const char *text)
{
    return (struct reply){ .kind = REPLY_ERROR, .text = text, .text_length = strlen(text) };
}

struct reply fake_integer(int64_t integer)
{
    return (struct reply){ .kind = REPLY_INTEGER, .integer = integer };
}

struct reply fake_array(const struct reply *elements, size_t count)
{
    return (struct reply){ .kind = REPLY_ARRAY, .elements = elements, .count = count };
}
