#include "front/gate.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "front_text.h"

static const struct gate_limits limits = { .uri_bytes_max = 64,
                                           .head_bytes_max = 1024,
                                           .body_bytes_max = 1000 };

#define HEADER(header_name, header_value)                                                                    \
    {                                                                                                        \
        .name = TEXT(header_name), .value = TEXT(header_value)                                               \
    }

static unsigned check_head(const struct gate_head *head, uint64_t *ret_body_bytes)
{
    struct problem problem = { 0 };
    bool passed = gate_check(head, &limits, ret_body_bytes, &problem);
    cr_assert_eq(passed, problem.status == 0);
    cr_assert(passed || *problem.detail);
    return problem.status;
}

static unsigned check_headers(const char *method, const struct gate_header *headers, size_t count)
{
    uint64_t body_bytes;
    const struct gate_head head = { .method = text_of(method, strlen(method)),
                                    .uri = TEXT("/x"),
                                    .version = TEXT("HTTP/1.1"),
                                    .headers = headers,
                                    .header_count = count };
    return check_head(&head, &body_bytes);
}

#define CHECK_HEADERS(expected, method, ...)                                                                 \
    do {                                                                                                     \
        const struct gate_header headers[] = { __VA_ARGS__ };                                                \
        cr_assert_eq(check_headers(method, headers, sizeof(headers) / sizeof(headers[0])), (expected));      \
    } while (0)

static unsigned check_line(struct text method, struct text uri, struct text version)
{
    const struct gate_header host = HEADER("Host", "x");
    uint64_t body_bytes;
    const struct gate_head head = {
        .method = method, .uri = uri, .version = version, .headers = &host, .header_count = 1
    };
    return check_head(&head, &body_bytes);
}

Test(gate, request_line)
{
    cr_assert_eq(check_line(TEXT("GET"), TEXT("/"), TEXT("HTTP/1.1")), 0);
    cr_assert_eq(check_line(TEXT("GET"), TEXT("/"), TEXT("HTTP/1.0")), 0);
    cr_assert_eq(check_line(TEXT("BREW"), TEXT("/"), TEXT("HTTP/1.1")), 0,
                 "a method is for the route to refuse");
    cr_assert_eq(check_line(TEXT("GET"), TEXT("/"), TEXT("HTTP/1.2")), 505);
    cr_assert_eq(check_line(TEXT("GET"), TEXT("/"), TEXT("HTTP/2.0")), 505);
    cr_assert_eq(check_line(TEXT("GET"), TEXT("/"), TEXT("")), 505);
    cr_assert_eq(check_line(TEXT(""), TEXT("/"), TEXT("HTTP/1.1")), 400);
    cr_assert_eq(check_line(TEXT("G T"), TEXT("/"), TEXT("HTTP/1.1")), 400);
    cr_assert_eq(check_line(TEXT("GET"), TEXT(""), TEXT("HTTP/1.1")), 400);
    cr_assert_eq(check_line(TEXT("GET"), TEXT("/a b"), TEXT("HTTP/1.1")), 400);
    cr_assert_eq(check_line(TEXT("GET"), TEXT("/a\x01"), TEXT("HTTP/1.1")), 400);
    cr_assert_eq(check_line(TEXT("GET"), TEXT("/a\x7f"), TEXT("HTTP/1.1")), 400);
    cr_assert_eq(check_line(TEXT("GET"), TEXT("/a\0b"), TEXT("HTTP/1.1")), 400);
}

Test(gate, length_of_the_address)
{
    char uri[65];
    memset(uri, 'a', sizeof(uri));
    cr_assert_eq(check_line(TEXT("GET"), text_of(uri, 64), TEXT("HTTP/1.1")), 0);
    cr_assert_eq(check_line(TEXT("GET"), text_of(uri, 65), TEXT("HTTP/1.1")), 414);
}

Test(gate, size_of_the_head)
{
    const struct gate_header host = HEADER("Host", "x");
    struct gate_head head = { .method = TEXT("GET"),
                              .uri = TEXT("/"),
                              .version = TEXT("HTTP/1.1"),
                              .headers = &host,
                              .header_count = 1 };
    uint64_t body_bytes;
    head.head_bytes = 1024;
    cr_assert_eq(check_head(&head, &body_bytes), 0);
    head.head_bytes = 1025;
    cr_assert_eq(check_head(&head, &body_bytes), 431);
}

Test(gate, number_of_headers)
{
    struct gate_header headers[GATE_HEADERS_MAX];
    headers[0] = (struct gate_header)HEADER("Host", "x");
    for (size_t i = 1; i < GATE_HEADERS_MAX; i++)
        headers[i] = (struct gate_header)HEADER("X", "y");
    cr_assert_eq(check_headers("GET", headers, GATE_HEADERS_MAX), 0);
    /* One more is counted, but is not in the array: it must not be looked at. */
    cr_assert_eq(check_headers("GET", headers, GATE_HEADERS_MAX + 1), 431);
}

