/* A request head that passes the gate has one length and no trick, and what is made of it is clean. Input:
 * method, target, version, then `name:value` lines. */
#include <stdbool.h>
#include <string.h>

#include "front/etag.h"
#include "front/gate.h"
#include "front/percent.h"
#include "front/request.h"
#include "front/route.h"
#include "front/stream_start.h"
#include "fuzz.h"

static struct text take_line(struct input *input)
{
    const char *end = input->length > 0 ? memchr(input->bytes, '\n', input->length) : NULL;
    struct input line = input_take(input, end ? (size_t)(end - input->bytes) : input->length);
    input_take_byte(input);
    return text_of(line.bytes, line.length);
}

static size_t count_headers(const struct gate_head *head, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < head->header_count; i++)
        count += text_is_caseless(head->headers[i].name, name);
    return count;
}

static void check_request(const struct request *request)
{
    char allow[ROUTE_ALLOW_MAX];
    struct route route;
    REQUIRE(request->segment_count <= REQUEST_SEGMENTS_MAX);
    REQUIRE(request->parameter_count <= REQUEST_PARAMETERS_MAX);
    for (size_t i = 0; i < request->segment_count; i++) {
        REQUIRE(percent_is_clean(request->segments[i]));
        REQUIRE(!text_is(request->segments[i], ".") && !text_is(request->segments[i], ".."));
    }
    for (size_t i = 0; i < request->parameter_count; i++) {
        REQUIRE(percent_is_clean(request->parameters[i].name));
        REQUIRE(percent_is_clean(request->parameters[i].value));
    }
    if (route_find(request, &route)) {
        route_format_allow(&route, allow);
        REQUIRE(strlen(allow) > 0 && strlen(allow) < ROUTE_ALLOW_MAX);
    }
    struct text id = stream_last_event_id(request);
    REQUIRE(id.length == 0 || id.bytes);
    (void)etag_matches(request->headers[HEADER_IF_NONE_MATCH], "\"0123456789abcdef\"");
}

static void parse_request(const struct gate_head *head)
{
    struct problem problem = { 0 };
    struct request request;
    if (request_parse(head, &request, &problem)) {
        check_request(&request);
        request_clear(&request);
    } else {
        REQUIRE(problem.status == 400);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gate_header headers[GATE_HEADERS_MAX + 1];
    struct input input = input_of(data, size);
    struct gate_head head = { .headers = headers, .head_bytes = size };
    struct gate_limits limits = { .uri_bytes_max = 256, .head_bytes_max = 4096, .body_bytes_max = 100000 };
    head.method = take_line(&input);
    head.uri = take_line(&input);
    head.version = take_line(&input);
    while (input.length > 0 && head.header_count < sizeof(headers) / sizeof(headers[0])) {
        struct text line = take_line(&input);
        const char *colon = line.length > 0 ? memchr(line.bytes, ':', line.length) : NULL;
        size_t name_length = colon ? (size_t)(colon - line.bytes) : line.length;
        size_t value_at = colon ? name_length + 1 : line.length;
        headers[head.header_count++] =
            (struct gate_header){ .name = text_of(line.bytes, name_length),
                                  .value = text_of(line.bytes + value_at, line.length - value_at) };
    }

    uint64_t body_bytes = 0;
    struct problem problem = { 0 };
    if (!gate_check(&head, &limits, &body_bytes, &problem)) {
        REQUIRE(problem.status >= 400 && problem.status < 600);
        return 0;
    }
    REQUIRE(body_bytes <= limits.body_bytes_max);
    REQUIRE(head.uri.length <= limits.uri_bytes_max && head.head_bytes <= limits.head_bytes_max);
    REQUIRE(head.header_count <= GATE_HEADERS_MAX);
    REQUIRE(count_headers(&head, "transfer-encoding") == 0);
    REQUIRE(count_headers(&head, "content-length") <= 1);
    REQUIRE(count_headers(&head, "host") <= 1);
    for (size_t i = 0; i < head.header_count; i++) {
        REQUIRE(headers[i].name.length > 0);
        REQUIRE(headers[i].value.length == 0 ||
                (!memchr(headers[i].value.bytes, '\0', headers[i].value.length) &&
                 !memchr(headers[i].value.bytes, '\r', headers[i].value.length)));
    }
    parse_request(&head);
    return 0;
}
