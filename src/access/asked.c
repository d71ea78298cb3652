#include "access/asked.h"

#include <stdlib.h>
#include <string.h>

static struct text copy(char **next, struct text text)
{
    char *bytes = *next;
    if (text.length)
        memcpy(bytes, text.bytes, text.length);
    *next += text.length;
    return text.bytes ? text_of(bytes, text.length) : (struct text){ 0 };
}

struct asked *asked_create(const struct access_credentials *credentials,
                           const struct access_question *question)
{
    size_t bytes =
        credentials->authorization.length + credentials->cookie.length + credentials->ticket.length;
    for (size_t i = 0; i < question->topic_count; i++)
        bytes += question->topics[i].name.length;
    struct asked *asked =
        calloc(1, sizeof(*asked) + question->topic_count * sizeof(asked->topics[0]) + bytes);
    if (!asked)
        return NULL;
    char *next = (char *)(asked->topics + question->topic_count);
    asked->credentials = *credentials;
    asked->credentials.authorization = copy(&next, credentials->authorization);
    asked->credentials.cookie = copy(&next, credentials->cookie);
    asked->credentials.ticket = copy(&next, credentials->ticket);
    asked->question = (struct access_question){ .action = question->action,
                                                .topics = asked->topics,
                                                .topic_count = question->topic_count };
    for (size_t i = 0; i < question->topic_count; i++) {
        asked->topics[i].kind = question->topics[i].kind;
        asked->topics[i].name = copy(&next, question->topics[i].name);
    }
    return asked;
}

void asked_destroy(struct asked *asked)
{
    free(asked);
}
