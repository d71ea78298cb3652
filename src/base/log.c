#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

/* A pipe that polls as writable takes PIPE_BUF bytes without blocking, and takes them whole. */
#define LINE_BYTES_MAX PIPE_BUF
/* Left free for `truncated` and the end of the line. */
#define LINE_TAIL_BYTES 32
/* One value as written; the rest of it is cut off and replaced by an ellipsis. */
#define VALUE_BYTES_MAX 1024
/* Fields of a limited line; more are left out. */
#define LOG_FIELDS_MAX 16
#define ELLIPSIS "\xE2\x80\xA6"

struct log {
    int descriptor;
    _Atomic enum log_level level;
    enum log_format format;
    atomic_uint_fast64_t lost;
};

struct line {
    char bytes[LINE_BYTES_MAX];
    size_t size;
    size_t limit;
    bool full; /* something did not fit since the last look */
};

struct log *log_create(int descriptor, enum log_level level, enum log_format format)
{
    struct log *log = calloc(1, sizeof *log);
    if (!log)
        return NULL;
    log->descriptor = descriptor;
    log->level = level;
    log->format = format;
    return log;
}

void log_destroy(struct log *log)
{
    free(log);
}

void log_set_level(struct log *log, enum log_level level)
{
    log->level = level;
}

bool log_enabled(const struct log *log, enum log_level level)
{
    return log && level >= log->level;
}

uint64_t log_lost(const struct log *log)
{
    return log->lost;
}

static void line_append(struct line *line, const char *bytes, size_t length)
{
    if (line->full || length > line->limit - line->size) {
        line->full = true;
        return;
    }
    memcpy(line->bytes + line->size, bytes, length);
    line->size += length;
}

static void line_append_text(struct line *line, const char *text)
{
    line_append(line, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static void line_printf(struct line *line, const char *format, ...)
{
    char scratch[128];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(scratch, sizeof scratch, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof scratch)
        line->full = true;
    else
        line_append(line, scratch, (size_t)length);
}

/*
 * One character of valid UTF-8 as it may stand in a line, in `scratch` (16 bytes): control characters (C1
 * too, which terminals obey), quotes and backslashes are escaped as in JSON. Returns the length; *ret_taken
 * bytes were read.
 */
static size_t escape_character(const char *bytes, char *scratch, size_t *ret_taken)
{
    unsigned char lead = (unsigned char)bytes[0];
    *ret_taken = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead == '"' || lead == '\\')
        return (size_t)snprintf(scratch, 16, "\\%c", lead);
    if (lead == '\n' || lead == '\r' || lead == '\t')
        return (size_t)snprintf(scratch, 16, "\\%c", lead == '\n' ? 'n' : lead == '\r' ? 'r' : 't');
    if (lead < 0x20 || lead == 0x7F)
        return (size_t)snprintf(scratch, 16, "\\u%04x", (unsigned)lead);
    if (lead == 0xC2 && (unsigned char)bytes[1] < 0xA0)
        return (size_t)snprintf(scratch, 16, "\\u%04x", (unsigned)(unsigned char)bytes[1]);
    memcpy(scratch, bytes, *ret_taken);
    return *ret_taken;
}

static void line_append_escaped(struct line *line, const char *bytes, size_t length)
{
    size_t end = line->size + VALUE_BYTES_MAX;
    size_t valid = 0; /* bytes from here on that are known to be UTF-8 */
    while (length > 0) {
        char scratch[16];
        size_t taken;
        size_t written;
        if (valid == 0)
            valid = utf8_valid_prefix(bytes, length);
        if (valid == 0) {
            taken = utf8_invalid_length(bytes, length);
            written = strlen(UTF8_REPLACEMENT);
            memcpy(scratch, UTF8_REPLACEMENT, written);
        } else {
            written = escape_character(bytes, scratch, &taken);
            valid -= taken;
        }
        if (line->size + written > end) {
            line_append_text(line, ELLIPSIS);
            return;
        }
        line_append(line, scratch, written);
        bytes += taken;
        length -= taken;
    }
}

static void line_append_quoted(struct line *line, const char *bytes, size_t length)
{
    line_append_text(line, "\"");
    line_append_escaped(line, bytes, length);
    line_append_text(line, "\"");
}

/* Whether a value can stand without quotes in the text format and still be told from what follows. */
static bool is_plain_word(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte <= ' ' || byte >= 0x7F || byte == '"' || byte == '\\' || byte == '=')
            return false;
    }
    return length > 0;
}

static void append_value(struct line *line, enum log_format format, const struct log_field *field)
{
    switch (field->kind) {
    case LOG_FIELD_TEXT:
        if (format == LOG_FORMAT_TEXT && is_plain_word(field->text, field->text_length))
            line_append_escaped(line, field->text, field->text_length);
        else
            line_append_quoted(line, field->text, field->text_length);
        break;
    case LOG_FIELD_NUMBER:
        line_printf(line, "%lld", (long long)field->number);
        break;
    case LOG_FIELD_SECONDS:
        if (isfinite(field->seconds))
            line_printf(line, "%.6f", field->seconds);
        else
            line_append_text(line, "null"); /* JSON has no other word for it */
        break;
    }
}

