#include "gateway/settings.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/settings_table.h"

static struct settings *create_with_defaults(struct settings_problems *problems)
{
    struct settings *settings = calloc(1, sizeof(*settings));
    struct buffer why = { 0 };
    if (settings)
        settings->origins = calloc(settings_count, sizeof(*settings->origins));
    if (!settings || !settings->origins)
        goto failed;
    for (const struct setting *setting = settings_table; setting < settings_table + settings_count; setting++)
        if (!setting_assign(settings, setting, setting->fallback, strlen(setting->fallback), &why))
            goto failed;
    return settings;

failed:
    settings_problem(problems, "settings", "%s",
                     why.data ? "memory is short, or a default is not valid" : "memory is short");
    buffer_free(&why);
    settings_destroy(settings);
    return NULL;
}

struct settings *settings_load(const char *file, char *const *environment, int argument_count,
                               char *const *arguments, struct settings_problems *problems)
{
    struct settings *settings = create_with_defaults(problems);
    if (!settings)
        return NULL;
    if (file)
        settings_read_file(settings, file, problems);
    settings_read_environment(settings, environment, problems);
    settings_read_flags(settings, argument_count, arguments, problems);
    settings_check_together(settings, problems);
    if (problems->count == 0)
        return settings;
    settings_destroy(settings);
    return NULL;
}

static bool is_text(const struct setting *setting)
{
    return setting->kind == SETTING_TEXT || setting->kind == SETTING_LIST || setting->kind == SETTING_PAIRS;
}

void settings_destroy(struct settings *settings)
{
    if (!settings)
        return;
    for (size_t i = 0; i < settings_count; i++) {
        if (is_text(&settings_table[i]))
            free(*(char **)setting_field(settings, &settings_table[i]));
        else if (settings_table[i].kind == SETTING_RECORDS)
            setting_records_clear(&settings_table[i], setting_field(settings, &settings_table[i]));
        if (settings->origins)
            free(settings->origins[i]);
    }
    free(settings->origins);
    buffer_free(&settings->secret_files);
    free(settings);
}

bool settings_replace_redis_url(struct settings *settings, const char *url, const char *origin)
{
    struct settings_problems problems = { 0 };
    setting_assign_from(settings, settings_find("redis_url", strlen("redis_url")), url, strlen(url), origin,
                        &problems);
    buffer_free(&problems.text);
    return problems.count == 0;
}

void settings_append_summary(const struct settings *settings, struct buffer *out)
{
    for (const struct setting *setting = settings_table; setting < settings_table + settings_count;
         setting++) {
        struct buffer value = { 0 };
        setting_append_value(settings, setting, &value);
        buffer_printf(out, "%-24s %-36.*s # %s\n", setting->name, value.size ? (int)value.size : 2,
                      value.size ? value.data : "\"\"", setting_origin(settings, setting));
        buffer_free(&value);
    }
}

static void append_bounds(const struct setting *setting, struct buffer *out)
{
    if (setting->kind == SETTING_SWITCH)
        buffer_append_text(out, "on, off");
    for (size_t i = 0; setting->kind == SETTING_CHOICE && setting->choices[i]; i++)
        buffer_printf(out, "%s%s", i ? ", " : "", setting->choices[i]);
    if (setting->kind == SETTING_COUNT || setting->kind == SETTING_DURATION ||
        setting->kind == SETTING_SIZE) {
        setting_append_number(setting->kind, setting->minimum, out);
        buffer_append_text(out, " to ");
        setting_append_number(setting->kind, setting->maximum, out);
    }
    for (size_t i = 0; setting->kind == SETTING_RECORDS && i < setting->record->field_count; i++)
        buffer_printf(out, "%s%s", i ? ", " : "each with ", setting->record->fields[i].name);
}

/* `retry_min` → `  --retry-min` */
static void append_flag(const struct setting *setting, struct buffer *out)
{
    buffer_append_text(out, "  --");
    for (const char *letter = setting->name; *letter; letter++) {
        if (*letter == '_')
            buffer_append_byte(out, '-');
        else
            buffer_append_byte(out, *letter);
    }
}

void settings_append_help(struct buffer *out)
{
    for (const struct setting *setting = settings_table; setting < settings_table + settings_count;
         setting++) {
        struct buffer bounds = { 0 };
        append_bounds(setting, &bounds);
        append_flag(setting, out);
        buffer_printf(out, " %s", *setting->fallback ? setting->fallback : "\"\"");
        if (bounds.size)
            buffer_printf(out, "  (%.*s)", (int)bounds.size, bounds.data);
        buffer_printf(out, "\n        %s\n", setting->help);
        buffer_free(&bounds);
    }
}

/* ---- reload ---- */

static size_t field_size(const struct setting *setting)
{
    switch (setting->kind) {
    case SETTING_TEXT:
    case SETTING_LIST:
    case SETTING_PAIRS:
        return sizeof(char *);
    case SETTING_RECORDS:
        return sizeof(struct setting_records);
    case SETTING_SWITCH:
        return sizeof(bool);
    case SETTING_CHOICE:
        return sizeof(unsigned);
    case SETTING_COUNT:
    case SETTING_DURATION:
    case SETTING_SIZE:
        break;
    }
    return sizeof(uint64_t);
}

static void swap(void *a, void *b, size_t size)
{
    char kept[sizeof(struct setting_records)]; /* the largest field */
    memcpy(kept, a, size);
    memcpy(a, b, size);
    memcpy(b, kept, size);
}

static void append_name(struct buffer *out, const char *name)
{
    buffer_printf(out, "%s%s", out->size ? ", " : "", name);
}

void settings_reload(struct settings *settings, struct settings *fresh, struct buffer *ret_changed,
                     struct buffer *ret_needs_restart)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        if (setting_equal(settings, fresh, setting))
            continue;
        if (!setting->reloadable) {
            append_name(ret_needs_restart, setting->name);
            continue;
        }
        append_name(ret_changed, setting->name);
        swap(setting_field(settings, setting), setting_field(fresh, setting), field_size(setting));
        swap(&settings->origins[i], &fresh->origins[i], sizeof(char *));
    }
}
