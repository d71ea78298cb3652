#include "access/machine_keys.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "../front/front_text.h"

static struct machine_keys *keys_of(struct text lines)
{
    char problem[MACHINE_KEYS_PROBLEM_MAX] = "";
    struct machine_keys *keys = machine_keys_parse(lines, problem);
    cr_assert_not_null(keys, "%s", problem);
    return keys;
}

static void expect_refused(struct text lines, const char *part)
{
    char problem[MACHINE_KEYS_PROBLEM_MAX] = "";
    cr_assert_null(machine_keys_parse(lines, problem), "%.*s", (int)lines.length, lines.bytes);
    cr_assert_not_null(strstr(problem, part), "%s", problem);
}

/* SHA-256 of "sk_test" */
#define HASH "sha256:0c4fb0f9bd26a8a6ab1d5b5b3d8df1b1c8d1f0e3c3dbd3a7c0f6a1a9bdf3d3b5"

Test(machine_keys, a_key_that_was_made_is_found)
{
    const struct text pattern = TEXT("orders.*");
    struct grant_draft draft = { .means = GRANT_KEY, .subject = TEXT("n8n") };
    draft.lists[ACCESS_PUBLISH] = (struct grant_list){ .patterns = &pattern, .count = 1 };
    char key[MACHINE_KEY_BYTES_MAX], other[MACHINE_KEY_BYTES_MAX], problem[MACHINE_KEYS_PROBLEM_MAX];
    struct buffer line = { 0 }, other_line = { 0 };
    cr_assert(machine_keys_make(&draft, key, &line, problem), "%s", problem);
    cr_assert(machine_keys_make(&draft, other, &other_line, problem));
    cr_assert_str_neq(key, other);
    cr_assert_eq(strncmp(key, "sk_", 3), 0);
    cr_assert_eq(strlen(key), 46);
    cr_assert_null(memmem(line.data, line.size, key, strlen(key)), "the line has the hash alone");
    struct machine_keys *keys = keys_of(text_of(line.data, line.size));
    struct grant *grant = machine_keys_find(keys, text_of(key, strlen(key)));
    cr_assert_not_null(grant);
    CHECK_TEXT(grant_subject(grant), "key:n8n");
    CHECK_TEXT(grant_pattern(grant, ACCESS_PUBLISH, 0), "orders.*");
    cr_assert_eq(grant_means(grant), GRANT_KEY);
    cr_assert_eq(machine_keys_by_credential(keys, grant_credential(grant)), grant);
    cr_assert_null(machine_keys_by_credential(keys, grant_credential(grant) + 1));
    cr_assert_null(machine_keys_find(keys, text_of(other, strlen(other))));
    cr_assert_null(machine_keys_find(keys, text_of(key, strlen(key) - 1)));
    cr_assert_null(machine_keys_find(keys, TEXT("")));
    machine_keys_destroy(keys);
    buffer_free(&line);
    buffer_free(&other_line);
}

Test(machine_keys, a_file)
{
    struct machine_keys *keys = keys_of(TEXT("# ours\n\n  \r\n{\"name\": \"a\", \"hash\": \"" HASH
                                             "\", \"subscribe\": [\"x\"], \"admin\": true}\r\n"));
    struct buffer summary = { 0 };
    machine_keys_append_summary(keys, &summary);
    buffer_append_byte(&summary, '\0');
    cr_assert_str_eq(summary.data, "key:a may subscribe to x; administrate\n");
    buffer_free(&summary);
    machine_keys_destroy(keys);
    machine_keys_destroy(keys_of(TEXT("")));
}

Test(machine_keys, what_is_wrong_is_said_with_its_line)
{
    expect_refused(TEXT("\nx"), "Line 2: ");
    expect_refused(TEXT("{\"hash\": \"" HASH "\"}"), "\"name\"");
    expect_refused(TEXT("{\"name\": \"\", \"hash\": \"" HASH "\"}"), "\"name\"");
    expect_refused(TEXT("{\"name\": \"a\"}"), "\"hash\"");
    expect_refused(TEXT("{\"name\": \"a\", \"hash\": \"sha256:00\"}"), "\"hash\"");
    expect_refused(TEXT("{\"name\": \"a\", \"hash\": \"sk_abc\"}"), "\"hash\"");
    expect_refused(TEXT("{\"name\": \"a\", \"hash\": \"" HASH "\", \"exp\": 0.0001}"), "\"exp\"");
    expect_refused(TEXT("{\"name\": \"a\", \"name\": \"b\", \"hash\": \"" HASH "\"}"), "each member once");
    expect_refused(TEXT("{\"name\": \"a\", \"hash\": \"" HASH "\", \"publsh\": [\"x\"]}"), "publsh");
    expect_refused(TEXT("{\"name\": \"a\", \"hash\": \"" HASH "\", \"publish\": [\"x*y\"]}"), "Pattern 1");
    expect_refused(TEXT("{\"name\": \"a\", \"hash\": \"" HASH "\", \"exp\": \"soon\"}"), "\"exp\"");
    expect_refused(
        TEXT("{\"name\": \"a\", \"hash\": \"" HASH "\"}\n{\"name\": \"b\", \"hash\": \"" HASH "\"}"),
        "Line 2: The same hash");
}
