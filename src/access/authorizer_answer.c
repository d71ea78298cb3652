#include "access/authorizer_answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "access/grant_json.h"

#define SECONDS_MAX 4e9 /* a time that a uint32_t or a JSON number of anybody's still holds */

__attribute__((format(printf, 2, 3))) static bool fail(char *ret_problem, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ret_problem, GRANT_PROBLEM_MAX, format, arguments);
    va_end(arguments);
    return false;
}

static bool is_blank(const char *body, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!memchr(" \t\r\n", body[i], 4))
            return false;
    return true;
}

static bool read_seconds(const json_t *value, uint64_t *ret_ms)
{
    double seconds = json_number_value(value);
    if (!json_is_number(value) || !(seconds >= 0) || seconds > SECONDS_MAX)
        return false;
    *ret_ms = (uint64_t)(seconds * 1000);
    return true;
}

static bool is_right(const char *name)
{
    for (int action = 0; action < ACCESS_ACTIONS; action++)
        if (strcmp(name, access_action_name((enum access_action)action)) == 0)
            return true;
    return false;
}

/* Sorts the members of an answer: rights into `rights`, the others into draft and answer. */
static bool read_right(const char *name, json_t *value, enum access_action action, json_t *rights,
                       char *ret_problem)
{
    const char *right = strcmp(name, "topics") == 0 ? access_action_name(action) : name;
    if (json_object_get(rights, right))
        return fail(ret_problem, "\"%s\" is said twice.", right);
    if (json_object_set(rights, right, value) != 0)
        return fail(ret_problem, "Memory is short for \"%s\".", name);
    return true;
}

static bool read_expiry(const json_t *value, struct grant_draft *draft, char *ret_problem)
{
    uint64_t ms;
    if (!read_seconds(value, &ms) || ms == 0)
        return fail(ret_problem, "\"exp\" is not a Unix time.");
    if (draft->expires_wall_ms == 0 || ms < draft->expires_wall_ms)
        draft->expires_wall_ms = ms;
    return true;
}

static bool read_members(json_t *all, enum access_action action, json_t *rights, struct grant_draft *draft,
                         struct authorizer_answer *answer, char *ret_problem)
{
    const char *name;
    json_t *value;
    json_object_foreach(all, name, value)
    {
        if (strcmp(name, "subject") == 0) {
            if (!json_is_string(value) || json_string_length(value) == 0)
                return fail(ret_problem, "\"%s\" is not a text.", name);
            draft->subject = text_of(json_string_value(value), json_string_length(value));
        } else if (strcmp(name, "ttl") == 0) {
            uint64_t ms;
            if (!read_seconds(value, &ms))
                return fail(ret_problem, "\"%s\" is not a number of seconds.", name);
            answer->has_ttl = true;
            answer->ttl_ms = ms < AUTHORIZER_TTL_MS_MAX ? ms : AUTHORIZER_TTL_MS_MAX;
        } else if (strcmp(name, "exp") == 0) {
            if (!read_expiry(value, draft, ret_problem))
                return false;
        } else if (strcmp(name, "topics") == 0 || is_right(name)) {
            if (!read_right(name, value, action, rights, ret_problem))
                return false;
        } else {
            return fail(ret_problem, "The member \"%.40s\" is unknown.", name);
        }
    }
    return true;
}

bool authorizer_answer_parse(const char *body, size_t length, enum access_action action, const json_t *asked,
                             struct text subject, uint64_t expires_wall_ms,
                             struct authorizer_answer *ret_answer, char ret_problem[static GRANT_PROBLEM_MAX])
{
    struct grant_draft draft = { .means = GRANT_APPLICATION,
                                 .subject = subject,
                                 .expires_wall_ms = expires_wall_ms };
    *ret_answer = (struct authorizer_answer){ 0 };
    json_t *all = is_blank(body, length) ? json_object() : access_json_parse(body, length);
    json_t *rights = json_object();
    bool is_read = false;
    if (!all || !rights)
        fail(ret_problem, "The body is neither empty nor a JSON object.");
    else
        is_read = read_members(all, action, rights, &draft, ret_answer, ret_problem);
    if (is_read && json_object_size(rights) > 0)
        ret_answer->grant = grant_from_rights(rights, &draft, ret_problem);
    else if (is_read && asked)
        ret_answer->grant = grant_from_rights(asked, &draft, ret_problem);
    else if (is_read)
        fail(ret_problem, "Topics like these need a list in the answer: \"%s\".", access_action_name(action));
    json_decref(rights);
    json_decref(all);
    return ret_answer->grant != NULL;
}
