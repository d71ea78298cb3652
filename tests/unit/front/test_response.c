#include "front/response.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *header(const struct response *response, const char *name)
{
    for (size_t i = 0; i < response->header_count; i++)
        if (strcmp(response->headers[i].name, name) == 0)
            return response->headers[i].value;
    return NULL;
}

Test(response, headers_are_bounded)
{
    struct response response = { 0 };
    for (int i = 0; i < RESPONSE_HEADERS_MAX + 3; i++)
        response_add_header(&response, "X", "%d", i);
    cr_assert_eq(response.header_count, RESPONSE_HEADERS_MAX);
    char value[2 * RESPONSE_VALUE_MAX];
    memset(value, 'a', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    response.header_count = 0;
    response_add_header(&response, "X", "%s", value);
    cr_assert_eq(strlen(response.headers[0].value), RESPONSE_VALUE_MAX - 1);
    response_clear(&response);
}

Test(response, a_problem_of_ours_says_when_to_come_again)
{
    struct response response = { 0 };
    struct problem problem;
    problem_set(&problem, 503, "x");
    response_set_problem(&response, &problem);
    cr_assert_eq(response.status, 503);
    cr_assert_str_eq(response.content_type, PROBLEM_TYPE);
    cr_assert_not_null(header(&response, "Retry-After"));
    response_clear(&response);
    problem_set(&problem, 422, "x");
    response_set_problem(&response, &problem);
    cr_assert_null(header(&response, "Retry-After"));
    response_clear(&response);
}

Test(response, a_body_that_could_not_be_built_is_a_503)
{
    struct response response = { 0 };
    struct buffer body = { .failed = true };
    response_set_json(&response, 200, &body);
    cr_assert_eq(response.status, 503);
    cr_assert_gt(response.body.size, 0);
    response_clear(&response);
}
