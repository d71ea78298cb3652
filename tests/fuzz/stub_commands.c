#include "stub_commands.h"

#include <string.h>

#include "fuzz.h"

#define REPLY_BYTES_MAX 65536

static void ignore(void *context, enum commands_status status, const struct reply *reply)
{
    (void)context, (void)status, (void)reply;
}

static bool keep(struct commands *commands, commands_done *done, void *context)
{
    if (commands->count == STUB_REQUESTS_MAX)
        return false;
    commands->requests[commands->count++] =
        (struct stub_request){ .done = done ? done : ignore, .context = context };
    return true;
}

bool commands_send(struct commands *commands, const struct command *list, size_t command_count,
                   commands_done *done, void *context)
{
    REQUIRE(command_count > 0);
    for (size_t i = 0; i < command_count; i++)
        REQUIRE(list[i].count > 0);
    return keep(commands, done, context);
}

bool commands_run_script(struct commands *commands, const char *script, int key_count,
                         const struct command *keys_and_arguments, commands_done *done, void *context)
{
    REQUIRE(*script && key_count >= 0 && key_count <= keys_and_arguments->count);
    return keep(commands, done, context);
}

bool commands_is_up(const struct commands *commands)
{
    return commands != NULL;
}

static void answer(struct commands *commands, struct stub_request request)
{
    const struct redisReply *source = NULL;
    if (!reply_reader_problem(commands->replies) && reply_reader_next(commands->replies, &source)) {
        struct reply reply = reply_view(source);
        request.done(request.context, reply.kind == REPLY_ERROR ? COMMANDS_ERROR : COMMANDS_OK, &reply);
        return;
    }
    const struct reply nothing = { .kind = REPLY_NIL };
    enum commands_status status = commands->unanswered++ % 2 ? COMMANDS_UNCERTAIN : COMMANDS_UNSENT;
    request.done(request.context, status, &nothing);
}

void stub_commands_open(struct commands *commands, const char *bytes, size_t length)
{
    *commands = (struct commands){ .replies = reply_reader_create(REPLY_BYTES_MAX) };
    REQUIRE(commands->replies);
    reply_reader_feed(commands->replies, bytes, length);
}

bool stub_commands_answer(struct commands *commands)
{
    size_t waiting = commands->count;
    for (size_t i = 0; i < waiting; i++) {
        struct stub_request request = commands->requests[0];
        commands->count--;
        memmove(commands->requests, commands->requests + 1, commands->count * sizeof(request));
        answer(commands, request);
    }
    return waiting > 0;
}

void stub_commands_close(struct commands *commands)
{
    while (stub_commands_answer(commands))
        ;
    reply_reader_destroy(commands->replies);
}
