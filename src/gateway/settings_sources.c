/* Settings from the environment and from the command line. */
#include "gateway/settings_table.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "SLUICE_"
#define NAME_MAX_LENGTH 64

static const struct setting *find(const char *name)
{
    return settings_find(name, strlen(name));
}

/* `SLUICE_REDIS_URL` → `redis_url`; false when it is too long to be any setting. */
static bool name_of_variable(const char *variable, size_t length, char ret_name[static NAME_MAX_LENGTH])
{
    size_t prefix = strlen(PREFIX);
    if (length - prefix >= NAME_MAX_LENGTH)
        return false;
    for (size_t i = prefix; i < length; i++)
        ret_name[i - prefix] = (char)tolower((unsigned char)variable[i]);
    ret_name[length - prefix] = '\0';
    return true;
}

static void append_variable_name(const struct setting *setting, const char *suffix, struct buffer *out)
{
    buffer_append_text(out, PREFIX);
    for (const char *letter = setting->name; *letter; letter++)
        buffer_append_byte(out, (char)toupper((unsigned char)*letter));
    buffer_append_text(out, suffix);
    buffer_append_byte(out, '\0');
}

/*
 * In Kubernetes, a Service called sluice puts these into the environment of every pod; they are nobody's
 * settings. https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 */
static bool is_kubernetes_service_link(const char *variable, const char *value)
{
    return strncmp(variable, "SLUICE_SERVICE_", 15) == 0 || strncmp(variable, "SLUICE_PORT_", 12) == 0 ||
           (strncmp(variable, "SLUICE_PORT=", 12) == 0 && strstr(value, "://"));
}

static bool environment_has(char *const *environment, const char *variable)
{
    size_t length = strlen(variable);
    for (char *const *entry = environment; *entry; entry++)
        if (strncmp(*entry, variable, length) == 0 && (*entry)[length] == '=')
            return true;
    return false;
}

static void unknown_variable(const char *variable, const char *name, struct settings_problems *problems)
{
    const struct setting *near =
        strcmp(name, "port") == 0 ? find("listen") : settings_suggest(name, strlen(name));
    if (!near) {
        settings_problem(problems, variable, "there is no such setting; unset it, or see sluice --help");
        return;
    }
    struct buffer suggestion = { 0 };
    append_variable_name(near, "", &suggestion);
    settings_problem(problems, variable, "there is no such setting; did you mean %s?",
                     suggestion.data ? suggestion.data : "");
    buffer_free(&suggestion);
}

static void read_variable(struct settings *settings, char *const *environment, const char *entry,
                          struct settings_problems *problems)
{
    const char *equals = strchr(entry, '=');
    char variable[NAME_MAX_LENGTH + sizeof(PREFIX)];
    char name[NAME_MAX_LENGTH];
    if (!equals || (size_t)(equals - entry) >= sizeof(variable) ||
        !name_of_variable(entry, (size_t)(equals - entry), name)) {
        settings_problem(problems, "environment", "there is no setting behind %.60s…", entry);
        return;
    }
    snprintf(variable, sizeof(variable), "%.*s", (int)(equals - entry), entry);
    const char *value = equals + 1;
    if (strcmp(name, "config") == 0 || is_kubernetes_service_link(entry, value))
        return;
    const struct setting *setting = find(name);
    if (setting) {
        setting_assign_from(settings, setting, value, strlen(value), variable, problems);
        return;
    }
    size_t length = strlen(name);
    setting = length > 5 && strcmp(name + length - 5, "_file") == 0 ? settings_find(name, length - 5) : NULL;
    if (!setting || (setting->kind != SETTING_TEXT && setting->kind != SETTING_LIST)) {
        unknown_variable(variable, name, problems);
        return;
    }
    struct buffer direct = { 0 };
    append_variable_name(setting, "", &direct);
    if (direct.data && environment_has(environment, direct.data))
        settings_problem(problems, variable, "%s is set too; keep one", direct.data);
    else
        setting_assign_from_file(settings, setting, value, variable, problems);
    buffer_free(&direct);
}

