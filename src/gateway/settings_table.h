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
    SETTING_PAIRS,    /* char *, lines of `name: value`; a mapping in YAML, and only there */
    SETTING_RECORDS,  /* struct setting_records, of `record` */
};

/* Appends why `text` will not do, and returns false then. Where a text may be left out, the empty one will
 * do. */
typedef bool setting_check(const char *text, struct buffer *why);

struct setting {
    const char *name;
    enum setting_kind kind;
    size_t offset; /* of its field in struct settings, or in the record it belongs to */
    const char *fallback;
    uint64_t minimum, maximum;           /* RECORDS: how many there may be */
    const char *const *choices;          /* CHOICE: ends with NULL */
    setting_check *check;                /* TEXT, LIST, PAIRS: may be NULL */
    const struct setting_record *record; /* RECORDS: what each of them holds */
    bool required;                       /* TEXT in a record: must be said */
    bool secret_path;                    /* of a URL only the scheme and the host are shown */
    bool secret;     /* of a URL the credentials are not shown, of other text nothing, of pairs the values */
    bool reloadable; /* SIGHUP is enough */
    const char *help;
};

/* What a record of a list holds: its fields are the keys of its mapping in YAML. The first is TEXT. */
struct setting_record {
    const struct setting *fields;
    size_t field_count;
    size_t size;       /* of the record's struct */
    bool first_alone;  /* the first field's text may stand for the mapping: a list of names */
    bool first_unique; /* no two records have the same */
    bool (*check)(const void *record, struct buffer *why); /* between fields; may be NULL */
};

extern const struct setting_record settings_stream_record;
extern const struct setting_record settings_sink_record;

extern const struct setting settings_table[];
extern const size_t settings_count;

/* NULL if there is none of that name. */
const struct setting *settings_find(const char *name, size_t length);

/* The setting somebody may have meant, or NULL when nothing is near. */
const struct setting *settings_suggest(const char *name, size_t length);

/* Where its value is in `holder`: the struct settings, or the record. */
void *setting_field(const void *holder, const struct setting *setting);

/* Parses `text` into the setting's field. On failure the field stays, and `why` gets a sentence. */
bool setting_assign(void *holder, const struct setting *setting, const char *text, size_t length,
                    struct buffer *why);

/* The same; a failure becomes a problem at `origin`. */
bool setting_assign_or_tell(void *holder, const struct setting *setting, const char *text, size_t length,
                            const char *origin, struct settings_problems *problems);

/* The same for a setting of the table, keeping `origin` (copied) for the summary. */
void setting_assign_from(struct settings *settings, const struct setting *setting, const char *text,
                         size_t length, const char *origin, struct settings_problems *problems);

/* The same for the text of a file, without its last line break. Files of secrets are remembered. */
void setting_assign_from_file(struct settings *settings, const struct setting *setting, const char *path,
                              const char *variable, struct settings_problems *problems);

/* The value as one would write it; what is secret in it as ***. */
void setting_append_value(const void *holder, const struct setting *setting, struct buffer *out);

/* Whether both hold the same value. */
bool setting_equal(const void *a, const void *b, const struct setting *setting);

/* A number as the setting's kind is written: 15s, 64KiB, 200. */
void setting_append_number(enum setting_kind kind, uint64_t number, struct buffer *out);

/* Keeps `origin` (copied) as where the value came from. */
void setting_set_origin(struct settings *settings, const struct setting *setting, const char *origin);

/* Where the value came from: `config/sluice.yml:12`, `SLUICE_LISTEN`, `--listen`, `default`. */
const char *setting_origin(const struct settings *settings, const struct setting *setting);

void settings_problem(struct settings_problems *problems, const char *origin, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- lists of records (settings_lists.c) ---- */

/* Adds a record with its defaults; NULL, and why, when there are too many or memory is short. */
void *setting_records_add(const struct setting *setting, struct setting_records *records, struct buffer *why);

/* What is required and what must be unique, for the record that was added last. */
bool setting_records_check_last(const struct setting *setting, const struct setting_records *records,
                                struct buffer *why);

/* Replaces the records by those that comma-separated names stand for. */
bool setting_records_assign(const struct setting *setting, struct setting_records *records, const char *text,
                            size_t length, struct buffer *why);
bool setting_records_equal(const struct setting *setting, const struct setting_records *a,
                           const struct setting_records *b);
void setting_records_append(const struct setting *setting, const struct setting_records *records,
                            struct buffer *out);
void setting_records_clear(const struct setting *setting, struct setting_records *records);

/* Checks of single values, for the table (settings_check.c). */
bool settings_check_listen(const char *text, struct buffer *why);
bool settings_check_redis_url(const char *text, struct buffer *why);
bool settings_check_origin_url(const char *text, struct buffer *why);
bool settings_check_readable(const char *text, struct buffer *why);
bool settings_check_admin_listen(const char *text, struct buffer *why);
bool settings_check_cors_origins(const char *text, struct buffer *why);
bool settings_check_networks(const char *text, struct buffer *why);
bool settings_check_header_name(const char *text, struct buffer *why);
bool settings_check_access(const char *text, struct buffer *why);
bool settings_check_url(const char *text, struct buffer *why);
/* After the scheme: a host and a port that there can be. */
bool settings_check_authority(const char *url, struct buffer *why);
bool settings_check_cookie_name(const char *text, struct buffer *why);
bool settings_check_names(const char *text, struct buffer *why);

/* Of sinks (settings_sinks.c). */
bool settings_check_sink_name(const char *text, struct buffer *why);
bool settings_check_sink_topic(const char *text, struct buffer *why);
bool settings_check_sink_url(const char *text, struct buffer *why);
bool settings_check_sink_headers(const char *text, struct buffer *why);
bool settings_check_sink_secret(const char *text, struct buffer *why);
bool settings_check_sink_secret_file(const char *text, struct buffer *why);
bool settings_check_sink(const void *record, struct buffer *why);
void settings_check_sinks_together(const struct settings *settings, struct settings_problems *problems);

/* Of who may do what, together (settings_check_access.c). */
void settings_check_access_together(const struct settings *settings, bool is_reachable,
                                    const char *reachable_name, const char *reachable_address,
                                    struct settings_problems *problems);

/* Checks between settings. */
void settings_check_together(const struct settings *settings, struct settings_problems *problems);

/* The sources, each adding to `settings` what it says. */
void settings_read_file(struct settings *settings, const char *name, struct settings_problems *problems);
void settings_read_environment(struct settings *settings, char *const *environment,
                               struct settings_problems *problems);
void settings_read_flags(struct settings *settings, int argument_count, char *const *arguments,
                         struct settings_problems *problems);
