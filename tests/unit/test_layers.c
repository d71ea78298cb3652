/*
 * The rules of docs/CONVENTIONS.md that a machine can check, over every file under src: includes point
 * strictly downwards, library headers stay behind their fences, files stay readable in length, and nothing
 * static can change.
 */
#include <criterion/criterion.h>
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_LINES_MAX 500

/* Lowest first. Folders of the same rank are peers: they do not include each other. */
struct layer {
    const char *folder;
    int rank;
};
static const struct layer layers[] = {
    { "base", 0 },     { "metrics", 1 },   { "wire", 2 },  { "access", 3 },  { "redis", 3 },   { "hub", 3 },
    { "outgoing", 3 }, { "consumers", 4 }, { "front", 5 }, { "gateway", 6 }, { "command", 7 },
};
#define MAIN_RANK 8 /* files directly in src */

/* Headers that begin like this are included only under these folders. */
struct fence {
    const char *header;
    const char *folders[3];
};
static const struct fence fences[] = {
    { "microhttpd", { "front" } }, { "hiredis", { "redis" } }, { "curl/", { "outgoing", "command" } },
    { "yaml", { "gateway" } },     { "zlib", { "wire" } },
};

#define LENGTH_OF(array) (sizeof(array) / sizeof(array)[0])

/* The rank of the folder that a path from src begins with, or -1 if it is none of ours. */
static int rank_of(const char *path)
{
    size_t length = strcspn(path, "/");
    if (path[length] != '/')
        return MAIN_RANK;
    for (size_t i = 0; i < LENGTH_OF(layers); i++)
        if (strlen(layers[i].folder) == length && strncmp(layers[i].folder, path, length) == 0)
            return layers[i].rank;
    return -1;
}

static bool same_folder(const char *path, const char *other)
{
    size_t length = strcspn(path, "/");
    return strcspn(other, "/") == length && strncmp(path, other, length) == 0;
}

static bool inside_fence(const char *path, const struct fence *fence)
{
    for (size_t i = 0; i < LENGTH_OF(fence->folders) && fence->folders[i]; i++)
        if (strncmp(path, fence->folders[i], strlen(fence->folders[i])) == 0 &&
            path[strlen(fence->folders[i])] == '/')
            return true;
    return false;
}

/* What is wrong with `path` including "target", or NULL. */
static const char *own_include_problem(const char *path, const char *target)
{
    if (!strchr(target, '/') || target[0] == '.')
        return "is not a path from src";
    if (rank_of(target) < 0)
        return "is in no known layer";
    if (rank_of(target) == rank_of(path) && !same_folder(path, target))
        return "is a peer's";
    if (rank_of(target) > rank_of(path))
        return "points upwards";
    return NULL;
}

static const char *library_include_problem(const char *path, const char *target)
{
    for (size_t i = 0; i < LENGTH_OF(fences); i++)
        if (strncmp(target, fences[i].header, strlen(fences[i].header)) == 0 &&
            !inside_fence(path, &fences[i]))
            return "is behind a fence";
    return NULL;
}

static const char *include_problem(const char *path, const char *line, char *ret_target, size_t target_size)
{
    char open;
    char target[256];
    if (sscanf(line, " # include %c%255[^\">\n]", &open, target) != 2)
        return NULL;
    snprintf(ret_target, target_size, "%s", target);
    return open == '"' ? own_include_problem(path, target) : library_include_problem(path, target);
}

/* Whether a line defines a static variable that may change. Functions have a parenthesis before anything
 * else. */
static bool is_mutable_static(const char *line)
{
    line += strspn(line, " \t");
    if (strncmp(line, "static ", 7) != 0)
        return false;
    size_t length = strcspn(line, "=[;(\n");
    if (line[length] == '(' || line[length] == '\n' || line[length] == '\0')
        return false;
    char declaration[256];
    snprintf(declaration, sizeof declaration, "%.*s", (int)length, line);
    const char *star = strrchr(declaration, '*');
    return !strstr(star ? star : declaration, "const");
}

/* Reports what is wrong with a file; `path` counts from src. Returns how many things are. */
static int check_file(const char *path, const char *text, FILE *report)
{
    int problems = 0;
    int number = 0;
    if (rank_of(path) < 0) {
        fprintf(report, "%s: is in no known layer\n", path);
        problems++;
    }
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        char target[256];
        const char *problem = include_problem(path, line, target, sizeof target);
        number++;
        if (problem) {
            fprintf(report, "%s:%d: %s %s\n", path, number, target, problem);
            problems++;
        }
        if (is_mutable_static(line)) {
            fprintf(report, "%s:%d: a static variable that may change\n", path, number);
            problems++;
        }
    }
    if (number > FILE_LINES_MAX) {
        fprintf(report, "%s: %d lines, split it by meaning\n", path, number);
        problems++;
    }
    return problems;
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    char *text = NULL;
    size_t size = 0;
    ssize_t length = getdelim(&text, &size, '\0', file);
    fclose(file);
    if (length >= 0)
        return text;
    free(text);
    return strdup(""); /* the file is empty */
}

