/*
 * Stands in for redis/commands.h while linking: what Redis answers comes from the input, in the order in
 * which it was asked. A request that the input has no answer for is in turn unsent and uncertain.
 */
#pragma once

#include "redis/commands.h"
#include "redis/reply_reader.h"

#define STUB_REQUESTS_MAX 64 /* waiting; more are refused, as where memory is short */

struct stub_request {
    commands_done *done;
    void *context;
};

struct commands {
    struct stub_request requests[STUB_REQUESTS_MAX];
    size_t count;
    struct reply_reader *replies;
    size_t unanswered;
};

/* `bytes` is what Redis will answer (RESP). */
void stub_commands_open(struct commands *commands, const char *bytes, size_t length);

/* Answers all that wait now; false when nothing does. */
bool stub_commands_answer(struct commands *commands);

/* Answers the rest. */
void stub_commands_close(struct commands *commands);
