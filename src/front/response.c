#include "front/response.h"

#include <stdarg.h>
#include <stdio.h>

/* Redis is back within some seconds or not soon. */
#define RETRY_AFTER_SECONDS 5

void response_add_header(struct response *response, const char *name, const char *format, ...)
{
    if (response->header_count == RESPONSE_HEADERS_MAX)
        return;
    struct response_header *header = &response->headers[response->header_count++];
    header->name = name;
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(header->value, sizeof(header->value), format, arguments) < 0)
        header->value[0] = '\0';
    va_end(arguments);
}

void response_set_problem(struct response *response, const struct problem *problem)
{
    response->status = problem->status;
    response->content_type = PROBLEM_TYPE;
    buffer_reset(&response->body);
    problem_append_json(problem, &response->body);
    if (response->body.failed) {
        /* The status says the most important part. */
        buffer_reset(&response->body);
        response->content_type = NULL;
    }
    response_add_header(response, "Cache-Control", "no-store");
    if (problem->status == 503)
        response_add_header(response, "Retry-After", "%d", RETRY_AFTER_SECONDS);
}

void response_set_json(struct response *response, unsigned status, struct buffer *body)
{
    if (body->failed) {
        struct problem problem;
        problem_set(&problem, 503, "Memory is short. Try again later.");
        response_set_problem(response, &problem);
        buffer_free(body);
        return;
    }
    response->status = status;
    response->content_type = "application/json";
    buffer_free(&response->body);
    response->body = *body;
    *body = (struct buffer){ 0 };
}

void response_clear(struct response *response)
{
    buffer_free(&response->body);
    *response = (struct response){ 0 };
}
