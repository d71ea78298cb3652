#include "front/problem.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

Test(problem, is_json_whatever_the_detail)
{
    struct problem problem;
    cr_assert(!problem_set(&problem, 422, "quote \" backslash \\ newline \n byte \xff"));
    struct buffer out = { 0 };
    problem_append_json(&problem, &out);
    json_t *json = json_loadb(out.data, out.size, 0, NULL);
    cr_assert_not_null(json);
    cr_assert_eq(json_integer_value(json_object_get(json, "status")), 422);
    cr_assert_str_eq(json_string_value(json_object_get(json, "title")), "Unprocessable Content");
    cr_assert_str_eq(json_string_value(json_object_get(json, "type")), "about:blank");
    cr_assert_str_eq(json_string_value(json_object_get(json, "detail")),
                     "quote \" backslash \\ newline \n byte \xEF\xBF\xBD");
    json_decref(json);
    buffer_free(&out);
}

Test(problem, detail_is_cut)
{
    struct problem problem;
    char detail[2 * PROBLEM_DETAIL_MAX];
    memset(detail, 'a', sizeof(detail) - 1);
    detail[sizeof(detail) - 1] = '\0';
    problem_set(&problem, 400, "%s", detail);
    cr_assert_eq(strlen(problem.detail), PROBLEM_DETAIL_MAX - 1);
}

Test(problem, titles)
{
    cr_assert_str_eq(problem_title(404), "Not Found");
    cr_assert_str_eq(problem_title(505), "HTTP Version Not Supported");
    cr_assert_str_eq(problem_title(599), "Error");
}
