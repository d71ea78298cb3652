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
        .references = 1,
        .channel_length = (uint32_t)channel_length,
        .payload_length = payload_length,
    };
    memcpy(message->bytes, channel, channel_length);
    memcpy(message->bytes + channel_length, payload, payload_length);
    return message;
}

struct message *message_retain(struct message *message)
{
    message->references++;
    return message;
}

void message_release(struct message *message)
{
    if (message && --message->references == 0)
        free(message);
}
