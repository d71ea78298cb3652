/* An answer in the making: status, headers and body, before the HTTP library gets it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "front/problem.h"

#define RESPONSE_HEADERS_MAX 10
#define RESPONSE_VALUE_MAX 128

struct response_header {
    const char *name; /* static */
    char value[RESPONSE_VALUE_MAX];
};

struct response {
    unsigned status;
    const char *content_type; /* static; NULL without a body */
    struct buffer body;       /* owned */
    const void *static_body;  /* used instead of `body` unless NULL */
    size_t static_length;
    struct response_header headers[RESPONSE_HEADERS_MAX];
    size_t header_count;
    bool closes; /* the connection ends behind it */
};

/* A value that is too long is cut; a header too many is left out. */
void response_add_header(struct response *response, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Turns the response into the problem's answer, with Retry-After for 503. */
void response_set_problem(struct response *response, const struct problem *problem);

/* Status and a JSON body, taken over from `body`; 503 if building it ran out of memory. */
void response_set_json(struct response *response, unsigned status, struct buffer *body);

void response_clear(struct response *response);
