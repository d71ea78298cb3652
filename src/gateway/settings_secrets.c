/* Secrets: read from files of their own, and kept from where others could see them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gateway/settings_table.h"

#define SECRET_FILE_BYTES_MAX (64 * 1024)

void setting_assign_from_file(struct settings *settings, const struct setting *setting, const char *path,
                              const char *variable, struct settings_problems *problems)
{
    FILE *stream = fopen(path, "re");
    char *text = stream ? malloc(SECRET_FILE_BYTES_MAX + 1) : NULL;
    if (!stream) {
        settings_problem(problems, variable, "%s cannot be opened: %s", path, strerror(errno));
        return;
    }
    size_t length = text ? fread(text, 1, SECRET_FILE_BYTES_MAX + 1, stream) : 0;
    if (!text)
        settings_problem(problems, variable, "out of memory");
    else if (ferror(stream))
        settings_problem(problems, variable, "%s cannot be read: %s", path, strerror(errno));
    else if (length > SECRET_FILE_BYTES_MAX)
        settings_problem(problems, variable, "%s is larger than %d KiB", path, SECRET_FILE_BYTES_MAX / 1024);
    else {
        if (length && text[length - 1] == '\n')
            length--;
        if (length && text[length - 1] == '\r')
            length--;
        setting_assign_from(settings, setting, text, length, variable, problems);
        if (setting->secret)
            buffer_append(&settings->secret_files, path, strlen(path) + 1);
    }
    free(text);
    fclose(stream);
}

/* ---- files that everybody can read ---- */

static void check_permissions(const char *path, struct buffer *out)
{
    struct stat status;
    if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & S_IROTH))
        buffer_printf(out, "%s: everybody on this machine can read this secret; chmod o-r it\n", path);
}

void settings_append_warnings(const struct settings *settings, struct buffer *out)
{
    const struct buffer *files = &settings->secret_files;
    for (size_t at = 0; at < files->size; at += strlen(files->data + at) + 1)
        check_permissions(files->data + at, out);
    const struct sink_settings *sinks = settings->sinks.items;
    for (size_t i = 0; i < settings->sinks.count; i++)
        if (*sinks[i].secret_file)
            check_permissions(sinks[i].secret_file, out);
}

/* ---- the command line, which everybody can read ---- */

/* Of a URL what stands in front of its host, and its query; of other text all. */
static void mask(char *text)
{
    char *start = strstr(text, "://");
    if (!start) {
        memset(text, '*', strlen(text));
        return;
    }
    char *host = start + 3;
    char *end = strrchr(host, '@');
    char *query = strchr(end ? end : host, '?');
    if (end)
        memset(host, '*', (size_t)(end - host));
    if (query)
        memset(query + 1, '*', strlen(query + 1));
}

/* Credentials of the commands that are clients. */
static bool is_secret_flag(const char *flag, size_t length)
{
    char name[64];
    if (length < 3 || length - 2 >= sizeof(name) || strncmp(flag, "--", 2) != 0)
        return false;
    for (size_t i = 2; i < length; i++)
        name[i - 2] = flag[i];
    for (size_t i = 0; i < length - 2; i++)
        name[i] = (char)(name[i] == '-' ? '_' : name[i]);
    const struct setting *setting = settings_find(name, length - 2);
    return setting ? setting->secret : length == 7 && strncmp(flag, "--token", 7) == 0;
}

void settings_mask_arguments(int argument_count, char **arguments)
{
    for (int i = 0; i < argument_count; i++) {
        size_t length = strcspn(arguments[i], "=");
        if (!is_secret_flag(arguments[i], length))
            continue;
        if (arguments[i][length] == '=')
            mask(arguments[i] + length + 1);
        else if (i + 1 < argument_count)
            mask(arguments[++i]);
    }
}
