/* sluice key new: makes a key, prints it once, and prints the line for the file of keys, which has its hash
 * alone. */
#include "command/key.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/machine_keys.h"
#include "base/clock.h"
#include "base/parse.h"
#include "command/options.h"

struct key_arguments {
    const char **lists[ACCESS_LISTS]; /* as many as there are arguments */
    size_t counts[ACCESS_LISTS];
    const char *name;
    const char *expires;
    bool admin;
};

static bool fail(const char *problem)
{
    fprintf(stderr, "sluice: %s\n", problem);
    return false;
}

static bool read_arguments(struct key_arguments *key, int argument_count, char *const *arguments)
{
    const struct option options[] = {
        { .name = "--subscribe",
          .values = key->lists[ACCESS_SUBSCRIBE],
          .count = &key->counts[ACCESS_SUBSCRIBE] },
        { .name = "--publish", .values = key->lists[ACCESS_PUBLISH], .count = &key->counts[ACCESS_PUBLISH] },
        { .name = "--consume", .values = key->lists[ACCESS_CONSUME], .count = &key->counts[ACCESS_CONSUME] },
        { .name = "--admin", .given = &key->admin },
        { .name = "--name", .value = &key->name },
        { .name = "--expires", .value = &key->expires },
    };
    const char **rest = calloc((size_t)argument_count + 1, sizeof(*rest));
    size_t rest_count = 0;
    bool is_good = rest && options_parse(options, sizeof(options) / sizeof(options[0]), argument_count,
                                         arguments, rest, &rest_count);
    if (is_good && (rest_count != 1 || strcmp(rest[0], "new") != 0))
        is_good = fail(
            "write sluice key new --publish 'orders.*' (or --subscribe, --consume, --admin; --name n8n)");
    free(rest);
    if (is_good && !key->counts[ACCESS_SUBSCRIBE] && !key->counts[ACCESS_PUBLISH] &&
        !key->counts[ACCESS_CONSUME] && !key->admin)
        is_good =
            fail("a key that may nothing is of no use: say --subscribe, --publish, --consume or --admin");
    return is_good;
}

static bool read_expiry(const char *text, uint64_t *ret_wall_ms)
{
    uint64_t duration_ms;
    if (!text)
        return true;
    if (parse_time_ms(text, strlen(text), ret_wall_ms))
        return true;
    if (!parse_duration_ms(text, strlen(text), &duration_ms))
        return fail("--expires is a time such as 2027-01-31, or a duration such as 720h");
    *ret_wall_ms = clock_wall_ms() + duration_ms;
    return true;
}

/* The patterns of all lists, each a text of its own. */
static bool make(const struct key_arguments *key)
{
    struct text patterns[ACCESS_LISTS][GRANT_PATTERNS_MAX];
    struct grant_draft draft = { .means = GRANT_KEY, .admin = key->admin };
    const char *name = key->name ? key->name : "key";
    draft.subject = text_of(name, strlen(name));
    if (!read_expiry(key->expires, &draft.expires_wall_ms))
        return false;
    for (int list = 0; list < ACCESS_LISTS; list++) {
        if (key->counts[list] > GRANT_PATTERNS_MAX)
            return fail("there are more than 256 patterns of a kind");
        for (size_t i = 0; i < key->counts[list]; i++)
            patterns[list][i] = text_of(key->lists[list][i], strlen(key->lists[list][i]));
        draft.lists[list] = (struct grant_list){ .patterns = patterns[list], .count = key->counts[list] };
    }
    char text[MACHINE_KEY_BYTES_MAX], problem[MACHINE_KEYS_PROBLEM_MAX];
    struct buffer line = { 0 };
    bool is_made = machine_keys_make(&draft, text, &line, problem);
    if (is_made) {
        printf("%s\n", text);
        fprintf(stderr, "This is the key; it is shown this once. Its line for keys_file:\n");
        fflush(stderr);
        printf("%.*s\n", (int)line.size, line.data);
        is_made = fflush(stdout) == 0;
    } else {
        fail(problem);
    }
    explicit_bzero(text, sizeof(text));
    buffer_free(&line);
    return is_made;
}

enum exit_code command_key(int argument_count, char *const *arguments)
{
    struct key_arguments key = { .name = NULL };
    enum exit_code code = EXIT_CODE_FAILED;
    bool has_memory = true;
    for (int list = 0; list < ACCESS_LISTS; list++) {
        key.lists[list] = calloc((size_t)argument_count + 1, sizeof(*key.lists[list]));
        has_memory = has_memory && key.lists[list];
    }
    if (!has_memory)
        fail("memory is short");
    else if (!read_arguments(&key, argument_count, arguments))
        code = EXIT_CODE_USAGE;
    else
        code = make(&key) ? EXIT_CODE_OK : EXIT_CODE_USAGE;
    for (int list = 0; list < ACCESS_LISTS; list++)
        free(key.lists[list]);
    return code;
}
