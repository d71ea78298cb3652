/* What the authorizer sends to the application: who, in the headers that the caller sent, and what, in JSON.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "access/access.h"
#include "access/digest.h"

#define AUTHORIZER_HEADERS_MAX 4
#define SESSION_PREFIX "session:"

struct authorizer_question {
    enum access_action action;
    /* What was asked as rights: {"subscribe": ["batch:42"]}. NULL when a grant cannot say exactly that (a
     * glob with a `?` in it). */
    json_t *rights_asked;
    char *headers[AUTHORIZER_HEADERS_MAX]; /* "Name: value" */
    size_t header_count;
    struct buffer body;
    char subject[sizeof(SESSION_PREFIX) + DIGEST_TEXT_LENGTH]; /* for an answer that names nobody */
};

/* False, and nothing to clear, when memory is short or a header is none. */
bool authorizer_question_write(struct authorizer_question *question,
                               const struct access_credentials *credentials,
                               const struct access_question *asked);
void authorizer_question_clear(struct authorizer_question *question);

/* The same for the same credentials and question, and no other. */
bool authorizer_question_digest(const struct access_credentials *credentials,
                                const struct access_question *asked,
                                unsigned char ret_key[static DIGEST_BYTES]);
