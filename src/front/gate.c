#include "front/gate.h"

#include "base/parse.h"

/* tchar of RFC 9110, section 5.6.2. */
static bool is_token_byte(char byte)
{
    if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z'))
        return true;
    return byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL;
}

static bool is_token(struct text text)
{
    for (size_t at = 0; at < text.length; at++)
        if (!is_token_byte(text.bytes[at]))
            return false;
    return text.length > 0;
}

/* field-value of RFC 9110, section 5.5: no control characters but the tab. */
static bool is_field_value(struct text text)
{
    for (size_t at = 0; at < text.length; at++) {
        unsigned char byte = (unsigned char)text.bytes[at];
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
            return false;
    }
    return true;
}

static bool is_uri(struct text uri)
{
    for (size_t at = 0; at < uri.length; at++) {
        unsigned char byte = (unsigned char)uri.bytes[at];
        if (byte <= 0x20 || byte == 0x7f)
            return false;
    }
    return uri.length > 0;
}

static bool is_host(struct text host)
{
    for (size_t at = 0; at < host.length; at++) {
        unsigned char byte = (unsigned char)host.bytes[at];
        if (byte <= 0x20 || byte >= 0x7f || strchr("/?#@\\<>\"^`{|},", (char)byte))
            return false;
    }
    return true;
}

/* Headers that mean something to us, of which a second one would leave open which counts. */
static const char *const single_headers[] = {
    "host",          "content-length",  "content-type",  "origin",
    "last-event-id", "idempotency-key", "authorization", "expect",
};
#define SINGLE_HEADERS (sizeof(single_headers) / sizeof(single_headers[0]))

static bool check_headers(const struct gate_head *head, struct text *ret_host,
                          struct text *ret_content_length, struct problem *ret_problem)
{
    bool seen[SINGLE_HEADERS] = { false };
    bool has_transfer_encoding = false;

    for (size_t i = 0; i < head->header_count; i++) {
        struct text name = head->headers[i].name;
        struct text value = head->headers[i].value;
        if (!is_token(name))
            return problem_set(ret_problem, 400, "A header name has a character that is not allowed there.");
        if (!is_field_value(value))
            return problem_set(ret_problem, 400, "The header `%.*s` has a control character in its value.",
                               (int)(name.length < 64 ? name.length : 64), name.bytes);
        has_transfer_encoding |= text_is_caseless(name, "transfer-encoding");
        for (size_t single = 0; single < SINGLE_HEADERS; single++) {
            if (!text_is_caseless(name, single_headers[single]))
                continue;
            if (seen[single])
                return problem_set(ret_problem, 400, "The header `%s` is given twice.",
                                   single_headers[single]);
            seen[single] = true;
        }
        if (text_is_caseless(name, "host"))
            *ret_host = text_trim(value);
        if (text_is_caseless(name, "content-length"))
            *ret_content_length = text_trim(value);
    }
    if (has_transfer_encoding)
        return problem_set(ret_problem, 411,
                           "Transfer-Encoding is not accepted: send the body with Content-Length.");
    return true;
}

static bool check_body_length(const struct gate_head *head, const struct gate_limits *limits,
                              struct text content_length, uint64_t *ret_body_bytes,
                              struct problem *ret_problem)
{
    *ret_body_bytes = 0;
    if (!content_length.bytes) {
        if (text_is(head->method, "POST") || text_is(head->method, "PUT"))
            return problem_set(ret_problem, 411, "Content-Length is missing: without a body it is 0.");
        return true;
    }
    for (size_t at = 0; at < content_length.length; at++)
        if (content_length.bytes[at] < '0' || content_length.bytes[at] > '9')
            return problem_set(ret_problem, 400, "Content-Length is not a number.");
    if (content_length.length == 0)
        return problem_set(ret_problem, 400, "Content-Length is empty.");
    /* Digits that do not fit 64 bits are too long, not malformed. */
    uint64_t bytes = 0;
    if (!parse_unsigned(content_length.bytes, content_length.length, &bytes) ||
        bytes > limits->body_bytes_max)
        return problem_set(ret_problem, 413, "The body is larger than %llu bytes.",
                           (unsigned long long)limits->body_bytes_max);
    *ret_body_bytes = bytes;
    return true;
}

bool gate_check(const struct gate_head *head, const struct gate_limits *limits, uint64_t *ret_body_bytes,
                struct problem *ret_problem)
{
    struct text host = { 0 };
    struct text content_length = { 0 };

    if (!text_is(head->version, "HTTP/1.1") && !text_is(head->version, "HTTP/1.0"))
        return problem_set(ret_problem, 505, "HTTP/1.1 and HTTP/1.0 are spoken here.");
    if (!is_token(head->method))
        return problem_set(ret_problem, 400, "The method is not a token.");
    if (head->uri.length > limits->uri_bytes_max)
        return problem_set(ret_problem, 414, "The address is longer than %zu bytes.", limits->uri_bytes_max);
    if (!is_uri(head->uri))
        return problem_set(ret_problem, 400, "The address has a space or a control character in it.");
    if (head->head_bytes > limits->head_bytes_max)
        return problem_set(ret_problem, 431, "The request head is larger than %zu bytes.",
                           limits->head_bytes_max);
    if (head->header_count > GATE_HEADERS_MAX)
        return problem_set(ret_problem, 431, "There are more than %d headers.", GATE_HEADERS_MAX);

    if (!check_headers(head, &host, &content_length, ret_problem))
        return false;
    if (!host.bytes && text_is(head->version, "HTTP/1.1"))
        return problem_set(ret_problem, 400, "The header `host` is missing.");
    if (!is_host(host))
        return problem_set(ret_problem, 400, "The header `host` is not a host.");
    return check_body_length(head, limits, content_length, ret_body_bytes, ret_problem);
}

/* CRLF or LF, each replaced by a NUL. 0 if neither is at `at`. */
static size_t line_end_length(const char *at, const char *end)
{
    if (at >= end || at[0] != '\0')
        return 0;
    return end - at >= 2 && at[1] == '\0' ? 2 : 1;
}

bool gate_layout_is_clean(const struct gate_head *head, const char *start, size_t bytes)
{
    const char *end = start + bytes;
    if (head->method.bytes != start || head->uri.bytes != start + head->method.length + 1)
        return false;
    if (head->version.bytes != head->uri.bytes + head->uri.length + 1)
        return false;

    const char *at = head->version.bytes + head->version.length;
    for (size_t i = 0; i < head->header_count; i++) {
        const struct gate_header *header = &head->headers[i];
        /* An empty line ends the head, so exactly one line end lies before each name. */
        size_t line_end = line_end_length(at, end);
        if (line_end == 0 || header->name.bytes != at + line_end)
            return false;
        at = header->name.bytes + header->name.length + 1;
        if (at > end || header->value.bytes < at || header->value.bytes > end)
            return false;
        while (at < header->value.bytes)
            if (*at != ' ' && *at != '\t')
                return false;
            else
                at++;
        at = header->value.bytes + header->value.length;
    }
    size_t line_end = line_end_length(at, end);
    if (line_end == 0)
        return false;
    at += line_end;
    /* CRLF CRLF, LF LF, LF CRLF, CRLF LF: two, three or four bytes behind the last value. */
    return at == end || (end - at <= 2 && line_end_length(at, end) == (size_t)(end - at));
}
