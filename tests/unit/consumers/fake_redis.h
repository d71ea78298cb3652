/* Stands in for redis/commands.h and redis/reply.h: keeps what was sent, and lets the test answer. */
#pragma once

#include "redis/commands.h"

#define FAKE_REQUESTS_MAX 64
#define FAKE_ARGUMENTS_MAX 16

struct fake_request {
    const char *script; /* NULL: a command */
    int count;
    char *arguments[FAKE_ARGUMENTS_MAX]; /* NUL-terminated copies */
    commands_done *done;
    void *context;
};

struct commands {
    struct fake_request requests[FAKE_REQUESTS_MAX];
    size_t count;
    size_t answered; /* requests are answered in their order */
    bool refuses;    /* memory is short */
};

/* The oldest request without an answer; fails the test when there is none. */
struct fake_request *fake_request(struct commands *commands);
size_t fake_waiting(const struct commands *commands);

/* Answers the oldest. */
void fake_answer(struct commands *commands, enum commands_status status, struct reply reply);
void fake_clear(struct commands *commands);

/* Replies: elements are `struct reply`. */
struct reply fake_text(const char *text);
struct reply fake_error(const char *text);
struct reply fake_integer(int64_t integer);
#define FAKE_ARRAY(...)                                                                                      \
    fake_array((const struct reply[]){ __VA_ARGS__ },                                                        \
               sizeof((const struct reply[]){ __VA_ARGS__ }) / sizeof(struct reply))
struct reply fake_array(const struct reply *elements, size_t count);
#define FAKE_EMPTY ((struct reply){ .kind = REPLY_ARRAY })
#define FAKE_NIL ((struct reply){ .kind = REPLY_NIL })
