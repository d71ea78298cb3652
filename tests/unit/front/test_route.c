#include "front/route.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "front_text.h"

static bool find(struct text uri, struct request *ret_request, struct route *ret_route)
{
    struct problem problem;
    const struct gate_head head = { .method = TEXT("GET"), .uri = uri, .version = TEXT("HTTP/1.1") };
    cr_assert(request_parse(&head, ret_request, &problem));
    return route_find(ret_request, ret_route);
}

static void check(struct text uri, enum endpoint endpoint, enum route_label label)
{
    struct request request;
    struct route route;
    cr_assert(find(uri, &request, &route), "%.*s", (int)uri.length, uri.bytes);
    cr_assert_eq(route.endpoint, endpoint, "%.*s", (int)uri.length, uri.bytes);
    cr_assert_eq(route.label, label);
    cr_assert(route_allows(&route, METHOD_OPTIONS));
    cr_assert_eq(route_allows(&route, METHOD_GET), route_allows(&route, METHOD_HEAD));
    cr_assert(!route_allows(&route, METHOD_OTHER));
    request_clear(&request);
}

static void check_unknown(struct text uri)
{
    struct request request;
    struct route route;
    cr_assert(!find(uri, &request, &route), "%.*s", (int)uri.length, uri.bytes);
    request_clear(&request);
}

Test(route, every_path_with_every_prefix)
{
    static const struct {
        const char *path;
        enum endpoint endpoint;
        enum route_label label;
    } cases[] = {
        { "/events/publish", ENDPOINT_PUBLISH, ROUTE_EVENTS_PUBLISH },
        { "/events/stream", ENDPOINT_EVENTS, ROUTE_EVENTS_STREAM },
        { "/batches/7", ENDPOINT_BATCH, ROUTE_BATCH },
        { "/batches/7/stream", ENDPOINT_BATCH_STREAM, ROUTE_BATCH_STREAM },
        { "/streams", ENDPOINT_STREAMS, ROUTE_STREAMS },
        { "/streams/7", ENDPOINT_STREAM, ROUTE_STREAM },
        { "/streams/7/groups/8/events", ENDPOINT_GROUP_EVENTS, ROUTE_GROUP_EVENTS },
        { "/streams/7/groups/8/ack", ENDPOINT_GROUP_ACK, ROUTE_GROUP_ACK },
        { "/streams/7/groups/8/nack", ENDPOINT_GROUP_NACK, ROUTE_GROUP_NACK },
        { "/tickets", ENDPOINT_TICKETS, ROUTE_TICKETS },
        { "/subscribers", ENDPOINT_SUBSCRIBERS, ROUTE_SUBSCRIBERS },
        { "/metrics", ENDPOINT_METRICS, ROUTE_METRICS },
        { "/healthz", ENDPOINT_HEALTHZ, ROUTE_HEALTHZ },
        { "/readyz", ENDPOINT_READYZ, ROUTE_READYZ },
        { "/", ENDPOINT_PAGE, ROUTE_PAGE },
        { "/index.html", ENDPOINT_PAGE, ROUTE_PAGE },
    };
    static const char *const prefixes[] = { "", "/api", "/api/v1" };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t prefix = 0; prefix < 3; prefix++) {
            char uri[64];
            int length = snprintf(uri, sizeof(uri), "%s%s?x=1", prefixes[prefix], cases[i].path);
            check(text_of(uri, (size_t)length), cases[i].endpoint, cases[i].label);
        }
    }
}

Test(route, unknown_paths)
{
    check_unknown(TEXT("/nothing"));
    check_unknown(TEXT("/metrics/"));
    check_unknown(TEXT("//metrics"));
    check_unknown(TEXT("/Metrics"));
    check_unknown(TEXT("/events"));
    check_unknown(TEXT("/batches"));
    check_unknown(TEXT("/batches/"));
    check_unknown(TEXT("/batches/7/stream/x"));
    check_unknown(TEXT("/batches/7/nothing"));
    check_unknown(TEXT("/batches//stream"));
    check_unknown(TEXT("/api/api/metrics"));
    check_unknown(TEXT("/v1/metrics"));
    check_unknown(TEXT("/events%2Fpublish"));
    check_unknown(TEXT("/passwd"));
    check_unknown(TEXT("/1/2/3/4/5/6/7/8/9"));
}

Test(route, name_of_a_batch)
{
    struct request request;
    struct route route;
    cr_assert(find(TEXT("/api/batches/a%2Fb%C3%A4"), &request, &route));
    CHECK_TEXT(route.name, "a/b\xc3\xa4");
    request_clear(&request);
    cr_assert(find(TEXT("/batches/stream/stream"), &request, &route));
    cr_assert_eq(route.endpoint, ENDPOINT_BATCH_STREAM);
    CHECK_TEXT(route.name, "stream");
    request_clear(&request);
    /* Names that look like a prefix are names behind the first segment. */
    cr_assert(find(TEXT("/batches/api"), &request, &route));
    CHECK_TEXT(route.name, "api");
    request_clear(&request);
}

Test(route, allow)
{
    struct request request;
    struct route route;
    char allow[ROUTE_ALLOW_MAX];
    cr_assert(find(TEXT("/batches/7"), &request, &route));
    route_format_allow(&route, allow);
    cr_assert_str_eq(allow, "GET, HEAD, PUT, DELETE, OPTIONS");
    request_clear(&request);
    cr_assert(find(TEXT("/events/publish"), &request, &route));
    route_format_allow(&route, allow);
    cr_assert_str_eq(allow, "POST, OPTIONS");
    request_clear(&request);
}

Test(asset, every_file_is_whole)
{
    const struct asset *index = asset_find(TEXT("index.html"));
    cr_assert_not_null(index);
    cr_assert_str_eq(index->content_type, "text/html; charset=utf-8");
    cr_assert_gt(index->length, 0);
    for (size_t i = 0; i < asset_count; i++) {
        cr_assert_eq(strlen(asset_table[i].etag), 18);
        cr_assert_null(strchr(asset_table[i].name, '/'));
        cr_assert_eq(asset_find(text_of(asset_table[i].name, strlen(asset_table[i].name))), &asset_table[i]);
    }
    cr_assert_null(asset_find(TEXT("")));
    cr_assert_null(asset_find(TEXT("index.html\0")));
}

Test(route, names_of_a_stream_and_its_group)
{
    struct request request;
    struct route route;
    cr_assert(find(TEXT("/streams/a%2Fb/groups/events/events"), &request, &route));
    cr_assert(text_is(route.name, "a/b"));
    cr_assert(text_is(route.group, "events"));
    request_clear(&request);
    cr_assert(find(TEXT("/batches/groups"), &request, &route));
    cr_assert(text_is(route.name, "groups"));
    cr_assert_null(route.group.bytes);
    request_clear(&request);
    check_unknown(TEXT("/streams/a/groups//ack"));
    check_unknown(TEXT("/streams//groups/g/ack"));
    check_unknown(TEXT("/streams/a/groups/g"));
    check_unknown(TEXT("/streams/a/groups/g/ack/more"));
    check_unknown(TEXT("/streams/a/group/g/ack"));
}
