#include "front/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool problem_set(struct problem *problem, unsigned status, const char *format, ...)
{
    problem->status = status;
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(problem->detail, sizeof(problem->detail), format, arguments);
    va_end(arguments);
    if (written < 0)
        problem->detail[0] = '\0';
    return false;
}

const char *problem_title(unsigned status)
{
    static const struct {
        unsigned status;
        const char *title;
    } titles[] = {
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 409, "Conflict" },
        { 411, "Length Required" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" },
        { 422, "Unprocessable Content" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 503, "Service Unavailable" },
        { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "Error";
}

void problem_append_json(const struct problem *problem, struct buffer *out)
{
    buffer_append_text(out, "{\"type\":\"about:blank\",\"title\":\"");
    buffer_append_text(out, problem_title(problem->status));
    buffer_append_text(out, "\",\"status\":");
    buffer_append_unsigned(out, problem->status);
    buffer_append_text(out, ",\"detail\":");
    buffer_append_json_string(out, problem->detail, strlen(problem->detail));
    buffer_append_byte(out, '}');
}
