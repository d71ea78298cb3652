#include "hub/message.h"

#include <stdlib.h>
#include <string.h>

struct message *message_create(const char *channel, size_t channel_length, const char *payload,
                               size_t payload_length)
{
    struct message *message = malloc(sizeof *message + channel_length + payload_length);
    if (!message)
        return NULL;
    *message = (struct message){
        .channel_length = (uint32_t)channel_length,
        .payload_length = payload_length,
    };
    atomic_init(&message->references, 1);
    memcpy(message->bytes, channel, channel_length);
    memcpy(message->bytes + channel_length, payload, payload_length);
    return message;
}

struct message *message_retain(struct message *message)
{
    atomic_fetch_add_explicit(&message->references, 1, memory_order_relaxed);
    return message;
}

void message_release(struct message *message)
{
    /* Whoever frees it must see what the others did with it before. */
    if (message && atomic_fetch_sub_explicit(&message->references, 1, memory_order_acq_rel) == 1)
        free(message);
}