/* Other programs know REDIS_URL, and its file; what says SLUICE_ wins over both. */
static void read_redis_url(struct settings *settings, char *const *environment, const char *entry,
                           struct settings_problems *problems)
{
    const char *value = strchr(entry, '=') + 1;
    bool is_file = value - entry == (ptrdiff_t)sizeof("REDIS_URL_FILE=") - 1;
    if (environment_has(environment, "SLUICE_REDIS_URL") ||
        environment_has(environment, "SLUICE_REDIS_URL_FILE"))
        return;
    if (!is_file)
        setting_assign_from(settings, find("redis_url"), value, strlen(value), "REDIS_URL", problems);
    else if (environment_has(environment, "REDIS_URL"))
        settings_problem(problems, "REDIS_URL_FILE", "REDIS_URL is set too; keep one");
    else
        setting_assign_from_file(settings, find("redis_url"), value, "REDIS_URL_FILE", problems);
}

/* PORT is the port alone: the address stays what the file says, or 127.0.0.1. */
static void read_port(struct settings *settings, const char *port, struct settings_problems *problems)
{
    const char *colon = strrchr(settings->listen, ':');
    if (strncmp(settings->listen, "unix:", 5) == 0 || !colon)
        return;
    struct buffer listen = { 0 };
    buffer_append(&listen, settings->listen, (size_t)(colon - settings->listen) + 1);
    buffer_append_text(&listen, port);
    if (listen.data)
        setting_assign_from(settings, find("listen"), listen.data, listen.size, "PORT", problems);
    buffer_free(&listen);
}

void settings_read_environment(struct settings *settings, char *const *environment,
                               struct settings_problems *problems)
{
    /* What other programs know too comes first, so that SLUICE_… wins over it. */
    for (char *const *entry = environment; *entry; entry++) {
        if (strncmp(*entry, "REDIS_URL=", 10) == 0 || strncmp(*entry, "REDIS_URL_FILE=", 15) == 0)
            read_redis_url(settings, environment, *entry, problems);
        if (strncmp(*entry, "PORT=", 5) == 0 && !environment_has(environment, "SLUICE_LISTEN"))
            read_port(settings, *entry + 5, problems);
    }
    for (char *const *entry = environment; *entry; entry++)
        if (strncmp(*entry, PREFIX, strlen(PREFIX)) == 0)
            read_variable(settings, environment, *entry, problems);
}

/* ---- flags ---- */

static void unknown_flag(const char *flag, const char *name, struct settings_problems *problems)
{
    const struct setting *near = settings_suggest(name, strlen(name));
    if (!near) {
        settings_problem(problems, flag, "there is no such flag; sluice --help lists them all");
        return;
    }
    char suggestion[NAME_MAX_LENGTH];
    snprintf(suggestion, sizeof(suggestion), "%s", near->name);
    for (char *letter = suggestion; *letter; letter++)
        if (*letter == '_')
            *letter = '-';
    settings_problem(problems, flag, "there is no such flag; did you mean --%s?", suggestion);
}

void settings_read_flags(struct settings *settings, int argument_count, char *const *arguments,
                         struct settings_problems *problems)
{
    for (int i = 0; i < argument_count; i++) {
        const char *argument = arguments[i];
        size_t length = strcspn(argument, "=");
        char flag[NAME_MAX_LENGTH + 2], name[NAME_MAX_LENGTH];
        if (strncmp(argument, "--", 2) != 0 || length <= 2) {
            settings_problem(problems, argument, "is not understood here; flags are written --heartbeat 15s");
            continue;
        }
        snprintf(flag, sizeof(flag), "%.*s", (int)(length < sizeof(flag) ? length : sizeof(flag) - 1),
                 argument);
        snprintf(name, sizeof(name), "%s", flag + 2);
        for (char *letter = name; *letter; letter++)
            if (*letter == '-')
                *letter = '_';
        const struct setting *setting = find(name);
        const char *value = argument[length] == '=' ? argument + length + 1 : NULL;
        bool next_is_value = i + 1 < argument_count && strncmp(arguments[i + 1], "--", 2) != 0;
        if (!value && next_is_value)
            value = arguments[++i];
        if (!setting)
            unknown_flag(flag, name, problems);
        else if (!value)
            settings_problem(problems, flag, "needs a value, such as %s %s", flag,
                             *setting->fallback ? setting->fallback : "…");
        else
            setting_assign_from(settings, setting, value, strlen(value), flag, problems);
    }
}
