/*
 * One message as Redis published it, or one entry of a stream, kept once for all rings and threads that hold
 * it. References may be taken and given back by any thread; the content does not change once it is handed on.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/entry_id.h"
#include "wire/payload.h"

/* A batch is told on the Pub/Sub channel batch:<id>. */
#define BATCH_CHANNEL_PREFIX "batch:"

struct message {
    _Atomic uint32_t references;
    uint32_t channel_length;
    size_t payload_length;
    uint64_t sequence;
    uint64_t received_ns;
    enum payload_kind kind;
    struct entry_id entry; /* of an entry of a stream; else 0-0 */
    char bytes[];          /* the channel's name, then the payload */
};

/* One reference for the caller. NULL when memory is short. */
struct message *message_create(const char *channel, size_t channel_length, const char *payload,
                               size_t payload_length);
struct message *message_retain(struct message *message);
void message_release(struct message *message); /* NULL is a no-op */

/* What a kept message costs, so that many empty payloads are bounded too. */
static inline size_t message_cost(const struct message *message)
{
    return sizeof *message + message->channel_length + message->payload_length;
}

static inline bool message_is_entry(const struct message *message)
{
    return message->entry.ms > 0 || message->entry.sequence > 0; /* 0-0 is no entry's id */
}

static inline const char *message_channel(const struct message *message)
{
    return message->bytes;
}

static inline const char *message_payload(const struct message *message)
{
    return message->bytes + message->channel_length;
}

static inline bool message_is_of_batch(const struct message *message)
{
    return message->channel_length > strlen(BATCH_CHANNEL_PREFIX) &&
           memcmp(message->bytes, BATCH_CHANNEL_PREFIX, strlen(BATCH_CHANNEL_PREFIX)) == 0;
}

static inline const char *message_batch_id(const struct message *message, size_t *ret_length)
{
    *ret_length = message->channel_length - strlen(BATCH_CHANNEL_PREFIX);
    return message->bytes + strlen(BATCH_CHANNEL_PREFIX);
}
