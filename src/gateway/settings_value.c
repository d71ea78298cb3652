/* One value: from the way people write it into its field, and back. */
#include "gateway/settings_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

void *setting_field(const void *holder, const struct setting *setting)
{
    return (char *)holder + setting->offset;
}

static void append_duration(struct buffer *out, uint64_t ms)
{
    if (ms == 0)
        buffer_append_text(out, "0s");
    else if (ms % 3600000 == 0)
        buffer_printf(out, "%" PRIu64 "h", ms / 3600000);
    else if (ms % 60000 == 0 && ms != 60000)
        buffer_printf(out, "%" PRIu64 "m", ms / 60000);
    else if (ms % 1000 == 0)
        buffer_printf(out, "%" PRIu64 "s", ms / 1000);
    else
        buffer_printf(out, "%" PRIu64 "ms", ms);
}

static void append_size(struct buffer *out, uint64_t bytes)
{
    static const char *const units[] = { "", "KiB", "MiB", "GiB" };
    size_t unit = 0;
    while (bytes > 0 && bytes % 1024 == 0 && unit < 3) {
        bytes /= 1024;
        unit++;
    }
    buffer_printf(out, "%" PRIu64 "%s", bytes, units[unit]);
}

void setting_append_number(enum setting_kind kind, uint64_t number, struct buffer *out)
{
    if (kind == SETTING_DURATION)
        append_duration(out, number);
    else if (kind == SETTING_SIZE)
        append_size(out, number);
    else
        buffer_printf(out, "%" PRIu64, number);
}

/* ---- assigning ---- */

static bool assign_number(void *field, const struct setting *setting, const char *text, size_t length,
                          struct buffer *why)
{
    uint64_t number;
    const char *wanted;
    bool parsed;
    if (setting->kind == SETTING_DURATION) {
        wanted = "write a duration such as 250ms, 15s, 10m or 1h";
        parsed = parse_duration_ms(text, length, &number);
    } else if (setting->kind == SETTING_SIZE) {
        wanted = "write a size such as 65536, 64KiB or 1MiB";
        parsed = parse_size_bytes(text, length, &number);
    } else {
        wanted = "write a whole number";
        parsed = parse_unsigned(text, length, &number);
    }
    if (!parsed) {
        buffer_append_text(why, wanted);
        return false;
    }
    if (number < setting->minimum || number > setting->maximum) {
        buffer_append_text(why, number < setting->minimum ? "the least is " : "the most is ");
        setting_append_number(setting->kind, number < setting->minimum ? setting->minimum : setting->maximum,
                              why);
        return false;
    }
    memcpy(field, &number, sizeof(number));
    return true;
}

static bool assign_choice(void *field, const struct setting *setting, const char *text, size_t length,
                          struct buffer *why)
{
    for (unsigned i = 0; setting->choices[i]; i++) {
        if (strlen(setting->choices[i]) == length && memcmp(setting->choices[i], text, length) == 0) {
            memcpy(field, &i, sizeof(i));
            return true;
        }
    }
    buffer_append_text(why, "write one of ");
    for (unsigned i = 0; setting->choices[i]; i++)
        buffer_printf(why, "%s%s", i ? ", " : "", setting->choices[i]);
    return false;
}

static bool assign_text(void *field, const struct setting *setting, const char *text, size_t length,
                        struct buffer *why)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n' && setting->kind == SETTING_PAIRS)
            continue; /* where the file's reader ends a pair */
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) {
            buffer_append_text(why, "it has a control character or a line break in it");
            return false;
        }
    }
    char *copy = strndup(text, length);
    if (!copy) {
        buffer_append_text(why, "out of memory");
        return false;
    }
    if (setting->check && !setting->check(copy, why)) {
        free(copy);
        return false;
    }
    char **target = field;
    free(*target);
    *target = copy;
    return true;
}

bool setting_assign(void *holder, const struct setting *setting, const char *text, size_t length,
                    struct buffer *why)
{
    void *field = setting_field(holder, setting);
    switch (setting->kind) {
    case SETTING_TEXT:
    case SETTING_LIST:
    case SETTING_PAIRS:
        return assign_text(field, setting, text, length, why);
    case SETTING_SWITCH:
        if (parse_switch(text, length, field))
            return true;
        buffer_append_text(why, "write on or off");
        return false;
    case SETTING_COUNT:
    case SETTING_DURATION:
    case SETTING_SIZE:
        return assign_number(field, setting, text, length, why);
    case SETTING_CHOICE:
        return assign_choice(field, setting, text, length, why);
    case SETTING_RECORDS:
        return setting_records_assign(setting, field, text, length, why);
    }
    return false;
}

bool setting_assign_or_tell(void *holder, const struct setting *setting, const char *text, size_t length,
                            const char *origin, struct settings_problems *problems)
{
    struct buffer why = { 0 };
    bool assigned = setting_assign(holder, setting, text, length, &why);
    if (!assigned) {
        /* Whoever gives all of a list at once gives what is secret in its parts, too. */
        bool is_whole = setting->kind == SETTING_RECORDS && !setting->record->first_alone;
        bool is_secret = setting->secret || setting->secret_path || is_whole;
        int shown = is_secret ? 0 : (int)(length < 200 ? length : 200);
        settings_problem(problems, origin, "%s cannot be %s%.*s%s: %.*s", setting->name,
                         is_secret ? "this" : "\"", shown, shown ? text : "", is_secret ? "" : "\"",
                         (int)why.size, why.data ? why.data : "");
    }
    buffer_free(&why);
    return assigned;
}

