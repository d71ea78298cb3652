#include "access/plain_claims.h"

#include "access/plain_json.h"

bool claims_is_one_of(struct text value, const char *expected)
{
    struct text rest = text_of(expected, strlen(expected));
    struct text one;
    while (value.bytes && text_split(&rest, ',', &one)) {
        one = text_trim(one);
        if (one.length && one.length == value.length && memcmp(one.bytes, value.bytes, one.length) == 0)
            return true;
    }
    return false;
}

static bool read_time(struct plain_json *json, uint64_t *ret_ms)
{
    uint64_t seconds;
    if (!plain_json_number(json, &seconds) || seconds == 0 || seconds > CLAIM_SECONDS_MAX)
        return false;
    *ret_ms = seconds * 1000;
    return true;
}

/* One audience or an array of them; we must be among them (RFC 7519, section 4.1.3). */
static bool read_audience(struct plain_json *json, const char *audience, bool *ret_is_for_us)
{
    struct text one;
    *ret_is_for_us = false;
    if (plain_json_peek(json) == '"') {
        if (!plain_json_string(json, &one))
            return false;
        *ret_is_for_us = claims_is_one_of(one, audience);
        return true;
    }
    for (bool more = plain_json_enter(json, '['); more && plain_json_next(json, ']');) {
        more = plain_json_string(json, &one);
        *ret_is_for_us |= more && claims_is_one_of(one, audience);
    }
    return !json->is_broken;
}

static bool read_patterns(struct plain_json *json, struct text *storage, struct grant_list *ret_list)
{
    *ret_list = (struct grant_list){ .patterns = storage };
    for (bool more = plain_json_enter(json, '['); more && plain_json_next(json, ']');) {
        if (ret_list->count == PLAIN_PATTERNS_MAX || !plain_json_string(json, &storage[ret_list->count]))
            return false;
        ret_list->count++;
    }
    return !json->is_broken;
}

static bool read_right(struct plain_json *json, struct text name, struct plain_claims *claims,
                       unsigned *seen_actions)
{
    for (int action = 0; action < ACCESS_ACTIONS; action++) {
        if (!text_is(name, access_action_name((enum access_action)action)))
            continue;
        if (*seen_actions & 1u << action)
            return false;
        *seen_actions |= 1u << action;
        if (action == ACCESS_ADMIN)
            return plain_json_boolean(json, &claims->draft.admin);
        return read_patterns(json, claims->patterns[action], &claims->draft.lists[action]);
    }
    return false;
}

static bool read_rights(struct plain_json *json, struct plain_claims *claims)
{
    unsigned seen_actions = 0;
    struct text name;
    for (bool more = plain_json_enter(json, '{'); more && plain_json_next(json, '}');)
        if (!plain_json_name(json, &name) || !read_right(json, name, claims, &seen_actions))
            return false;
    return !json->is_broken;
}

static bool read_claim(struct plain_json *json, struct text name, const char *audience,
                       struct plain_claims *claims)
{
    if (text_is(name, "sub"))
        return plain_json_string(json, &claims->draft.subject);
    if (text_is(name, "exp"))
        return read_time(json, &claims->claims.expires_ms);
    if (text_is(name, "nbf"))
        return read_time(json, &claims->claims.not_before_ms);
    if (text_is(name, "iss"))
        return plain_json_string(json, &claims->claims.issuer);
    if (text_is(name, "aud"))
        return read_audience(json, audience, &claims->claims.is_for_us);
    return text_is(name, "sluice") ? read_rights(json, claims) : plain_json_skip(json);
}

bool plain_claims_read(const char *bytes, size_t length, const char *audience,
                       struct plain_claims *ret_claims)
{
    struct plain_json json = plain_json_of(bytes, length);
    struct plain_names names = { .count = 0 };
    struct text name;
    ret_claims->claims = (struct claims){ .is_for_us = !*audience };
    ret_claims->draft = (struct grant_draft){ .means = GRANT_TOKEN };
    for (bool more = plain_json_enter(&json, '{'); more && plain_json_next(&json, '}');)
        if (!plain_json_name(&json, &name) || !plain_names_add(&names, name) ||
            !read_claim(&json, name, audience, ret_claims))
            return false;
    return plain_json_is_read(&json);
}