Test(layers, sources_follow_the_conventions)
{
    char root[] = SOURCE_ROOT;
    char *roots[] = { root, NULL };
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    cr_assert_not_null(walk);
    int files = 0;
    int problems = 0;
    const FTSENT *entry;
    while ((entry = fts_read(walk)) != NULL) {
        const char *suffix = strrchr(entry->fts_name, '.');
        if (entry->fts_info != FTS_F || !suffix || (strcmp(suffix, ".c") != 0 && strcmp(suffix, ".h") != 0))
            continue;
        char *text = read_text(entry->fts_path);
        problems += check_file(entry->fts_path + strlen(root) + 1, text, stderr);
        files++;
        free(text);
    }
    fts_close(walk);
    cr_assert_geq(files, 20, "found %d files under %s", files, root);
    cr_assert_eq(problems, 0, "%d problems, see above", problems);
}

/* The check itself, on made-up files. */

static int problems_in(const char *path, const char *text)
{
    FILE *nowhere = fopen("/dev/null", "we");
    int problems = check_file(path, text, nowhere);
    fclose(nowhere);
    return problems;
}

static void expect_include(const char *path, const char *directive, bool good)
{
    cr_assert_eq(problems_in(path, directive), !good, "%s with %s", path, directive);
}

Test(layers, downward_includes_pass)
{
    expect_include("wire/sse.c", "#include \"wire/sse.h\"\n", true);
    expect_include("wire/sse.c", "#include \"base/buffer.h\"\n", true);
    expect_include("hub/hub.c", "#include \"metrics/metrics.h\"", true);
    expect_include("front/front.c", "#include \"redis/commands.h\"\n", true);
    expect_include("command/tail.c", "#include \"gateway/gateway.h\"\n", true);
    expect_include("main.c", "#include \"command/command.h\"\n", true);
    expect_include("base/log.c", "#include <stdio.h>\n", true);
}

Test(layers, upward_and_sideward_includes_fail)
{
    expect_include("base/log.c", "#include \"metrics/metrics.h\"\n", false);
    expect_include("base/log.c", "int x;\n#  include \"wire/sse.h\" // why not\n", false);
    expect_include("redis/feed.c", "#include \"hub/hub.h\"\n", false);
    expect_include("hub/hub.c", "#include \"access/grant.h\"\n", false);
    expect_include("outgoing/http_client.c", "#include \"redis/commands.h\"\n", false);
    expect_include("front/front.c", "#include \"gateway/settings.h\"\n", false);
    expect_include("gateway/gateway.c", "#include \"command/command.h\"\n", false);
    expect_include("wire/sse.c", "#include \"sse.h\"\n", false);
    expect_include("wire/sse.c", "#include \"../base/buffer.h\"\n", false);
    expect_include("wire/sse.c", "#include \"util/strings.h\"\n", false);
    expect_include("util/strings.c", "", false);
}

Test(layers, fences)
{
    expect_include("front/front.c", "#include <microhttpd.h>\n", true);
    expect_include("hub/hub.c", "#include <microhttpd.h>\n", false);
    expect_include("redis/redis_link.c", "#include <hiredis/read.h>\n", true);
    expect_include("front/front.c", "#include <hiredis/hiredis.h>\n", false);
    expect_include("outgoing/http_client.c", "#include <curl/curl.h>\n", true);
    expect_include("command/publish.c", "#include <curl/curl.h>\n", true);
    expect_include("gateway/gateway.c", "#include <curl/curl.h>\n", false);
    expect_include("gateway/settings_file.c", "#include <yaml.h>\n", true);
    expect_include("main.c", "#include <yaml.h>\n", false);
    expect_include("frontier/a.c", "", false);
}

Test(layers, mutable_statics)
{
    cr_assert(is_mutable_static("static int counter;\n"));
    cr_assert(is_mutable_static("static struct map *names = NULL;\n"));
    cr_assert(is_mutable_static("    static char scratch[32];\n"));
    cr_assert(is_mutable_static("static const char *name = \"x\";\n"));
    cr_assert_not(is_mutable_static("static const int limit = 3;\n"));
    cr_assert_not(is_mutable_static("static const char *const names[] = {\n"));
    cr_assert_not(is_mutable_static("static int helper(const char *text)\n"));
    cr_assert_not(is_mutable_static("static inline struct list *first(void);\n"));
    cr_assert_not(is_mutable_static("static void long_name_whose_arguments_follow\n"));
    cr_assert_not(is_mutable_static("int x = 3; /* static */\n"));
}

Test(layers, long_files_fail)
{
    char text[FILE_LINES_MAX + 2];
    memset(text, '\n', sizeof text);
    text[FILE_LINES_MAX] = '\0';
    cr_assert_eq(problems_in("base/log.c", text), 0);
    text[FILE_LINES_MAX] = '\n';
    text[FILE_LINES_MAX + 1] = '\0';
    cr_assert_eq(problems_in("base/log.c", text), 1);
}
