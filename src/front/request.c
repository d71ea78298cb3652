#include "front/request.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "front/percent.h"

static const char *const method_names[METHODS] = {
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "other"
};

static const char *const header_names[REQUEST_HEADERS] = {
    [HEADER_HOST] = "host",
    [HEADER_ORIGIN] = "origin",
    [HEADER_ACCEPT] = "accept",
    [HEADER_ACCEPT_ENCODING] = "accept-encoding",
    [HEADER_CONTENT_TYPE] = "content-type",
    [HEADER_IF_NONE_MATCH] = "if-none-match",
    [HEADER_LAST_EVENT_ID] = "last-event-id",
    [HEADER_IDEMPOTENCY_KEY] = "idempotency-key",
    [HEADER_AUTHORIZATION] = "authorization",
    [HEADER_COOKIE] = "cookie",
    [HEADER_SEC_FETCH_SITE] = "sec-fetch-site",
    [HEADER_REQUEST_METHOD] = "access-control-request-method",
};

/* Hands out the one allocation of a request. It is sized for everything beforehand, so taking from it cannot
 * fail. */
struct arena {
    char *next;
};

static struct text arena_copy(struct arena *arena, struct text text)
{
    char *bytes = arena->next;
    if (text.length)
        memcpy(bytes, text.bytes, text.length);
    arena->next += text.length;
    return text_of(bytes, text.length);
}

static bool arena_decode(struct arena *arena, struct text text, enum percent_mode mode, struct text *ret_text)
{
    size_t length = 0;
    if (!percent_decode(text, mode, arena->next, &length))
        return false;
    *ret_text = text_of(arena->next, length);
    arena->next += length;
    return true;
}

/* `http://host/path` (absolute-form, RFC 9112, section 3.2.2) means `/path`. */
static struct text strip_authority(struct text uri)
{
    static const char *const schemes[] = { "http://", "https://" };
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t scheme_length = strlen(schemes[i]);
        if (uri.length <= scheme_length || !text_is_caseless(text_of(uri.bytes, scheme_length), schemes[i]))
            continue;
        for (size_t at = scheme_length; at < uri.length; at++)
            if (uri.bytes[at] == '/' || uri.bytes[at] == '?')
                return text_of(uri.bytes + at, uri.length - at);
        return text_of("/", 1);
    }
    return uri;
}

static bool is_dot_segment(struct text segment)
{
    return text_is(segment, ".") || text_is(segment, "..");
}

static bool parse_path(struct request *request, struct text path, struct arena *arena,
                       struct problem *ret_problem)
{
    if (path.length == 0 || path.bytes[0] != '/')
        return problem_set(ret_problem, 400, "The address does not begin with a slash.");
    request->path = arena_copy(arena, path);

    struct text rest = text_of(path.bytes + 1, path.length - 1);
    struct text raw;
    while (text_split(&rest, '/', &raw)) {
        struct text segment;
        if (!arena_decode(arena, raw, PERCENT_PATH, &segment))
            return problem_set(ret_problem, 400, "The path has a %% that is not followed by two hex digits.");
        if (!percent_is_clean(segment))
            return problem_set(ret_problem, 400, "The path has a control character or invalid UTF-8 in it.");
        if (is_dot_segment(segment))
            return problem_set(ret_problem, 400, "The path has a `.` or `..` segment.");
        if (request->segment_count == REQUEST_SEGMENTS_MAX) {
            request->too_deep = true;
            return true;
        }
        request->segments[request->segment_count++] = segment;
    }
    return true;
}

static bool parse_query(struct request *request, struct text query, struct arena *arena,
                        struct problem *ret_problem)
{
    struct text rest = query;
    struct text pair;
    while (text_split(&rest, '&', &pair)) {
        if (pair.length == 0)
            continue;
        struct text value = pair;
        struct text name;
        text_split(&value, '=', &name);
        if (!value.bytes)
            value = text_of("", 0);
        if (request->parameter_count == REQUEST_PARAMETERS_MAX)
            return problem_set(ret_problem, 400, "There are more than %d query parameters.",
                               REQUEST_PARAMETERS_MAX);
        struct request_parameter *parameter = &request->parameters[request->parameter_count];
        if (!arena_decode(arena, name, PERCENT_QUERY, &parameter->name) ||
            !arena_decode(arena, value, PERCENT_QUERY, &parameter->value))
            return problem_set(ret_problem, 400,
                               "The query has a %% that is not followed by two hex digits.");
        if (!percent_is_clean(parameter->name) || !percent_is_clean(parameter->value))
            return problem_set(ret_problem, 400, "The query has a control character or invalid UTF-8 in it.");
        request->parameter_count++;
    }
    return true;
}

static enum request_method parse_method(struct text method)
{
    for (int i = 0; i < METHOD_OTHER; i++)
        if (text_is(method, method_names[i]))
            return (enum request_method)i;
    return METHOD_OTHER;
}

static void copy_headers(struct request *request, const struct gate_head *head, struct arena *arena)
{
    for (size_t i = 0; i < head->header_count; i++)
        for (int known = 0; known < REQUEST_HEADERS; known++)
            if (!request->headers[known].bytes &&
                text_is_caseless(head->headers[i].name, header_names[known]))
                request->headers[known] = arena_copy(arena, text_trim(head->headers[i].value));
}

static size_t count_pairs(struct text query)
{
    size_t count = 1;
    for (size_t at = 0; at < query.length; at++)
        count += query.bytes[at] == '&';
    return count < REQUEST_PARAMETERS_MAX ? count : REQUEST_PARAMETERS_MAX;
}

bool request_parse(const struct gate_head *head, struct request *ret_request, struct problem *ret_problem)
{
    struct text query = strip_authority(head->uri);
    struct text path;
    if (!text_split(&query, '?', &path))
        return problem_set(ret_problem, 400, "The address is missing.");

    size_t parameters_bytes = query.bytes ? count_pairs(query) * sizeof(struct request_parameter) : 0;
    size_t text_bytes = 2 * path.length + query.length + 1;
    for (size_t i = 0; i < head->header_count; i++)
        text_bytes += head->headers[i].value.length;

    struct request request = { .method = parse_method(head->method) };
    request.storage = malloc(parameters_bytes + text_bytes);
    if (!request.storage)
        return problem_set(ret_problem, 500, "Memory is short.");
    request.parameters = (struct request_parameter *)(void *)request.storage;
    struct arena arena = { .next = request.storage + parameters_bytes };

    copy_headers(&request, head, &arena);
    if (!parse_path(&request, path, &arena, ret_problem) ||
        (query.bytes && !parse_query(&request, query, &arena, ret_problem))) {
        request_clear(&request);
        return false;
    }
    *ret_request = request;
    return true;
}

void request_clear(struct request *request)
{
    free(request->storage);
    *request = (struct request){ 0 };
}

struct text request_parameter(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->parameter_count; i++)
        if (text_is(request->parameters[i].name, name))
            return request->parameters[i].value;
    return (struct text){ 0 };
}

const char *request_method_name(enum request_method method)
{
    return method_names[method];
}