void setting_set_origin(struct settings *settings, const struct setting *setting, const char *origin)
{
    char **slot = &settings->origins[setting - settings_table];
    free(*slot);
    *slot = strdup(origin); /* without memory the summary says `default`, which harms nobody */
}

void setting_assign_from(struct settings *settings, const struct setting *setting, const char *text,
                         size_t length, const char *origin, struct settings_problems *problems)
{
    if (setting_assign_or_tell(settings, setting, text, length, origin, problems))
        setting_set_origin(settings, setting, origin);
}

/* ---- writing back ---- */

/* A query may be a key. That of a Redis socket is a number, and worth showing. */
static bool is_query_secret(const char *url)
{
    const char *query = strchr(url, '?');
    if (!query)
        return false;
    return strncmp(query, "?db=", 4) != 0 || query[4 + strspn(query + 4, "0123456789")] != '\0';
}

/* What stands between :// and @ becomes ***, and so does a query, and all that is no URL. */
static void append_masked(struct buffer *out, const char *text)
{
    const char *start = strstr(text, "://");
    if (!start) {
        buffer_append_text(out, *text ? "***" : "");
        return;
    }
    const char *from = start + 3;
    bool hides_query = is_query_secret(from);
    const char *end = from + (hides_query ? strcspn(from, "?") : strlen(from));
    const char *credentials_end = memrchr(from, '@', (size_t)(end - from));
    buffer_append(out, text, (size_t)(from - text));
    if (credentials_end) {
        buffer_append_text(out, "***");
        from = credentials_end;
    }
    buffer_append(out, from, (size_t)(end - from));
    if (hides_query)
        buffer_append_text(out, "?***");
}

/* Scheme and host alone: who knows the path of a webhook can use it. */
static void append_host(struct buffer *out, const char *text)
{
    const char *start = strstr(text, "://");
    if (!start) {
        buffer_append_text(out, *text ? "***" : "");
        return;
    }
    const char *host = start + 3, *path = host + strcspn(host, "/?#");
    const char *credentials_end = memrchr(host, '@', (size_t)(path - host));
    buffer_append(out, text, (size_t)(host - text));
    if (credentials_end)
        buffer_append_text(out, "***");
    host = credentials_end ? credentials_end : host;
    buffer_append(out, host, (size_t)(path - host));
    if (*path && strcmp(path, "/") != 0)
        buffer_append_text(out, "/***");
}

/* `{A: one, B: two}`, or `{A: ***, B: ***}`. */
static void append_pairs(struct buffer *out, const char *lines, bool secret)
{
    if (!*lines)
        return;
    buffer_append_byte(out, '{');
    for (const char *line = lines; *line;) {
        size_t length = strcspn(line, "\n");
        size_t shown = secret ? strcspn(line, ":") : length;
        buffer_printf(out, "%s%.*s%s", line == lines ? "" : ", ", (int)shown, line, secret ? ": ***" : "");
        line += length + (line[length] == '\n');
    }
    buffer_append_byte(out, '}');
}

void setting_append_value(const void *holder, const struct setting *setting, struct buffer *out)
{
    const void *field = setting_field(holder, setting);
    uint64_t number;
    unsigned choice;
    switch (setting->kind) {
    case SETTING_TEXT:
    case SETTING_LIST:
        if (setting->secret_path)
            append_host(out, *(char *const *)field);
        else if (setting->secret)
            append_masked(out, *(char *const *)field);
        else
            buffer_append_text(out, *(char *const *)field);
        break;
    case SETTING_SWITCH:
        buffer_append_text(out, *(const bool *)field ? "on" : "off");
        break;
    case SETTING_COUNT:
    case SETTING_DURATION:
    case SETTING_SIZE:
        memcpy(&number, field, sizeof(number));
        setting_append_number(setting->kind, number, out);
        break;
    case SETTING_CHOICE:
        memcpy(&choice, field, sizeof(choice));
        buffer_append_text(out, setting->choices[choice]);
        break;
    case SETTING_PAIRS:
        append_pairs(out, *(char *const *)field, setting->secret);
        break;
    case SETTING_RECORDS:
        setting_records_append(setting, field, out);
        break;
    }
}

bool setting_equal(const void *a, const void *b, const struct setting *setting)
{
    const void *field_a = setting_field(a, setting), *field_b = setting_field(b, setting);
    switch (setting->kind) {
    case SETTING_TEXT:
    case SETTING_LIST:
    case SETTING_PAIRS:
        return strcmp(*(char *const *)field_a, *(char *const *)field_b) == 0;
    case SETTING_SWITCH:
        return *(const bool *)field_a == *(const bool *)field_b;
    case SETTING_COUNT:
    case SETTING_DURATION:
    case SETTING_SIZE:
        return memcmp(field_a, field_b, sizeof(uint64_t)) == 0;
    case SETTING_CHOICE:
        return memcmp(field_a, field_b, sizeof(unsigned)) == 0;
    case SETTING_RECORDS:
        return setting_records_equal(setting, field_a, field_b);
    }
    return false;
}

const char *setting_origin(const struct settings *settings, const struct setting *setting)
{
    const char *origin = settings->origins[setting - settings_table];
    return origin ? origin : "default";
}
