#include "command/options.h"

#include <stdio.h>
#include <string.h>

const char *option_value(const char *name, int argument_count, char *const *arguments, int *index,
                         bool *ret_missing)
{
    const char *argument = arguments[*index];
    size_t length = strlen(name);
    *ret_missing = false;
    if (strncmp(argument, name, length) != 0)
        return NULL;
    if (argument[length] == '=')
        return argument + length + 1;
    if (argument[length] != '\0')
        return NULL;
    if (*index + 1 < argument_count)
        return arguments[++*index];
    *ret_missing = true;
    return NULL;
}

/* True when the argument was this option; *ret_valid false when it lacks its value. */
static bool take(const struct option *option, int argument_count, char *const *arguments, int *index,
                 bool *ret_valid)
{
    if (option->given) {
        if (strcmp(arguments[*index], option->name) != 0)
            return false;
        *option->given = true;
        return true;
    }
    bool is_missing;
    const char *value = option_value(option->name, argument_count, arguments, index, &is_missing);
    if (is_missing) {
        fprintf(stderr, "sluice: %s needs a value\n", option->name);
        *ret_valid = false;
        return true;
    }
    if (!value)
        return false;
    if (option->values)
        option->values[(*option->count)++] = value;
    else
        *option->value = value;
    return true;
}

bool options_parse(const struct option *options, size_t option_count, int argument_count,
                   char *const *arguments, const char **ret_rest, size_t *ret_rest_count)
{
    bool is_valid = true, only_rest = false;
    *ret_rest_count = 0;
    for (int i = 0; i < argument_count; i++) {
        const char *argument = arguments[i];
        if (only_rest || argument[0] != '-' || argument[1] == '\0') {
            ret_rest[(*ret_rest_count)++] = argument;
            continue;
        }
        if (strcmp(argument, "--") == 0) {
            only_rest = true;
            continue;
        }
        bool is_known = false;
        for (size_t number = 0; number < option_count && !is_known; number++)
            is_known = take(&options[number], argument_count, arguments, &i, &is_valid);
        if (!is_known) {
            fprintf(stderr, "sluice: there is no option %s here; see sluice --help\n", argument);
            is_valid = false;
        }
    }
    return is_valid;
}
