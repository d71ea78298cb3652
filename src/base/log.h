/*
 * The structured log: one event a line, on a descriptor, as text (`2026-11-21T10:00:00.123Z info redis link
 * up link=feed`) or as one JSON object. A full disk or a closed pipe loses lines, never the process: write
 * errors are counted and dropped. So does a pipe whose reader is too slow: a line never waits. The program
 * ignores SIGPIPE. Any thread may write, and threads may share a limiter.
 *
 *     LOG_WARN(log, "redis link down", LOG_TEXT("link", name), LOG_NUMBER("retry_in_ms", wait_ms));
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log;

enum log_field_kind { LOG_FIELD_TEXT, LOG_FIELD_NUMBER, LOG_FIELD_SECONDS };

struct log_field {
    const char *name;
    enum log_field_kind kind;
    const char *text; /* LOG_FIELD_TEXT: NULL leaves the field out */
    size_t text_length;
    int64_t number;
    double seconds;
};

/* Borrows `descriptor`. NULL when memory is short. */
struct log *log_create(int descriptor, enum log_level level, enum log_format format);
void log_destroy(struct log *log);

void log_set_level(struct log *log, enum log_level level);
bool log_enabled(const struct log *log, enum log_level level);

/* Lines that could not be written so far. */
uint64_t log_lost(const struct log *log);

/* Writes one line with one write(2). A NULL log writes nothing. Control characters and quotes in text are
 * escaped. */
void log_event(struct log *log, enum log_level level, const char *message, const struct log_field *fields,
               size_t field_count);

/* At most one line a second a limiter; the next line says how many were left out (`suppressed=`). */
struct log_limiter {
    _Atomic uint64_t window_start_ns;
    _Atomic uint64_t suppressed;
};
void log_event_limited(struct log *log, struct log_limiter *limiter, enum log_level level,
                       const char *message, const struct log_field *fields, size_t field_count);

struct log_field log_text(const char *name, const char *text); /* NUL-terminated, or NULL: left out */
struct log_field log_bytes(const char *name, const char *text, size_t length);
struct log_field log_number(const char *name, int64_t number);
struct log_field log_seconds(const char *name, double seconds);

#define LOG_TEXT(name, value) log_text((name), (value))
#define LOG_BYTES(name, value, length) log_bytes((name), (value), (length))
#define LOG_NUMBER(name, value) log_number((name), (int64_t)(value))
#define LOG_SECONDS(name, value) log_seconds((name), (value))

#define LOG_EVENT(log, level, message, ...)                                                                  \
    log_event((log), (level), (message), (const struct log_field[]){ { .name = NULL }, ##__VA_ARGS__ } + 1,  \
              sizeof((const struct log_field[]){ { .name = NULL }, ##__VA_ARGS__ }) /                        \
                      sizeof(struct log_field) -                                                             \
                  1)
#define LOG_DEBUG(log, message, ...) LOG_EVENT(log, LOG_LEVEL_DEBUG, message, ##__VA_ARGS__)
#define LOG_INFO(log, message, ...) LOG_EVENT(log, LOG_LEVEL_INFO, message, ##__VA_ARGS__)
#define LOG_WARN(log, message, ...) LOG_EVENT(log, LOG_LEVEL_WARN, message, ##__VA_ARGS__)
#define LOG_ERROR(log, message, ...) LOG_EVENT(log, LOG_LEVEL_ERROR, message, ##__VA_ARGS__)
