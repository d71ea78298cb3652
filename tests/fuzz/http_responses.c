#include "http_responses.h"

#include <string.h>
#include <strings.h>

#include "event_source.h"
#include "fuzz.h"
#include "wire/payload.h"

struct head {
    unsigned status;
    size_t bytes; /* with the empty line */
    bool has_length;
    size_t content_length;
    bool is_problem;
    bool is_stream;
    bool is_ours; /* the library answers some requests by itself */
};

static bool is_token(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
                    bytes[i]))
            return false;
    return length > 0 && !memchr(bytes, '\0', length);
}

static void check_field(struct head *head, const char *line, size_t length)
{
    const char *colon = memchr(line, ':', length);
    REQUIRE(colon);
    size_t name_length = (size_t)(colon - line);
    REQUIRE(is_token(line, name_length));
    const char *value = colon + 1;
    size_t value_length = length - name_length - 1;
    while (value_length > 0 && *value == ' ') {
        value++;
        value_length--;
    }
    for (size_t i = 0; i < value_length; i++)
        REQUIRE((unsigned char)value[i] >= 0x20 && value[i] != 0x7f);

    if (name_length == strlen("Content-Length") && strncasecmp(line, "Content-Length", name_length) == 0) {
        REQUIRE(!head->has_length && value_length > 0);
        head->has_length = true;
        for (size_t i = 0; i < value_length; i++) {
            REQUIRE(value[i] >= '0' && value[i] <= '9');
            head->content_length = head->content_length * 10 + (size_t)(value[i] - '0');
        }
    }
    if (name_length == strlen("Content-Type") && strncasecmp(line, "Content-Type", name_length) == 0) {
        head->is_problem = value_length >= strlen("application/problem+json") &&
                           memcmp(value, "application/problem+json", strlen("application/problem+json")) == 0;
        head->is_stream = value_length >= strlen("text/event-stream") &&
                          memcmp(value, "text/event-stream", strlen("text/event-stream")) == 0;
    }
    if (name_length == strlen("X-Content-Type-Options"))
        head->is_ours |= strncasecmp(line, "X-Content-Type-Options", name_length) == 0;
    REQUIRE(name_length != strlen("Transfer-Encoding") ||
            strncasecmp(line, "Transfer-Encoding", name_length) != 0);
}

/* The next line without its CRLF; the bytes before *at are done. */
static const char *take_line(const char *bytes, size_t length, size_t *at, size_t *ret_length)
{
    const char *line = bytes + *at;
    const char *end = memmem(line, length - *at, "\r\n", 2);
    REQUIRE(end);
    *ret_length = (size_t)(end - line);
    *at += *ret_length + 2;
    return line;
}

static struct head take_head(const char *bytes, size_t length)
{
    struct head head = { 0 };
    size_t at = 0, line_length;
    const char *line = take_line(bytes, length, &at, &line_length);
    REQUIRE(line_length >= strlen("HTTP/1.1 200"));
    REQUIRE(memcmp(line, "HTTP/1.1 ", 9) == 0 || memcmp(line, "HTTP/1.0 ", 9) == 0);
    for (size_t i = 9; i < 12; i++) {
        REQUIRE(line[i] >= '0' && line[i] <= '9');
        head.status = head.status * 10 + (unsigned)(line[i] - '0');
    }
    for (;;) {
        line = take_line(bytes, length, &at, &line_length);
        if (line_length == 0)
            break;
        check_field(&head, line, line_length);
    }
    head.bytes = at;
    return head;
}

static void check_stream(const char *bytes, size_t length)
{
    struct event_source_summary summary = event_source_parse(bytes, length, NULL, NULL);
    REQUIRE(summary.is_valid_utf8);
    REQUIRE(summary.unfinished_bytes == 0);
    REQUIRE(length == 0 || summary.has_retry);
}

size_t http_responses_check(const char *bytes, size_t length, bool had_head)
{
    size_t count = 0;
    for (size_t at = 0; at < length;) {
        struct head head = take_head(bytes + at, length - at);
        at += head.bytes;
        /* Only an Expect is answered so, and the answer follows. */
        if (head.status == 100)
            continue;
        count++;
        /* It hangs up behind its own answer, and its version 0.9.75 sends some of them twice over. */
        if (!head.is_ours) {
            REQUIRE(head.status >= 400 && head.status < 600);
            return count;
        }
        REQUIRE(head.status >= 200 && head.status < 600 && head.status != 500);
        bool is_empty = head.status == 204 || head.status == 304 ||
                        (had_head && (at == length ||
                                      memcmp(bytes + at, "HTTP/1.", length - at < 7 ? length - at : 7) == 0));
        if (is_empty)
            continue;
        if (head.is_stream && !head.has_length) {
            check_stream(bytes + at, length - at);
            return count;
        }
        REQUIRE(head.has_length && head.content_length <= length - at);
        if (head.is_problem)
            REQUIRE(payload_classify(bytes + at, head.content_length) == PAYLOAD_OBJECT);
        if (head.is_stream)
            check_stream(bytes + at, head.content_length);
        at += head.content_length;
    }
    return count;
}
