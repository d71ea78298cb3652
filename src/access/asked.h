/* A question with the credentials of who puts it, as a copy: for as long as somebody else is asked. */
#pragma once

#include "access/access.h"

struct asked {
    struct access_credentials credentials;
    struct access_question question;
    struct access_topic topics[]; /* the question's; the bytes of all stand behind them */
};

/* NULL when memory is short. Freed by asked_destroy(). */
struct asked *asked_create(const struct access_credentials *credentials,
                           const struct access_question *question);
void asked_destroy(struct asked *asked);
