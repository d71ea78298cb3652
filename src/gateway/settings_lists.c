/* Lists of records: the fields of a record are settings of their own, with their place in the record. */
#include "gateway/settings_lists.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/settings_table.h"

static bool is_text(const struct setting *field)
{
    return field->kind == SETTING_TEXT || field->kind == SETTING_LIST || field->kind == SETTING_PAIRS;
}

static void *record_at(const struct setting *setting, const struct setting_records *records, size_t index)
{
    return (char *)records->items + index * setting->record->size;
}

static const struct setting *fields_end(const struct setting *setting)
{
    return setting->record->fields + setting->record->field_count;
}

static void clear_record(const struct setting *setting, void *record)
{
    for (const struct setting *field = setting->record->fields; field < fields_end(setting); field++)
        if (is_text(field))
            free(*(char **)setting_field(record, field));
}

void setting_records_clear(const struct setting *setting, struct setting_records *records)
{
    for (size_t i = 0; i < records->count; i++)
        clear_record(setting, record_at(setting, records, i));
    free(records->items);
    *records = (struct setting_records){ 0 };
}

void *setting_records_add(const struct setting *setting, struct setting_records *records, struct buffer *why)
{
    size_t size = setting->record->size;
    if (records->count >= setting->maximum) {
        buffer_printf(why, "there may be %zu of them at most", (size_t)setting->maximum);
        return NULL;
    }
    void *items = reallocarray(records->items, records->count + 1, size);
    if (!items) {
        buffer_append_text(why, "out of memory");
        return NULL;
    }
    records->items = items;
    void *record = record_at(setting, records, records->count);
    memset(record, 0, size);
    for (const struct setting *field = setting->record->fields; field < fields_end(setting); field++) {
        if (!setting_assign(record, field, field->fallback, strlen(field->fallback), why)) {
            clear_record(setting, record);
            return NULL;
        }
    }
    records->count++;
    return record;
}

static bool has_first(const struct setting *setting, const struct setting_records *records, size_t end,
                      const char *text)
{
    for (size_t i = 0; i < end; i++)
        if (strcmp(*(char **)setting_field(record_at(setting, records, i), setting->record->fields), text) ==
            0)
            return true;
    return false;
}

bool setting_records_check_last(const struct setting *setting, const struct setting_records *records,
                                struct buffer *why)
{
    const struct setting_record *type = setting->record;
    const void *last = record_at(setting, records, records->count - 1);
    for (const struct setting *field = type->fields; field < fields_end(setting); field++) {
        if (field->required && !**(char **)setting_field(last, field)) {
            buffer_printf(why, "it needs a %s", field->name);
            return false;
        }
    }
    const char *first = *(char **)setting_field(last, type->fields);
    if (type->first_unique && has_first(setting, records, records->count - 1, first)) {
        buffer_printf(why, "the %s %.100s stands there twice; keep one", type->fields->name, first);
        return false;
    }
    return !type->check || type->check(last, why);
}

/* `a, b,c`: spaces around the commas are not part of the names. */
static const char *next_name(const char **cursor, const char *end, size_t *ret_length)
{
    const char *start = *cursor;
    const char *comma = memchr(start, ',', (size_t)(end - start));
    const char *name_end = comma ? comma : end;
    *cursor = comma ? comma + 1 : end;
    while (start < name_end && *start == ' ')
        start++;
    while (name_end > start && name_end[-1] == ' ')
        name_end--;
    *ret_length = (size_t)(name_end - start);
    return start;
}

bool setting_records_assign(const struct setting *setting, struct setting_records *records, const char *text,
                            size_t length, struct buffer *why)
{
    struct setting_records fresh = { 0 };
    if (length && !setting->record->first_alone) {
        buffer_append_text(why, "only the file can hold its parts, as a list of mappings");
        return false;
    }
    for (const char *cursor = text, *end = text + length; cursor < end;) {
        size_t name_length;
        const char *name = next_name(&cursor, end, &name_length);
        void *record = setting_records_add(setting, &fresh, why);
        if (!record || !setting_assign(record, setting->record->fields, name, name_length, why) ||
            !setting_records_check_last(setting, &fresh, why)) {
            setting_records_clear(setting, &fresh);
            return false;
        }
    }
    setting_records_clear(setting, records);
    *records = fresh;
    return true;
}

bool setting_records_equal(const struct setting *setting, const struct setting_records *a,
                           const struct setting_records *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        for (const struct setting *field = setting->record->fields; field < fields_end(setting); field++)
            if (!setting_equal(record_at(setting, a, i), record_at(setting, b, i), field))
                return false;
    return true;
}

/* Written as the file has it: the name alone where nothing else is said. */
static void append_record(const struct setting *setting, const void *record, struct buffer *out)
{
    size_t start = out->size;
    size_t said = 0;
    buffer_append_byte(out, '{');
    for (const struct setting *field = setting->record->fields; field < fields_end(setting); field++) {
        struct buffer value = { 0 };
        setting_append_value(record, field, &value);
        if (value.size != strlen(field->fallback) ||
            (value.size && memcmp(value.data, field->fallback, value.size) != 0)) {
            bool is_list = field->kind == SETTING_LIST;
            buffer_printf(out, "%s%s: %s%.*s%s", said ? ", " : "", field->name, is_list ? "[" : "",
                          (int)value.size, value.size ? value.data : "", is_list ? "]" : "");
            said++;
        }
        buffer_free(&value);
    }
    buffer_append_byte(out, '}');
    if (said > 1 || !setting->record->first_alone || out->failed)
        return;
    out->size = start;
    setting_append_value(record, setting->record->fields, out);
}

void setting_records_append(const struct setting *setting, const struct setting_records *records,
                            struct buffer *out)
{
    for (size_t i = 0; i < records->count; i++) {
        if (i)
            buffer_append_text(out, ", ");
        append_record(setting, record_at(setting, records, i), out);
    }
}
