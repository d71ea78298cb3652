/* The settings file: one flat YAML mapping, read by libyaml's document API, which keeps line numbers and
 * repeated keys. */
#include "gateway/settings_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define FILE_BYTES_MAX (256 * 1024)

struct settings_file {
    const char *name;
    struct settings *settings;
    struct settings_problems *problems;
    yaml_document_t document;
    size_t *seen_lines; /* for each setting the line it stood on, 0: not yet */
};

static void place(const struct settings_file *file, size_t line, char ret_place[static 512])
{
    snprintf(ret_place, 512, "%s:%zu", file->name, line);
}

/* The whole file, or NULL with a problem. */
static char *read_whole(const char *name, size_t *ret_length, struct settings_problems *problems)
{
    FILE *stream = fopen(name, "re");
    if (!stream) {
        settings_problem(problems, name, "cannot be opened: %s", strerror(errno));
        return NULL;
    }
    char *bytes = malloc(FILE_BYTES_MAX + 1);
    if (!bytes) {
        settings_problem(problems, name, "out of memory");
    } else {
        *ret_length = fread(bytes, 1, FILE_BYTES_MAX + 1, stream);
        if (ferror(stream))
            settings_problem(problems, name, "cannot be read: %s", strerror(errno));
        else if (*ret_length > FILE_BYTES_MAX)
            settings_problem(problems, name, "is larger than %d KiB, so it can hardly be settings",
                             FILE_BYTES_MAX / 1024);
        else
            goto done;
        free(bytes);
        bytes = NULL;
    }
done:
    fclose(stream);
    return bytes;
}

/* A scalar's text; `key:` with nothing behind it, ~ and null are empty. */
static void scalar_text(const yaml_node_t *node, const char **ret_text, size_t *ret_length)
{
    *ret_text = (const char *)node->data.scalar.value;
    *ret_length = node->data.scalar.length;
    bool plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && (strcmp(*ret_text, "~") == 0 || strcmp(*ret_text, "null") == 0))
        *ret_length = 0;
}

/* A sequence of scalars joined by commas; false if it holds anything else. */
static bool join_sequence(yaml_document_t *document, const yaml_node_t *node, struct buffer *out)
{
    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top;
         item++) {
        const yaml_node_t *element = yaml_document_get_node(document, *item);
        if (!element || element->type != YAML_SCALAR_NODE)
            return false;
        const char *text;
        size_t length;
        scalar_text(element, &text, &length);
        if (out->size)
            buffer_append_byte(out, ',');
        buffer_append(out, text, length);
    }
    return !out->failed;
}

static void read_value(struct settings_file *file, const struct setting *setting, const yaml_node_t *value,
                       const char *origin)
{
    const char *text;
    size_t length;
    struct buffer joined = { 0 };
    if (value->type == YAML_SCALAR_NODE) {
        scalar_text(value, &text, &length);
        setting_assign_from(file->settings, setting, text, length, origin, file->problems);
    } else if (value->type == YAML_SEQUENCE_NODE && setting->kind == SETTING_LIST &&
               join_sequence(&file->document, value, &joined)) {
        setting_assign_from(file->settings, setting, joined.data ? joined.data : "", joined.size, origin,
                            file->problems);
    } else {
        settings_problem(file->problems, origin, "%s needs one plain value, such as %s: %s", setting->name,
                         setting->name, *setting->fallback ? setting->fallback : "text");
    }
    buffer_free(&joined);
}

static void read_pair(struct settings_file *file, const yaml_node_t *key, const yaml_node_t *value)
{
    size_t line = key->start_mark.line + 1;
    char origin[512];
    place(file, line, origin);
    if (key->type != YAML_SCALAR_NODE) {
        settings_problem(file->problems, origin, "the name of a setting must be plain text");
        return;
    }
    const char *name = (const char *)key->data.scalar.value;
    size_t length = key->data.scalar.length;
    int shown = (int)(length < 100 ? length : 100);
    const struct setting *setting = settings_find(name, length);
    if (!setting) {
        const struct setting *near = settings_suggest(name, length);
        if (near)
            settings_problem(file->problems, origin, "there is no setting \"%.*s\"; did you mean %s?", shown,
                             name, near->name);
        else if (value->type == YAML_MAPPING_NODE)
            settings_problem(file->problems, origin,
                             "there is no setting \"%.*s\"; settings are not nested: write redis_url: …, not "
                             "redis: and below it "
                             "url: …",
                             shown, name);
        else
            settings_problem(file->problems, origin,
                             "there is no setting \"%.*s\"; sluice --help lists them all", shown, name);
        return;
    }
    size_t *seen = &file->seen_lines[setting - settings_table];
    if (*seen) {
        settings_problem(file->problems, origin, "%s stands here and on line %zu; keep one", setting->name,
                         *seen);
        return;
    }
    *seen = line;
    read_value(file, setting, value, origin);
}

static void read_document(struct settings_file *file)
{
    yaml_node_t *root = yaml_document_get_root_node(&file->document);
    if (!root)
        return; /* nothing but comments: all defaults */
    if (root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0)
        return;
    if (root->type != YAML_MAPPING_NODE) {
        char origin[512];
        place(file, root->start_mark.line + 1, origin);
        settings_problem(file->problems, origin, "must hold lines such as listen: 127.0.0.1:8000");
        return;
    }
    yaml_node_pair_t *pair = root->data.mapping.pairs.start;
    for (; pair < root->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&file->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(&file->document, pair->value);
        if (key && value)
            read_pair(file, key, value);
    }
}

static void parser_problem(struct settings_file *file, const yaml_parser_t *parser)
{
    char origin[512];
    if (parser->error == YAML_MEMORY_ERROR) {
        settings_problem(file->problems, file->name, "out of memory");
    } else if (parser->error == YAML_READER_ERROR) {
        settings_problem(file->problems, file->name, "is not text in UTF-8: %s at byte %zu", parser->problem,
                         parser->problem_offset);
    } else {
        place(file, parser->problem_mark.line + 1, origin);
        settings_problem(file->problems, origin, "is not YAML: %s",
                         parser->problem ? parser->problem : "cannot be read");
    }
}

/* Loads the first document into file->document and makes sure that it is the only one. */
static void parse(struct settings_file *file, yaml_parser_t *parser)
{
    if (!yaml_parser_load(parser, &file->document)) {
        parser_problem(file, parser);
        return;
    }
    read_document(file);
    bool had_content = yaml_document_get_root_node(&file->document) != NULL;
    yaml_document_delete(&file->document);
    if (!had_content)
        return;
    if (!yaml_parser_load(parser, &file->document)) {
        parser_problem(file, parser);
        return;
    }
    const yaml_node_t *second = yaml_document_get_root_node(&file->document);
    if (second) {
        char origin[512];
        place(file, second->start_mark.line + 1, origin);
        settings_problem(file->problems, origin, "a second YAML document begins (---); keep one");
    }
    yaml_document_delete(&file->document);
}

void settings_read_file(struct settings *settings, const char *name, struct settings_problems *problems)
{
    size_t length = 0;
    char *bytes = read_whole(name, &length, problems);
    if (!bytes)
        return;
    struct settings_file file = { .name = name, .settings = settings, .problems = problems };
    file.seen_lines = calloc(settings_count, sizeof(*file.seen_lines));
    yaml_parser_t parser;
    if (!file.seen_lines || !yaml_parser_initialize(&parser)) {
        settings_problem(problems, name, "out of memory");
    } else {
        yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, length);
        parse(&file, &parser);
        yaml_parser_delete(&parser);
    }
    free(file.seen_lines);
    free(bytes);
}
