/* The arguments of `publish` and `tail`: options with or without a value, and what stands between them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct option {
    const char *name;    /* "--url" */
    bool *given;         /* an option without a value; or */
    const char **value;  /* the last value; or */
    const char **values; /* all values, with room for each argument, */
    size_t *count;       /* counted here */
};

/* Splits `--name value`, `--name=value` and the rest; behind `--` everything is rest. False after saying on
 * standard error what is wrong. */
bool options_parse(const struct option *options, size_t option_count, int argument_count,
                   char *const *arguments, const char **ret_rest, size_t *ret_rest_count);

/* The value of `--name` at arguments[*index], which moves on when it is the next argument. NULL: another
 * option, or no value (then *ret_missing). */
const char *option_value(const char *name, int argument_count, char *const *arguments, int *index,
                         bool *ret_missing);
