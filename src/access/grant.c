#include "access/grant.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* One allocation: the struct, the patterns of all lists one behind the other, and their bytes. */
struct grant {
    atomic_uint references;
    enum grant_means means;
    bool admin;
    uint64_t expires_wall_ms;
    uint64_t credential;
    struct text subject;
    size_t list_at[ACCESS_LISTS + 1]; /* where a list begins, and the last ends */
    struct entry {
        struct text given;
        struct pattern pattern;
    } entries[];
};

const char *access_action_name(enum access_action action)
{
    static const char *const names[ACCESS_ACTIONS] = { "subscribe", "publish", "consume", "admin" };
    return names[action];
}

const char *grant_means_name(enum grant_means means)
{
    static const char *const names[GRANT_MEANS] = { "token", "key", "application" };
    return names[means];
}

static bool refuse(char *ret_problem, const char *problem)
{
    snprintf(ret_problem, GRANT_PROBLEM_MAX, "%s", problem);
    return false;
}

static bool measure(const struct grant_draft *draft, size_t *ret_entries, size_t *ret_bytes,
                    char *ret_problem)
{
    size_t entries = 0, bytes = draft->subject.length;
    if (draft->subject.length > GRANT_SUBJECT_MAX)
        return refuse(ret_problem, "The subject is longer than 256 bytes.");
    for (int list = 0; list < ACCESS_LISTS; list++) {
        const struct grant_list *patterns = &draft->lists[list];
        if (patterns->count > GRANT_PATTERNS_MAX)
            return refuse(ret_problem, "There are more than 256 patterns in a list.");
        for (size_t i = 0; i < patterns->count; i++) {
            struct pattern pattern;
            const char *why;
            if (!pattern_parse(patterns->patterns[i], &pattern, &why)) {
                snprintf(ret_problem, GRANT_PROBLEM_MAX, "Pattern %zu of \"%s\" %s.", i + 1,
                         access_action_name((enum access_action)list), why);
                return false;
            }
            bytes += patterns->patterns[i].length;
        }
        entries += patterns->count;
    }
    *ret_entries = entries;
    *ret_bytes = bytes;
    return true;
}

static struct text copy(char **next, struct text text)
{
    char *bytes = *next;
    if (text.length)
        memcpy(bytes, text.bytes, text.length);
    *next += text.length;
    return text.bytes ? text_of(bytes, text.length) : (struct text){ 0 };
}

struct grant *grant_create(const struct grant_draft *draft, char ret_problem[static GRANT_PROBLEM_MAX])
{
    size_t entries, bytes;
    if (!measure(draft, &entries, &bytes, ret_problem))
        return NULL;
    struct grant *grant = malloc(sizeof(*grant) + entries * sizeof(grant->entries[0]) + bytes);
    if (!grant) {
        refuse(ret_problem, "Memory is short.");
        return NULL;
    }
    char *next = (char *)(grant->entries + entries);
    atomic_init(&grant->references, 1);
    grant->means = draft->means;
    grant->admin = draft->admin;
    grant->expires_wall_ms = draft->expires_wall_ms;
    grant->credential = draft->credential;
    grant->subject = copy(&next, draft->subject);
    size_t at = 0;
    for (int list = 0; list < ACCESS_LISTS; list++) {
        grant->list_at[list] = at;
        for (size_t i = 0; i < draft->lists[list].count; i++, at++) {
            const char *why;
            grant->entries[at].given = copy(&next, draft->lists[list].patterns[i]);
            pattern_parse(grant->entries[at].given, &grant->entries[at].pattern, &why);
        }
    }
    grant->list_at[ACCESS_LISTS] = at;
    return grant;
}

struct grant *grant_hold(struct grant *grant)
{
    if (grant)
        atomic_fetch_add_explicit(&grant->references, 1, memory_order_relaxed);
    return grant;
}

void grant_release(struct grant *grant)
{
    if (grant && atomic_fetch_sub_explicit(&grant->references, 1, memory_order_acq_rel) == 1)
        free(grant);
}

static bool list_covers(const struct grant *grant, enum access_action action,
                        const struct access_topic *topic)
{
    for (size_t at = grant->list_at[action]; at < grant->list_at[action + 1]; at++)
        if (pattern_covers(&grant->entries[at].pattern, topic))
            return true;
    return false;
}

bool grant_covers(const struct grant *grant, enum access_action action, const struct access_topic *topic)
{
    if (action == ACCESS_ADMIN)
        return grant->admin;
    if (list_covers(grant, action, topic))
        return true;
    return action == ACCESS_CONSUME && list_covers(grant, ACCESS_SUBSCRIBE, topic) &&
           list_covers(grant, ACCESS_PUBLISH, topic);
}

struct text grant_subject(const struct grant *grant)
{
    return grant->subject;
}

uint64_t grant_expires_wall_ms(const struct grant *grant)
{
    return grant->expires_wall_ms;
}

uint64_t grant_credential(const struct grant *grant)
{
    return grant->credential;
}

enum grant_means grant_means(const struct grant *grant)
{
    return grant->means;
}

bool grant_is_admin(const struct grant *grant)
{
    return grant->admin;
}

size_t grant_pattern_count(const struct grant *grant, enum access_action action)
{
    return action < ACCESS_ADMIN ? grant->list_at[action + 1] - grant->list_at[action] : 0;
}

struct text grant_pattern(const struct grant *grant, enum access_action action, size_t index)
{
    return grant->entries[grant->list_at[action] + index].given;
}

void grant_append_summary(const struct grant *grant, struct buffer *out)
{
    static const char *const verbs[ACCESS_LISTS] = { "subscribe to", "publish to", "consume" };
    const char *before = " may ";
    buffer_append(out, grant->subject.bytes, grant->subject.length);
    for (int list = 0; list < ACCESS_LISTS; list++) {
        for (size_t at = grant->list_at[list]; at < grant->list_at[list + 1]; at++) {
            bool is_first = at == grant->list_at[list];
            buffer_printf(out, "%s%s%s", is_first ? before : ", ", is_first ? verbs[list] : "",
                          is_first ? " " : "");
            buffer_append(out, grant->entries[at].given.bytes, grant->entries[at].given.length);
            before = "; ";
        }
    }
    if (grant->admin)
        buffer_printf(out, "%sadministrate", before);
    buffer_append_text(out, grant->admin || *before == ';' ? "\n" : " may nothing\n");
}