Test(gate, host)
{
    uint64_t body_bytes;
    struct gate_head head = { .method = TEXT("GET"), .uri = TEXT("/"), .version = TEXT("HTTP/1.1") };
    cr_assert_eq(check_head(&head, &body_bytes), 400);
    head.version = TEXT("HTTP/1.0");
    cr_assert_eq(check_head(&head, &body_bytes), 0);
    CHECK_HEADERS(400, "GET", HEADER("Host", "x"), HEADER("host", "x"));
    CHECK_HEADERS(400, "GET", HEADER("Host", "a b"));
    CHECK_HEADERS(400, "GET", HEADER("Host", "a/b"));
    CHECK_HEADERS(400, "GET", HEADER("Host", "user@a"));
    CHECK_HEADERS(400, "GET", HEADER("Host", "a,b"));
    CHECK_HEADERS(0, "GET", HEADER("Host", "[::1]:8000"));
    CHECK_HEADERS(0, "GET", HEADER("hOST", " example.org:80 "));
    CHECK_HEADERS(0, "GET", HEADER("Host", ""));
}

Test(gate, header_names_are_tokens)
{
    CHECK_HEADERS(400, "GET", HEADER("Host", "x"), HEADER("Transfer-Encoding ", "chunked"));
    CHECK_HEADERS(400, "GET", HEADER("Host", "x"), HEADER("", "y"));
    CHECK_HEADERS(400, "GET", HEADER("Host", "x"), HEADER("a\tb", "y"));
    CHECK_HEADERS(400, "GET", HEADER("Host", "x"), HEADER("a\0b", "y"));
    CHECK_HEADERS(400, "GET", HEADER("Host", "x"), HEADER("a\xc3\xa4", "y"));
    CHECK_HEADERS(0, "GET", HEADER("Host", "x"), HEADER("!#$%&'*+-.^_`|~09azAZ", "y"));
}

Test(gate, header_values_have_no_control_characters)
{
    CHECK_HEADERS(400, "GET", HEADER("Host", "x"), HEADER("X", "a\rb"));
    CHECK_HEADERS(400, "GET", HEADER("Host", "x"), HEADER("X", "a\nb"));
    CHECK_HEADERS(400, "GET", HEADER("Host", "x"), HEADER("X", "a\0b"));
    CHECK_HEADERS(400, "GET", HEADER("Host", "x"), HEADER("X", "\x7f"));
    CHECK_HEADERS(0, "GET", HEADER("Host", "x"), HEADER("X", "a\tb \xc3\xa4"));
}

Test(gate, transfer_encoding_is_refused_however_it_comes)
{
    CHECK_HEADERS(411, "POST", HEADER("Host", "x"), HEADER("Transfer-Encoding", "chunked"));
    CHECK_HEADERS(411, "POST", HEADER("Host", "x"), HEADER("transfer-encoding", "xchunked"));
    CHECK_HEADERS(411, "GET", HEADER("Host", "x"), HEADER("Transfer-Encoding", ""));
    CHECK_HEADERS(411, "POST", HEADER("Host", "x"), HEADER("Content-Length", "5"),
                  HEADER("Transfer-Encoding", "chunked"));
}

Test(gate, content_length)
{
    CHECK_HEADERS(411, "POST", HEADER("Host", "x"));
    CHECK_HEADERS(411, "PUT", HEADER("Host", "x"));
    CHECK_HEADERS(0, "GET", HEADER("Host", "x"));
    CHECK_HEADERS(0, "DELETE", HEADER("Host", "x"));
    CHECK_HEADERS(0, "POST", HEADER("Host", "x"), HEADER("Content-Length", "0"));
    CHECK_HEADERS(0, "POST", HEADER("Host", "x"), HEADER("Content-Length", "1000"));
    CHECK_HEADERS(413, "POST", HEADER("Host", "x"), HEADER("Content-Length", "1001"));
    CHECK_HEADERS(413, "POST", HEADER("Host", "x"), HEADER("Content-Length", "18446744073709551617"));
    CHECK_HEADERS(413, "GET", HEADER("Host", "x"), HEADER("Content-Length", "1001"));
    CHECK_HEADERS(400, "POST", HEADER("Host", "x"), HEADER("Content-Length", ""));
    CHECK_HEADERS(400, "POST", HEADER("Host", "x"), HEADER("Content-Length", "-1"));
    CHECK_HEADERS(400, "POST", HEADER("Host", "x"), HEADER("Content-Length", "+1"));
    CHECK_HEADERS(400, "POST", HEADER("Host", "x"), HEADER("Content-Length", "1, 1"));
    CHECK_HEADERS(400, "POST", HEADER("Host", "x"), HEADER("Content-Length", "0x10"));
    CHECK_HEADERS(400, "POST", HEADER("Host", "x"), HEADER("Content-Length", "5"),
                  HEADER("content-length", "5"));
}

Test(gate, body_length_is_told)
{
    const struct gate_header headers[] = { HEADER("Host", "x"), HEADER("Content-Length", " 42 ") };
    const struct gate_head head = { .method = TEXT("POST"),
                                    .uri = TEXT("/"),
                                    .version = TEXT("HTTP/1.1"),
                                    .headers = headers,
                                    .header_count = 2 };
    uint64_t body_bytes = 0;
    cr_assert_eq(check_head(&head, &body_bytes), 0);
    cr_assert_eq(body_bytes, 42);
}

