#include "access/grant_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

json_t *access_json_parse(const char *bytes, size_t length)
{
    json_t *value = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(value)) /* NULL is none */
        return value;
    json_decref(value);
    return NULL;
}

static bool refuse(char *ret_problem, const char *name, const char *problem)
{
    /* A name out of a token goes into an answer and a log: only so much of it, and the reader escapes it. */
    snprintf(ret_problem, GRANT_PROBLEM_MAX, "\"sluice\": \"%.40s\" %s.", name, problem);
    return false;
}

/* `storage` has room for GRANT_PATTERNS_MAX. */
static bool read_list(const json_t *array, const char *name, struct text *storage,
                      struct grant_list *ret_list, char *ret_problem)
{
    size_t count = json_array_size(array);
    if (!json_is_array(array))
        return refuse(ret_problem, name, "is not an array of patterns");
    if (count > GRANT_PATTERNS_MAX)
        return refuse(ret_problem, name, "has more than 256 patterns");
    for (size_t i = 0; i < count; i++) {
        const json_t *pattern = json_array_get(array, i);
        if (!json_is_string(pattern))
            return refuse(ret_problem, name, "has something else than strings in it");
        storage[i] = text_of(json_string_value(pattern), json_string_length(pattern));
    }
    *ret_list = (struct grant_list){ .patterns = storage, .count = count };
    return true;
}

static int list_of(const char *name)
{
    for (int list = 0; list < ACCESS_LISTS; list++)
        if (strcmp(name, access_action_name((enum access_action)list)) == 0)
            return list;
    return -1;
}

struct grant *grant_from_rights(const json_t *rights, const struct grant_draft *base,
                                char ret_problem[static GRANT_PROBLEM_MAX])
{
    struct text storage[ACCESS_LISTS][GRANT_PATTERNS_MAX];
    struct grant_draft draft = *base;
    const char *name;
    json_t *value;
    if (!json_is_object(rights)) {
        snprintf(ret_problem, GRANT_PROBLEM_MAX, "\"sluice\" is not an object.");
        return NULL;
    }
    json_object_foreach((json_t *)rights, name, value) /* the macro knows no const */
    {
        int list = list_of(name);
        if (list >= 0) {
            if (!read_list(value, name, storage[list], &draft.lists[list], ret_problem))
                return NULL;
        } else if (strcmp(name, access_action_name(ACCESS_ADMIN)) != 0) {
            refuse(ret_problem, name, "is no right; there are subscribe, publish, consume and admin");
            return NULL;
        } else if (!json_is_boolean(value)) {
            refuse(ret_problem, name, "is neither true nor false");
            return NULL;
        } else {
            draft.admin = json_is_true(value);
        }
    }
    return grant_create(&draft, ret_problem);
}

static void append_list(const struct grant *grant, enum access_action action, struct buffer *out)
{
    buffer_printf(out, "\"%s\":[", access_action_name(action));
    for (size_t i = 0; i < grant_pattern_count(grant, action); i++) {
        struct text pattern = grant_pattern(grant, action, i);
        if (i > 0)
            buffer_append_byte(out, ',');
        buffer_append_json_string(out, pattern.bytes, pattern.length);
    }
    buffer_append_text(out, "],");
}

void grant_append_json(const struct grant *grant, struct buffer *out)
{
    struct text subject = grant_subject(grant);
    buffer_printf(out, "{\"means\":\"%s\",\"credential\":\"%016" PRIx64 "\"",
                  grant_means_name(grant_means(grant)), grant_credential(grant));
    if (subject.bytes) {
        buffer_append_text(out, ",\"sub\":");
        buffer_append_json_string(out, subject.bytes, subject.length);
    }
    if (grant_expires_wall_ms(grant))
        buffer_printf(out, ",\"exp_ms\":%" PRIu64, grant_expires_wall_ms(grant));
    buffer_append_text(out, ",\"sluice\":{");
    for (int list = 0; list < ACCESS_LISTS; list++)
        append_list(grant, (enum access_action)list, out);
    buffer_printf(out, "\"admin\":%s}}", grant_is_admin(grant) ? "true" : "false");
}

static enum grant_means means_of(const char *name)
{
    for (int means = 0; name && means < GRANT_MEANS; means++)
        if (strcmp(name, grant_means_name((enum grant_means)means)) == 0)
            return (enum grant_means)means;
    return GRANT_MEANS;
}

/* As it was written: 16 hexadecimal digits. */
static bool read_credential(const json_t *value, uint64_t *ret_credential)
{
    const char *digits = json_string_value(value);
    *ret_credential = 0;
    if (!digits || json_string_length(value) != 16)
        return false;
    for (int i = 0; i < 16; i++) {
        int digit = parse_hex_digit(digits[i]);
        if (digit < 0)
            return false;
        *ret_credential = *ret_credential << 4 | (uint64_t)digit;
    }
    return true;
}

struct grant *grant_from_json(const char *bytes, size_t length)
{
    char problem[GRANT_PROBLEM_MAX];
    struct grant *grant = NULL;
    json_t *all = access_json_parse(bytes, length);
    const json_t *subject = json_object_get(all, "sub");
    const json_t *expires = json_object_get(all, "exp_ms");
    struct grant_draft draft = { .means = means_of(json_string_value(json_object_get(all, "means"))) };
    if (subject)
        draft.subject = text_of(json_string_value(subject), json_string_length(subject));
    if (json_integer_value(expires) > 0)
        draft.expires_wall_ms = (uint64_t)json_integer_value(expires);
    /* Without its expiry a grant would hold for ever. */
    bool is_whole = (!expires || draft.expires_wall_ms) && draft.means != GRANT_MEANS &&
                    read_credential(json_object_get(all, "credential"), &draft.credential);
    if (is_whole)
        grant = grant_from_rights(json_object_get(all, "sluice"), &draft, problem);
    json_decref(all);
    return grant;
}
