/* Which command? */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/help.h"
#include "command/key.h"
#include "command/publish.h"
#include "command/serve.h"
#include "command/streams.h"
#include "command/tail.h"
#include "gateway/settings.h"

extern char **environ;

static bool is_any_of(const char *argument, const char *first, const char *second, const char *third)
{
    return strcmp(argument, first) == 0 || strcmp(argument, second) == 0 || strcmp(argument, third) == 0;
}

static enum exit_code print_version(void)
{
    printf("sluice %s\n", SLUICE_VERSION);
    return fflush(stdout) == 0 ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}

static enum exit_code unknown_command(const char *name)
{
    fprintf(
        stderr,
        "sluice: there is no command \"%s\"; there are serve, publish, tail, streams and key. sluice --help "
        "explains them.\n",
        name);
    return EXIT_CODE_USAGE;
}

static enum exit_code run(int argument_count, char **arguments)
{
    const char *name = argument_count > 1 ? arguments[1] : "serve";
    bool is_flag = name[0] == '-';
    for (int i = 1; i < argument_count && strcmp(arguments[i], "--") != 0; i++)
        if (is_any_of(arguments[i], "--help", "-h", i == 1 ? "help" : "--help"))
            return command_help();
    if (is_any_of(name, "--version", "-V", "version"))
        return print_version();
    if (argument_count < 2 || is_flag)
        return command_serve(SLUICE_VERSION, argument_count - 1, arguments + 1, environ);
    if (strcmp(name, "serve") == 0)
        return command_serve(SLUICE_VERSION, argument_count - 2, arguments + 2, environ);
    if (strcmp(name, "publish") == 0)
        return command_publish(argument_count - 2, arguments + 2);
    if (strcmp(name, "tail") == 0)
        return command_tail(argument_count - 2, arguments + 2);
    if (strcmp(name, "key") == 0)
        return command_key(argument_count - 2, arguments + 2);
    if (strcmp(name, "streams") == 0)
        return command_streams(argument_count - 2, arguments + 2, environ);
    return unknown_command(name);
}

/* The commands work with copies; of the originals, which everybody on the machine can read, secrets are taken
 * out. */
int main(int argument_count, char **arguments)
{
    char **copies = calloc((size_t)argument_count + 1, sizeof(*copies));
    bool copied = copies != NULL;
    for (int i = 0; copied && i < argument_count; i++)
        copied = (copies[i] = strdup(arguments[i])) != NULL;
    enum exit_code exit_code = EXIT_CODE_FAILED;
    if (copied) {
        settings_mask_arguments(argument_count, arguments);
        exit_code = run(argument_count, copies);
    } else {
        fputs("sluice: memory is short\n", stderr);
    }
    for (int i = 0; copies && i < argument_count; i++)
        free(copies[i]);
    free(copies);
    return (int)exit_code;
}
