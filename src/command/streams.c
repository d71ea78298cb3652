#include "command/streams.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/options.h"
#include "command/streams_state.h"

static void print_usage(void)
{
    fputs("usage: sluice streams status [STREAM…] [--json]\n"
          "       sluice streams setup [--start 0|$]\n"
          "       sluice streams trim STREAM --maxlen N | --minid ID\n"
          "       sluice streams dead [STREAM…] [--count N] [--json]\n"
          "       sluice streams dead replay STREAM [ID…]\n"
          "       sluice streams dead drop STREAM [ID…]\n"
          "with --config FILE, --redis-url URL, --streams a,b and all other settings as for serve\n",
          stderr);
}

/* ---- arguments ---- */

struct value_option {
    const char *name;
    const char **value;
};

/* True when it was one of ours; *ret_valid false when it lacks its value. */
static bool take_option(struct streams_arguments *arguments, int argument_count, char *const *list,
                        int *index, bool *ret_valid)
{
    const struct value_option options[] = {
        { "--config", &arguments->config_file }, { "--maxlen", &arguments->maxlen },
        { "--minid", &arguments->minid },        { "--count", &arguments->count },
        { "--start", &arguments->start },
    };
    if (strcmp(list[*index], "--json") == 0) {
        arguments->is_json = true;
        return true;
    }
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        bool is_missing;
        const char *value = option_value(options[i].name, argument_count, list, index, &is_missing);
        if (is_missing) {
            fprintf(stderr, "sluice: %s needs a value\n", options[i].name);
            *ret_valid = false;
            return true;
        }
        if (value) {
            *options[i].value = value;
            return true;
        }
    }
    return false;
}

static bool read_arguments(struct streams_arguments *arguments, int argument_count, char *const *list,
                           char *const *environment)
{
    bool is_valid = true;
    arguments->words = calloc((size_t)argument_count + 1, sizeof(*arguments->words));
    arguments->flags = calloc((size_t)argument_count + 1, sizeof(*arguments->flags));
    if (!arguments->words || !arguments->flags) {
        fputs("sluice: out of memory\n", stderr);
        return false;
    }
    for (char *const *entry = environment; *entry; entry++)
        if (strncmp(*entry, "SLUICE_CONFIG=", 14) == 0 && (*entry)[14])
            arguments->config_file = *entry + 14;
    for (int i = 0; i < argument_count; i++) {
        if (strncmp(list[i], "--", 2) != 0) {
            arguments->words[arguments->word_count++] = list[i];
        } else if (!take_option(arguments, argument_count, list, &i, &is_valid)) {
            /* A setting: `--name=value`, or `--name value`. */
            bool has_value = strchr(list[i], '=') != NULL;
            arguments->flags[arguments->flag_count++] = list[i];
            if (!has_value && i + 1 < argument_count)
                arguments->flags[arguments->flag_count++] = list[++i];
        }
    }
    return is_valid;
}

static struct settings *load_settings(const struct streams_arguments *arguments, char *const *environment)
{
    struct settings_problems problems = { 0 };
    struct settings *settings = settings_load(arguments->config_file, environment, arguments->flag_count,
                                              arguments->flags, &problems);
    if (!settings)
        fwrite(problems.text.data, 1, problems.text.size, stderr);
    buffer_free(&problems.text);
    return settings;
}

/* ---- which action ---- */

enum action { ACTION_STATUS, ACTION_SETUP, ACTION_TRIM, ACTION_DEAD, ACTIONS };

/* What is wrong with the arguments is said before Redis is asked. */
static bool find_action(const struct streams_arguments *arguments, enum action *ret_action)
{
    static const char *const names[ACTIONS] = { "status", "setup", "trim", "dead" };
    const char *wanted = arguments->word_count ? arguments->words[0] : "";
    for (enum action action = 0; action < ACTIONS; action++) {
        if (strcmp(wanted, names[action]) == 0) {
            *ret_action = action;
            return true;
        }
    }
    if (*wanted)
        fprintf(stderr, "sluice: there is no `streams %s`\n", wanted);
    print_usage();
    return false;
}

static enum exit_code run(struct streams *streams, enum action action)
{
    const char *const *words = streams->arguments.words + 1;
    size_t word_count = streams->arguments.word_count - 1;
    switch (action) {
    case ACTION_STATUS:
        return streams_status(streams, words, word_count);
    case ACTION_SETUP:
        if (word_count == 0)
            return streams_setup(streams);
        break;
    case ACTION_TRIM:
        return streams_trim(streams, words, word_count);
    case ACTION_DEAD:
        return streams_dead(streams, words, word_count);
    case ACTIONS:
        break;
    }
    print_usage();
    return EXIT_CODE_USAGE;
}

enum exit_code command_streams(int argument_count, char *const *arguments, char *const *environment)
{
    struct streams streams = { 0 };
    enum action action = ACTION_STATUS;
    enum exit_code exit_code = EXIT_CODE_USAGE;
    signal(SIGPIPE, SIG_IGN);
    if (read_arguments(&streams.arguments, argument_count, arguments, environment) &&
        find_action(&streams.arguments, &action) &&
        (streams.settings = load_settings(&streams.arguments, environment)))
        exit_code = run(&streams, action);
    if (exit_code == EXIT_CODE_OK && fflush(stdout) != 0)
        exit_code = EXIT_CODE_FAILED;
    streams_redis_close(streams.redis);
    settings_destroy(streams.settings);
    free(streams.arguments.words);
    free(streams.arguments.flags);
    libevent_global_shutdown();
    return exit_code;
}
