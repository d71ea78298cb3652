/* Stands in for redis/commands.h: keeps what was sent, and lets the test answer. */
#pragma once

#include "redis/commands.h"

#define FAKE_REQUESTS_MAX 16
#define FAKE_ARGUMENTS_MAX 40

struct fake_request {
    bool is_script;
    int key_count;
    int count;
    char *arguments[FAKE_ARGUMENTS_MAX]; /* NUL-terminated copies */
    commands_done *done;
    void *context;
};

struct commands {
    struct fake_request requests[FAKE_REQUESTS_MAX];
    size_t count;
    bool refuses; /* memory is short */
};

void fake_commands_clear(struct commands *commands);
