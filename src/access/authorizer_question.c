#include "access/authorizer_question.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/base64url.h"
#include "access/digest.h"

/* ---- what is sent ---- */

static const char *kind_name(enum access_topic_kind kind)
{
    return kind == ACCESS_STREAM ? "stream" : kind == ACCESS_GLOB ? "pattern" : "channel";
}

static void append_body(struct buffer *out, const struct access_question *question)
{
    buffer_printf(out, "{\"action\":\"%s\",\"topics\":[", access_action_name(question->action));
    for (size_t i = 0; i < question->topic_count; i++) {
        const struct access_topic *topic = &question->topics[i];
        buffer_printf(out, "%s{\"kind\":\"%s\",\"name\":", i > 0 ? "," : "", kind_name(topic->kind));
        buffer_append_json_string(out, topic->name.bytes, topic->name.length);
        buffer_append_byte(out, '}');
    }
    buffer_append_text(out, "]}");
}

static bool add_header(struct authorizer_question *question, const char *name, struct text value)
{
    char *line = NULL;
    for (size_t i = 0; i < value.length; i++)
        if (memchr("\r\n\0", value.bytes[i], 3))
            return false;
    if (asprintf(&line, "%s: %.*s", name, (int)value.length, value.bytes) < 0)
        return false;
    question->headers[question->header_count++] = line;
    return true;
}

/* ---- what was asked, as rights ---- */

/* The pattern that covers this topic and nothing else; NULL when there is none. */
static json_t *exact_pattern(const struct access_topic *topic)
{
    char text[sizeof("stream:") + PATTERN_BYTES_MAX];
    struct text name = topic->name;
    /* A glob of bytes and a `*` at its end means the same in a grant. */
    bool is_prefix = topic->kind == ACCESS_GLOB && name.length && name.bytes[name.length - 1] == '*';
    size_t literal = name.length - (is_prefix ? 1 : 0);
    for (size_t i = 0; i < literal; i++)
        if (name.bytes[i] == '*' || (topic->kind == ACCESS_GLOB && strchr("?[\\", name.bytes[i])))
            return NULL;
    struct pattern pattern;
    const char *problem;
    int length = snprintf(text, sizeof text, "%s%.*s", topic->kind == ACCESS_STREAM ? "stream:" : "",
                          (int)name.length, name.bytes);
    if (length < 0 || (size_t)length >= sizeof text ||
        !pattern_parse(text_of(text, (size_t)length), &pattern, &problem) || pattern.everything ||
        pattern.is_stream != (topic->kind == ACCESS_STREAM) || !pattern_covers(&pattern, topic))
        return NULL;
    return json_stringn(text, (size_t)length);
}

static json_t *rights_asked(const struct access_question *question)
{
    json_t *rights = json_object();
    const char *action = access_action_name(question->action);
    if (question->action == ACCESS_ADMIN) {
        if (json_object_set_new(rights, action, json_true()) == 0)
            return rights;
        json_decref(rights);
        return NULL;
    }
    json_t *list = json_array();
    bool is_whole = list && question->topic_count <= GRANT_PATTERNS_MAX;
    for (size_t i = 0; is_whole && i < question->topic_count; i++)
        is_whole = json_array_append_new(list, exact_pattern(&question->topics[i])) == 0;
    if (is_whole && json_object_set(rights, action, list) == 0) {
        json_decref(list);
        return rights;
    }
    json_decref(list);
    json_decref(rights);
    return NULL;
}

/* ---- both ---- */

/* Half of the digest tells sessions apart and gives nothing away. */
static bool write_subject(struct authorizer_question *question, const struct access_credentials *credentials)
{
    unsigned char digest[DIGEST_BYTES];
    const struct text who[] = { credentials->authorization, credentials->cookie };
    if (!digest_of(who, 2, digest))
        return false;
    memcpy(question->subject, SESSION_PREFIX, sizeof SESSION_PREFIX);
    base64url_encode(digest, DIGEST_BYTES / 2, question->subject + strlen(SESSION_PREFIX));
    return true;
}

bool authorizer_question_write(struct authorizer_question *question,
                               const struct access_credentials *credentials,
                               const struct access_question *asked)
{
    static const char type[] = "application/json";
    *question = (struct authorizer_question){ .action = asked->action };
    append_body(&question->body, asked);
    question->rights_asked = rights_asked(asked);
    if (!question->body.failed && write_subject(question, credentials) &&
        add_header(question, "Content-Type", text_of(type, strlen(type))) &&
        add_header(question, "Accept", text_of(type, strlen(type))) &&
        (!credentials->cookie.bytes || add_header(question, "Cookie", credentials->cookie)) &&
        (!credentials->authorization.bytes ||
         add_header(question, "Authorization", credentials->authorization)))
        return true;
    authorizer_question_clear(question);
    return false;
}

void authorizer_question_clear(struct authorizer_question *question)
{
    json_decref(question->rights_asked);
    for (size_t i = 0; i < question->header_count; i++) {
        explicit_bzero(question->headers[i], strlen(question->headers[i]));
        free(question->headers[i]);
    }
    buffer_free(&question->body);
    question->rights_asked = NULL;
    question->header_count = 0;
}

bool authorizer_question_digest(const struct access_credentials *credentials,
                                const struct access_question *asked,
                                unsigned char ret_key[static DIGEST_BYTES])
{
    static const char kinds[] = "cgs";
    size_t count = 0;
    struct text *parts = calloc(3 + 2 * asked->topic_count, sizeof *parts);
    if (!parts)
        return false;
    parts[count++] = credentials->authorization;
    parts[count++] = credentials->cookie;
    parts[count++] = text_of(access_action_name(asked->action), strlen(access_action_name(asked->action)));
    for (size_t i = 0; i < asked->topic_count; i++) {
        parts[count++] = text_of(&kinds[asked->topics[i].kind], 1);
        parts[count++] = asked->topics[i].name;
    }
    bool done = digest_of(parts, count, ret_key);
    free(parts);
    return done;
}