Test(gate, a_second_header_that_matters_is_refused)
{
    CHECK_HEADERS(400, "GET", HEADER("Host", "x"), HEADER("Origin", "a"), HEADER("origin", "b"));
    CHECK_HEADERS(400, "GET", HEADER("Host", "x"), HEADER("Last-Event-ID", "a"),
                  HEADER("Last-Event-ID", "a"));
    CHECK_HEADERS(400, "GET", HEADER("Host", "x"), HEADER("Content-Type", "a"), HEADER("Content-Type", "a"));
    CHECK_HEADERS(0, "GET", HEADER("Host", "x"), HEADER("Accept", "a"), HEADER("Accept", "b"));
}

/* --- the layout in the library's buffer
 * ---------------------------------------------------------------------------- */

/*
 * Cuts a head as libmicrohttpd 0.9.75 does: CR and LF become NUL, the first colon of a line too, and the
 * pieces are C strings. Answers what gate_layout_is_clean() says about it. One more byte than the head is
 * never touched.
 */
static bool layout_of(const char *bytes, size_t length)
{
    char *copy = malloc(length);
    memcpy(copy, bytes, length);
    struct gate_header headers[8];
    struct gate_head head = { .headers = headers };

    char *lines[10] = { 0 };
    size_t line_count = 0;
    size_t request_line_length = strcspn(bytes, "\r\n");
    if (request_line_length < length && bytes[request_line_length] == '\0')
        request_line_length = (size_t)((const char *)memchr(bytes, '\n', length) - bytes) - 1;
    char *start = copy;
    for (size_t at = 0; at < length; at++) {
        if (copy[at] != '\n')
            continue;
        copy[at] = '\0';
        if (at > 0 && copy + at > start && copy[at - 1] == '\r')
            copy[at - 1] = '\0';
        lines[line_count++] = start;
        start = copy + at + 1;
    }
    char *uri = strchr(lines[0], ' ');
    char *version = memrchr(lines[0], ' ', request_line_length);
    *uri++ = '\0';
    while (*uri == ' ')
        uri++;
    *version++ = '\0';
    head.method = text_of(lines[0], strlen(lines[0]));
    head.uri = text_of(uri, strlen(uri));
    head.version = text_of(version, strlen(version));
    for (size_t i = 1; i < line_count && *lines[i]; i++) {
        char *value = strchr(lines[i], ':');
        *value++ = '\0';
        while (*value == ' ' || *value == '\t')
            value++;
        headers[head.header_count].name = text_of(lines[i], strlen(lines[i]));
        headers[head.header_count++].value = text_of(value, strlen(value));
    }
    bool clean = gate_layout_is_clean(&head, copy, length);
    free(copy);
    return clean;
}

#define CLEAN(head) cr_assert(layout_of((head), sizeof(head) - 1))
#define UNCLEAN(head) cr_assert(!layout_of((head), sizeof(head) - 1))

Test(gate_layout, clean_heads)
{
    CLEAN("GET / HTTP/1.1\r\n\r\n");
    CLEAN("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n");
    CLEAN("GET / HTTP/1.1\r\nHost:x\r\nA: \t b \r\nEmpty:\r\nEmpty2: \r\n\r\n");
    CLEAN("GET / HTTP/1.1\nHost: x\n\n");
    CLEAN("GET / HTTP/1.1\r\nHost: x\nA: b\r\n\n");
}

Test(gate_layout, hidden_bytes)
{
    UNCLEAN("GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n");
    UNCLEAN("GET / HTTP/1.1\r\nHost: x\0\r\n\r\n");
    UNCLEAN("GET / HTTP/1.1\r\nA: b\0c\r\nHost: x\r\n\r\n");
    UNCLEAN("GET / HTTP/1.1\r\nA: b\0\r\nHost: x\r\n\r\n");
    UNCLEAN("GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n");
    UNCLEAN("GET  / HTTP/1.1\r\nHost: x\r\n\r\n");
}

Test(gate_layout, a_piece_that_lies_elsewhere)
{
    const char buffer[] = "GET\0/\0HTTP/1.1\0\0Host\0x\0\0\0\0";
    char elsewhere[] = "Host";
    struct gate_header header = { .name = text_of(buffer + 16, 4), .value = text_of(buffer + 21, 1) };
    struct gate_head head = { .method = text_of(buffer, 3),
                              .uri = text_of(buffer + 4, 1),
                              .version = text_of(buffer + 6, 8),
                              .headers = &header,
                              .header_count = 1 };
    cr_assert(gate_layout_is_clean(&head, buffer, 26));
    cr_assert(!gate_layout_is_clean(&head, buffer, 27));
    cr_assert(!gate_layout_is_clean(&head, buffer, 22));
    /* A folded line makes the library copy the name. */
    header.name.bytes = elsewhere;
    cr_assert(!gate_layout_is_clean(&head, buffer, 26));
}