/* A field stands in the line whole, or not at all. */
static bool append_field(struct line *line, enum log_format format, const struct log_field *field)
{
    size_t start = line->size;
    if (!field->name || (field->kind == LOG_FIELD_TEXT && !field->text))
        return true;
    if (format == LOG_FORMAT_JSON) {
        line_append_text(line, ",");
        line_append_quoted(line, field->name, strlen(field->name));
        line_append_text(line, ":");
    } else {
        line_append_text(line, " ");
        line_append_text(line, field->name);
        line_append_text(line, "=");
    }
    append_value(line, format, field);
    if (!line->full)
        return true;
    line->size = start;
    line->full = false;
    return false;
}

static void append_head(struct line *line, enum log_format format, enum log_level level, const char *message)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    uint64_t now_ms = clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    char day[32];
    if (!gmtime_r(&seconds, &utc) || strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        day[0] = '\0';
    unsigned milliseconds = (unsigned)(now_ms % 1000);
    if (format == LOG_FORMAT_JSON) {
        line_printf(line, "{\"time\":\"%s.%03uZ\",\"level\":\"%s\",\"message\":", day, milliseconds,
                    names[level]);
        line_append_quoted(line, message, strlen(message));
    } else {
        line_printf(line, "%s.%03uZ %s ", day, milliseconds, names[level]);
        line_append_escaped(line, message, strlen(message));
    }
}

/* Never waits: a reader that is slower than the gateway loses lines, not the gateway's clients their time. */
static void write_line(struct log *log, const struct line *line)
{
    struct pollfd writable = { .fd = log->descriptor, .events = POLLOUT };
    ssize_t written = -1;
    if (poll(&writable, 1, 0) == 1 && (writable.revents & POLLOUT)) {
        do {
            written = write(log->descriptor, line->bytes, line->size);
        } while (written < 0 && errno == EINTR);
    }
    if (written != (ssize_t)line->size)
        log->lost++;
}

void log_event(struct log *log, enum log_level level, const char *message, const struct log_field *fields,
               size_t field_count)
{
    if (!log_enabled(log, level))
        return;
    int saved = errno; /* logging a failure must not change what the caller reads next */
    struct line line;
    line.size = 0;
    line.limit = LINE_BYTES_MAX - LINE_TAIL_BYTES;
    line.full = false;
    append_head(&line, log->format, level, message);
    bool whole = true;
    for (size_t i = 0; i < field_count; i++)
        whole &= append_field(&line, log->format, &fields[i]);
    line.limit = LINE_BYTES_MAX;
    if (!whole)
        append_field(&line, log->format, &(struct log_field){ "truncated", LOG_FIELD_NUMBER, .number = 1 });
    line_append_text(&line, log->format == LOG_FORMAT_JSON ? "}\n" : "\n");
    write_line(log, &line);
    errno = saved;
}

void log_event_limited(struct log *log, struct log_limiter *limiter, enum log_level level,
                       const char *message, const struct log_field *fields, size_t field_count)
{
    if (!log_enabled(log, level))
        return;
    uint64_t now_ns = clock_now_ns(), start_ns = limiter->window_start_ns;
    bool is_due = start_ns == 0 || now_ns >= start_ns + CLOCK_NS_PER_SECOND;
    if (!is_due || !atomic_compare_exchange_strong(&limiter->window_start_ns, &start_ns, now_ns)) {
        atomic_fetch_add(&limiter->suppressed, 1);
        return;
    }
    uint64_t suppressed = atomic_exchange(&limiter->suppressed, 0);
    if (suppressed == 0) {
        log_event(log, level, message, fields, field_count);
        return;
    }
    struct log_field all[LOG_FIELDS_MAX + 1];
    size_t count = field_count < LOG_FIELDS_MAX ? field_count : LOG_FIELDS_MAX;
    for (size_t i = 0; i < count; i++)
        all[i] = fields[i];
    all[count++] = log_number("suppressed", (int64_t)suppressed);
    log_event(log, level, message, all, count);
}

struct log_field log_text(const char *name, const char *text)
{
    return log_bytes(name, text, text ? strlen(text) : 0);
}

struct log_field log_bytes(const char *name, const char *text, size_t length)
{
    return (struct log_field){ .name = name, .kind = LOG_FIELD_TEXT, .text = text, .text_length = length };
}

struct log_field log_number(const char *name, int64_t number)
{
    return (struct log_field){ .name = name, .kind = LOG_FIELD_NUMBER, .number = number };
}

struct log_field log_seconds(const char *name, double seconds)
{
    return (struct log_field){ .name = name, .kind = LOG_FIELD_SECONDS, .seconds = seconds };
}
