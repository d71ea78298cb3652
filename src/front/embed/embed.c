/*
 * Build-time tool: turns the files of a folder into the table that front/asset.h declares.
 *
 *     embed FOLDER OUTPUT.c DEPFILE
 *
 * The depfile names the folder and every file, so that ninja runs us again when one changes or a new one
 * comes.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const types[][2] = {
    { ".html", "text/html; charset=utf-8" },
    { ".css", "text/css; charset=utf-8" },
    { ".js", "text/javascript; charset=utf-8" },
    { ".json", "application/json" },
    { ".svg", "image/svg+xml" },
    { ".png", "image/png" },
    { ".ico", "image/x-icon" },
    { ".woff2", "font/woff2" },
    { ".txt", "text/plain; charset=utf-8" },
    { ".webmanifest", "application/manifest+json" },
};
#define TYPES (sizeof(types) / sizeof(types[0]))

#define FILES_MAX 256

static const char *content_type(const char *name)
{
    const char *suffix = strrchr(name, '.');
    for (size_t i = 0; suffix && i < TYPES; i++)
        if (strcmp(suffix, types[i][0]) == 0)
            return types[i][1];
    return NULL;
}

/* Only names with a known type: editors' backup files and hidden files are no part of the page. */
static int is_wanted(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && content_type(entry->d_name) != NULL;
}

/* FNV-1a: the tag only has to change when the content does. */
static uint64_t write_bytes(FILE *input, FILE *output)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    size_t column = 0;
    for (int byte = getc(input); byte != EOF; byte = getc(input)) {
        hash = (hash ^ (unsigned)byte) * UINT64_C(0x100000001b3);
        fprintf(output, column++ % 24 == 23 ? "%d,\n" : "%d,", byte);
    }
    return hash;
}

static int fail(const char *what)
{
    perror(what);
    return EXIT_FAILURE;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 4) {
        fprintf(stderr, "usage: embed FOLDER OUTPUT.c DEPFILE\n");
        return EXIT_FAILURE;
    }
    const char *folder = arguments[1];
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_wanted, alphasort);
    FILE *output = count < 0 ? NULL : fopen(arguments[2], "w");
    FILE *depfile = output ? fopen(arguments[3], "w") : NULL;
    uint64_t hashes[FILES_MAX];
    if (count < 0 || count > FILES_MAX || !output || !depfile)
        return fail(folder);

    fprintf(output, "#include \"front/asset.h\"\n\n");
    fprintf(depfile, "%s: %s", arguments[2], folder);
    for (int i = 0; i < count; i++) {
        char path[4096];
        int length = snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        FILE *input = length > 0 && (size_t)length < sizeof(path) ? fopen(path, "rb") : NULL;
        if (!input)
            return fail(path);
        fprintf(depfile, " %s", path);
        fprintf(output, "static const unsigned char file_%d[] = {\n", i);
        hashes[i] = write_bytes(input, output);
        fprintf(output, "0 };\n\n"); /* never empty, which C does not allow */
        fclose(input);
    }
    fprintf(depfile, "\n");

    fprintf(output, "const struct asset asset_table[] = {\n");
    for (int i = 0; i < count; i++)
        fprintf(output, "    { \"%s\", \"%s\", \"\\\"%016llx\\\"\", file_%d, sizeof(file_%d) - 1 },\n",
                entries[i]->d_name, content_type(entries[i]->d_name), (unsigned long long)hashes[i], i, i);
    fprintf(output, "    { NULL, NULL, NULL, NULL, 0 },\n};\n\n");
    fprintf(output, "const size_t asset_count = %d;\n", count);

    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    int failed = ferror(output) | ferror(depfile) | fclose(output) | fclose(depfile);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
