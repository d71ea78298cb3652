#include "front/request.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "front_text.h"

static unsigned parse(struct text uri, struct request *ret_request)
{
    struct problem problem = { 0 };
    const struct gate_head head = { .method = TEXT("GET"), .uri = uri, .version = TEXT("HTTP/1.1") };
    bool parsed = request_parse(&head, ret_request, &problem);
    cr_assert_eq(parsed, problem.status == 0);
    return problem.status;
}

#define PARSE(uri) cr_assert_eq(parse(TEXT(uri), &request), 0)
#define REFUSED(uri)                                                                                         \
    do {                                                                                                     \
        struct request refused;                                                                              \
        cr_assert_eq(parse(TEXT(uri), &refused), 400, "%s", uri);                                            \
    } while (0)

Test(request, path_is_split_before_it_is_decoded)
{
    struct request request;
    PARSE("/batches/a%2Fb%20c/stream");
    cr_assert_eq(request.segment_count, 3);
    CHECK_TEXT(request.segments[0], "batches");
    CHECK_TEXT(request.segments[1], "a/b c");
    CHECK_TEXT(request.segments[2], "stream");
    CHECK_TEXT(request.path, "/batches/a%2Fb%20c/stream");
    request_clear(&request);
}

Test(request, empty_segments_stay)
{
    struct request request;
    PARSE("/");
    cr_assert_eq(request.segment_count, 1);
    CHECK_TEXT(request.segments[0], "");
    request_clear(&request);
    PARSE("//metrics/");
    cr_assert_eq(request.segment_count, 3);
    CHECK_TEXT(request.segments[0], "");
    CHECK_TEXT(request.segments[1], "metrics");
    CHECK_TEXT(request.segments[2], "");
    request_clear(&request);
}

Test(request, hostile_paths)
{
    REFUSED("metrics");
    REFUSED("*");
    REFUSED("/../etc/passwd");
    REFUSED("/a/./b");
    REFUSED("/%2e%2e/etc");
    REFUSED("/.%2E");
    REFUSED("/a%00b");
    REFUSED("/a%0ab");
    REFUSED("/%ff");
    REFUSED("/%c0%ae%c0%ae/");
    REFUSED("/%");
    REFUSED("/%g0");
    struct request request;
    PARSE("/...");
    request_clear(&request);
}

Test(request, depth_is_bounded)
{
    struct request request;
    PARSE("/1/2/3/4/5/6/7/8");
    cr_assert(!request.too_deep);
    request_clear(&request);
    PARSE("/1/2/3/4/5/6/7/8/9/10/11");
    cr_assert(request.too_deep);
    cr_assert_eq(request.segment_count, REQUEST_SEGMENTS_MAX);
    request_clear(&request);
}

Test(request, absolute_form)
{
    struct request request;
    PARSE("http://example.org:8000/metrics?x=1");
    CHECK_TEXT(request.segments[0], "metrics");
    CHECK_TEXT(request_parameter(&request, "x"), "1");
    request_clear(&request);
    PARSE("HTTPS://example.org");
    CHECK_TEXT(request.segments[0], "");
    request_clear(&request);
    REFUSED("http://example.org?x=1");
    REFUSED("ftp://example.org/");
}

Test(request, parameters_keep_order_and_repeats)
{
    struct request request;
    PARSE("/events/stream?channel=a&channel=b%26c&&pattern=x+*&flag&empty=&=noname&a=b=c");
    cr_assert_eq(request.parameter_count, 7);
    CHECK_TEXT(request.parameters[0].name, "channel");
    CHECK_TEXT(request.parameters[0].value, "a");
    CHECK_TEXT(request.parameters[1].value, "b&c");
    CHECK_TEXT(request.parameters[2].value, "x *");
    CHECK_TEXT(request.parameters[3].name, "flag");
    CHECK_TEXT(request.parameters[3].value, "");
    CHECK_TEXT(request.parameters[4].value, "");
    CHECK_TEXT(request.parameters[5].name, "");
    CHECK_TEXT(request.parameters[6].value, "b=c");
    CHECK_TEXT(request_parameter(&request, "channel"), "a");
    cr_assert_null(request_parameter(&request, "nothing").bytes);
    cr_assert_not_null(request_parameter(&request, "empty").bytes);
    request_clear(&request);
}

Test(request, hostile_queries)
{
    REFUSED("/?a=%");
    REFUSED("/?%zz=1");
    REFUSED("/?a=%00");
    REFUSED("/?a=%ff");
    struct request request;
    PARSE("/?");
    cr_assert_eq(request.parameter_count, 0);
    request_clear(&request);
    PARSE("/?a?b=c");
    CHECK_TEXT(request.parameters[0].name, "a?b");
    request_clear(&request);
}

Test(request, number_of_parameters_is_bounded)
{
    char uri[4 * REQUEST_PARAMETERS_MAX + 16] = "/?";
    struct request request;
    for (int i = 0; i < REQUEST_PARAMETERS_MAX; i++)
        strcat(uri, "a=&");
    cr_assert_eq(parse(text_of(uri, strlen(uri)), &request), 0);
    cr_assert_eq(request.parameter_count, REQUEST_PARAMETERS_MAX);
    request_clear(&request);
    strcat(uri, "b=");
    cr_assert_eq(parse(text_of(uri, strlen(uri)), &request), 400);
}

Test(request, headers_are_copied_and_trimmed)
{
    char value[] = " 5f-1 \t";
    struct gate_header headers[] = {
        { .name = TEXT("LAST-EVENT-ID"), .value = text_of(value, sizeof(value) - 1) },
        { .name = TEXT("Accept"), .value = TEXT("a") },
        { .name = TEXT("Accept"), .value = TEXT("b") },
        { .name = TEXT("Origin"), .value = TEXT("") },
        { .name = TEXT("X-Other"), .value = TEXT("y") },
    };
    const struct gate_head head = { .method = TEXT("DELETE"),
                                    .uri = TEXT("/"),
                                    .version = TEXT("HTTP/1.1"),
                                    .headers = headers,
                                    .header_count = 5 };
    struct request request;
    struct problem problem;
    cr_assert(request_parse(&head, &request, &problem));
    memset(value, '?', sizeof(value));
    CHECK_TEXT(request.headers[HEADER_LAST_EVENT_ID], "5f-1");
    CHECK_TEXT(request.headers[HEADER_ACCEPT], "a");
    cr_assert(request_has(&request, HEADER_ORIGIN), "present, though empty");
    cr_assert(!request_has(&request, HEADER_HOST));
    cr_assert_eq(request.method, METHOD_DELETE);
    request_clear(&request);
}

Test(request, methods)
{
    const struct {
        struct text text;
        enum request_method method;
    } cases[] = {
        { TEXT("GET"), METHOD_GET },   { TEXT("HEAD"), METHOD_HEAD },     { TEXT("POST"), METHOD_POST },
        { TEXT("PUT"), METHOD_PUT },   { TEXT("DELETE"), METHOD_DELETE }, { TEXT("OPTIONS"), METHOD_OPTIONS },
        { TEXT("get"), METHOD_OTHER }, { TEXT("GETX"), METHOD_OTHER },    { TEXT("PATCH"), METHOD_OTHER },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct request request;
        struct problem problem;
        const struct gate_head head = { .method = cases[i].text,
                                        .uri = TEXT("/"),
                                        .version = TEXT("HTTP/1.1") };
        cr_assert(request_parse(&head, &request, &problem));
        cr_assert_eq(request.method, cases[i].method);
        request_clear(&request);
    }
}
