/*
 * What the application says: the question is JSON that has the topic's name as it is, and a yes without a
 * list allows this topic and no other. Input: a letter for the kind of topic (c, g, s) and its name, a line;
 * the answer behind it.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "access/authorizer_answer.h"
#include "access/authorizer_question.h"
#include "access/grant_json.h"
#include "base/utf8.h"
#include "fuzz.h"

static void check_question(const struct authorizer_question *question, const struct access_topic *topic)
{
    json_t *sent = access_json_parse(question->body.data, question->body.size);
    const json_t *named = json_object_get(json_array_get(json_object_get(sent, "topics"), 0), "name");
    /* A name with a NUL or invalid UTF-8 does not get as far as this. */
    bool is_text = utf8_valid_prefix(topic->name.bytes, topic->name.length) == topic->name.length &&
                   !memchr(topic->name.bytes, '\0', topic->name.length);
    if (is_text) {
        REQUIRE(json_string_length(named) == topic->name.length);
        REQUIRE(memcmp(json_string_value(named), topic->name.bytes, topic->name.length) == 0);
        REQUIRE(strcmp(json_string_value(json_object_get(sent, "action")), "subscribe") == 0);
        REQUIRE(json_object_size(sent) == 2);
    }
    json_decref(sent);
}

/* What was asked as rights covers the topic, and none that is longer, shorter or of another kind. */
static void check_exact(const json_t *rights, const struct access_topic *topic)
{
    const struct grant_draft base = { .means = GRANT_APPLICATION };
    char problem[GRANT_PROBLEM_MAX];
    struct grant *grant = grant_from_rights(rights, &base, problem);
    char *longer = malloc(topic->name.length + 1);
    REQUIRE(longer != NULL);
    if (grant) {
        memcpy(longer, topic->name.bytes, topic->name.length);
        longer[topic->name.length] = 'x';
        struct access_topic other = { topic->kind, text_of(longer, topic->name.length + 1) };
        bool is_prefix = topic->kind == ACCESS_GLOB && longer[topic->name.length - 1] == '*';
        REQUIRE(grant_covers(grant, ACCESS_SUBSCRIBE, topic));
        REQUIRE(is_prefix || !grant_covers(grant, ACCESS_SUBSCRIBE, &other));
        other.name.length = topic->name.length - 1;
        REQUIRE(is_prefix || !grant_covers(grant, ACCESS_SUBSCRIBE, &other));
        other = (struct access_topic){ topic->kind == ACCESS_STREAM ? ACCESS_CHANNEL : ACCESS_STREAM,
                                       topic->name };
        REQUIRE(!grant_covers(grant, ACCESS_SUBSCRIBE, &other));
        REQUIRE(!grant_covers(grant, ACCESS_PUBLISH, topic));
        REQUIRE(!grant_is_admin(grant));
    }
    free(longer);
    grant_release(grant);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text rest = text_of((const char *)data, size);
    struct text line = { 0 };
    if (size == 0 || !text_split(&rest, '\n', &line) || line.length < 2)
        return 0;
    const struct access_topic topic = { line.bytes[0] == 's'   ? ACCESS_STREAM
                                        : line.bytes[0] == 'g' ? ACCESS_GLOB
                                                               : ACCESS_CHANNEL,
                                        text_of(line.bytes + 1, line.length - 1) };
    const struct access_question asked = { ACCESS_SUBSCRIBE, &topic, 1 };
    const struct access_credentials credentials = { .cookie = text_of("a=b", 3) };
    struct authorizer_question question;
    struct authorizer_answer answer;
    char problem[GRANT_PROBLEM_MAX] = "";
    REQUIRE(authorizer_question_write(&question, &credentials, &asked));
    check_question(&question, &topic);
    if (question.rights_asked)
        check_exact(question.rights_asked, &topic);
    bool is_yes = authorizer_answer_parse(rest.bytes, rest.length, ACCESS_SUBSCRIBE, question.rights_asked,
                                          text_of("s", 1), 1000, &answer, problem);
    REQUIRE(is_yes == (answer.grant != NULL));
    REQUIRE(is_yes == (*problem == '\0'));
    if (is_yes) {
        uint64_t expires_ms = grant_expires_wall_ms(answer.grant);
        REQUIRE(expires_ms > 0 && expires_ms <= 1000);
        REQUIRE(answer.ttl_ms <= AUTHORIZER_TTL_MS_MAX);
        REQUIRE(grant_subject(answer.grant).length > 0);
    }
    grant_release(answer.grant);
    authorizer_question_clear(&question);
    return 0;
}
