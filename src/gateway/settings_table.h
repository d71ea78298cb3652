/*
 * The table behind settings.h, and what its rows can do: take a value as people write it, and write it back.
 * For the settings_*.c files and their tests only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/settings.h"

enum setting_kind {
    SETTING_TEXT,     /* char * */
    SETTING_LIST,     /* char *, comma-separated; a sequence in YAML */
    SETTING_SWITCH,   /* bool */
    SETTING_COUNT,    /* uint64_t */
    SETTING_DURATION, /* uint64_t milliseconds */
    SETTING_SIZE,     /* uint64_t bytes */
    SETTING_CHOICE,   /* an enum, in the order of `choices` */
};

/* Appends why `text` will not do, and returns false then. */
typedef bool setting_check(const char *text, struct buffer *why);

struct setting {
    const char *name;
    enum setting_kind kind;
    size_t offset; /* of its field in struct settings */
    const char *fallback;
    uint64_t minimum, maximum;
    const char *const *choices; /* CHOICE: ends with NULL */
    setting_check *check;       /* TEXT: may be NULL */
    bool secret;                /* shown without what stands before an @ */
    bool reloadable;            /* SIGHUP is enough */
    const char *help;
};

extern const struct setting settings_table[];
extern const size_t settings_count;

/* NULL if there is none of that name. */
const struct setting *settings_find(const char *name, size_t length);

/* The setting somebody may have meant, or NULL when nothing is near. */
const struct setting *settings_suggest(const char *name, size_t length);

/* Where its value is. */
void *setting_field(const struct settings *settings, const struct setting *setting);

/* Parses `text` into the setting's field. On failure the field stays, and `why` gets a sentence. */
bool setting_assign(struct settings *settings, const struct setting *setting, const char *text, size_t length,
                    struct buffer *why);

/* The same, keeping `origin` (copied) for the summary; a failure becomes a problem. */
void setting_assign_from(struct settings *settings, const struct setting *setting, const char *text,
                         size_t length, const char *origin, struct settings_problems *problems);

/* The value as one would write it; what is secret in it as ***. */
void setting_append_value(const struct settings *settings, const struct setting *setting, struct buffer *out);

/* A number as the setting's kind is written: 15s, 64KiB, 200. */
void setting_append_number(enum setting_kind kind, uint64_t number, struct buffer *out);

/* Where the value came from: `config/sluice.yml:12`, `SLUICE_LISTEN`, `--listen`, `default`. */
const char *setting_origin(const struct settings *settings, const struct setting *setting);

void settings_problem(struct settings_problems *problems, const char *origin, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Checks of single values, for the table (settings_check.c). */
bool settings_check_listen(const char *text, struct buffer *why);
bool settings_check_redis_url(const char *text, struct buffer *why);
bool settings_check_origin_url(const char *text, struct buffer *why);
bool settings_check_readable(const char *text, struct buffer *why);
bool settings_check_access(const char *text, struct buffer *why);

/* Checks between settings. */
void settings_check_together(const struct settings *settings, struct settings_problems *problems);

/* The sources, each adding to `settings` what it says. */
void settings_read_file(struct settings *settings, const char *file, struct settings_problems *problems);
void settings_read_environment(struct settings *settings, char *const *environment,
                               struct settings_problems *problems);
void settings_read_flags(struct settings *settings, int argument_count, char *const *arguments,
                         struct settings_problems *problems);
