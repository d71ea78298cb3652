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

/* A mapping of scalars as lines of `name: value`; false if it holds anything else. */
static bool join_mapping(yaml_document_t *document, const yaml_node_t *node, struct buffer *out)
{
    yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *nodes[] = { yaml_document_get_node(document, pair->key),
                                       yaml_document_get_node(document, pair->value) };
        for (size_t i = 0; i < 2; i++) {
            const char *text;
            size_t length;
            if (!nodes[i] || nodes[i]->type != YAML_SCALAR_NODE)
                return false;
            scalar_text(nodes[i], &text, &length);
            if (memchr(text, '\n', length))
                return false; /* it would be taken for the end of the pair */
            buffer_append(out, text, length);
            buffer_append_text(out, i ? "\n" : ": ");
        }
    }
    return !out->failed;
}

static bool read_records(struct settings_file *file, const struct setting *setting,
                         const yaml_node_t *sequence, struct setting_records *records);

/* Reads what stands behind the key into the field of `holder`; a problem otherwise. */
static bool read_value(struct settings_file *file, void *holder, const struct setting *setting,
                       const yaml_node_t *value, const char *origin)
{
    const char *text;
    size_t length;
    struct buffer joined = { 0 };
    bool read = false;
    if (value->type == YAML_SCALAR_NODE &&
        (setting->kind != SETTING_PAIRS || value->data.scalar.length == 0)) {
        scalar_text(value, &text, &length);
        read = setting_assign_or_tell(holder, setting, text, length, origin, file->problems);
    } else if ((value->type == YAML_SEQUENCE_NODE && setting->kind == SETTING_LIST &&
                join_sequence(&file->document, value, &joined)) ||
               (value->type == YAML_MAPPING_NODE && setting->kind == SETTING_PAIRS &&
                join_mapping(&file->document, value, &joined))) {
        read = setting_assign_or_tell(holder, setting, joined.data ? joined.data : "", joined.size, origin,
                                      file->problems);
    } else if (value->type == YAML_SEQUENCE_NODE && setting->kind == SETTING_RECORDS) {
        read = read_records(file, setting, value, setting_field(holder, setting));
    } else if (setting->kind == SETTING_PAIRS) {
        settings_problem(file->problems, origin,
                         "%s needs a mapping of names to texts, such as %s: {Name: text}", setting->name,
                         setting->name);
    } else if (setting->kind == SETTING_RECORDS) {
        settings_problem(file->problems, origin, "%s needs a list: lines below it that begin with a dash",
                         setting->name);
    } else {
        settings_problem(file->problems, origin, "%s needs one plain value, such as %s: %s", setting->name,
                         setting->name, *setting->fallback ? setting->fallback : "text");
    }
    buffer_free(&joined);
    return read;
}

/* ---- lists of records ---- */

static const struct setting *find_field(const struct setting_record *type, const char *name, size_t length)
{
    for (size_t i = 0; i < type->field_count; i++)
        if (strlen(type->fields[i].name) == length && memcmp(type->fields[i].name, name, length) == 0)
            return &type->fields[i];
    return NULL;
}

static void unknown_field(struct settings_file *file, const struct setting *setting, const char *name,
                          size_t length, const char *origin)
{
    struct buffer keys = { 0 };
    for (size_t i = 0; i < setting->record->field_count; i++)
        buffer_printf(&keys, "%s%s", i ? ", " : "", setting->record->fields[i].name);
    settings_problem(file->problems, origin, "%s: there is no key \"%.*s\" here, only %.*s", setting->name,
                     (int)(length < 100 ? length : 100), name, (int)keys.size, keys.data ? keys.data : "");
    buffer_free(&keys);
}

/* A record from its mapping: each key once, each with a value that will do. */
static void read_fields(struct settings_file *file, const struct setting *setting, const yaml_node_t *mapping,
                        void *record)
{
    uint64_t seen = 0; /* a bit for each field */
    yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
    for (; pair < mapping->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&file->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(&file->document, pair->value);
        char origin[512];
        if (!key || !value)
            continue;
        place(file, key->start_mark.line + 1, origin);
        if (key->type != YAML_SCALAR_NODE) {
            settings_problem(file->problems, origin, "%s: a key must be plain text", setting->name);
            continue;
        }
        const char *name = (const char *)key->data.scalar.value;
        size_t length = key->data.scalar.length;
        const struct setting *field = find_field(setting->record, name, length);
        uint64_t bit = field ? UINT64_C(1) << (field - setting->record->fields) : 0;
        if (!field)
            unknown_field(file, setting, name, length, origin);
        else if (seen & bit)
            settings_problem(file->problems, origin, "%s: %s stands here twice; keep one", setting->name,
                             field->name);
        else
            read_value(file, record, field, value, origin);
        seen |= bit;
    }
}

static void read_record(struct settings_file *file, const struct setting *setting, const yaml_node_t *node,
                        struct setting_records *records)
{
    char origin[512];
    struct buffer why = { 0 };
    unsigned problems_before = file->problems->count;
    place(file, node->start_mark.line + 1, origin);
    bool is_name = node->type == YAML_SCALAR_NODE && setting->record->first_alone;
    if (!is_name && node->type != YAML_MAPPING_NODE) {
        settings_problem(file->problems, origin, "%s: write %sa mapping such as {%s: …}", setting->name,
                         setting->record->first_alone ? "a name or " : "", setting->record->fields[0].name);
        return;
    }
    void *record = setting_records_add(setting, records, &why);
    if (record && is_name)
        read_value(file, record, setting->record->fields, node, origin);
    else if (record)
        read_fields(file, setting, node, record);
    if (file->problems->count == problems_before &&
        (!record || !setting_records_check_last(setting, records, &why)))
        settings_problem(file->problems, origin, "%s: %.*s", setting->name, (int)why.size,
                         why.data ? why.data : "out of memory");
    buffer_free(&why);
}

/* All of the list or nothing. */
static bool read_records(struct settings_file *file, const struct setting *setting,
                         const yaml_node_t *sequence, struct setting_records *records)
{
    struct setting_records fresh = { 0 };
    unsigned problems_before = file->problems->count;
    yaml_node_item_t *item = sequence->data.sequence.items.start;
    for (; item < sequence->data.sequence.items.top; item++) {
        const yaml_node_t *node = yaml_document_get_node(&file->document, *item);
        if (node)
            read_record(file, setting, node, &fresh);
    }
    setting_records_clear(setting, records);
    *records = fresh;
    return file->problems->count == problems_before;
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
    if (read_value(file, file->settings, setting, value, origin))
        setting_set_origin(file->settings, setting, origin);
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
