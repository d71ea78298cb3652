/* `sluice streams status`: a table for people, or the JSON of GET /streams. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/streams_state.h"

#define NAME_WIDTH_MAX 40

/* ---- cells ---- */

#define CELL_MAX 64

static void format_bytes(uint64_t bytes, char ret_text[static CELL_MAX])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double scaled = (double)bytes;
    size_t unit = 0;
    for (; scaled >= 1024 && unit < 4; unit++)
        scaled /= 1024;
    snprintf(ret_text, CELL_MAX, unit == 0 || scaled >= 100 ? "%.0f %s" : "%.1f %s", scaled, units[unit]);
}

/* The two largest units: 42s, 3m 10s, 5h 2m, 12d 4h. */
static void format_age(uint64_t ms, char ret_text[static CELL_MAX])
{
    uint64_t seconds = ms / 1000;
    if (seconds < 60)
        snprintf(ret_text, CELL_MAX, "%" PRIu64 "s", seconds);
    else if (seconds < 3600)
        snprintf(ret_text, CELL_MAX, "%" PRIu64 "m %" PRIu64 "s", seconds / 60, seconds % 60);
    else if (seconds < 86400)
        snprintf(ret_text, CELL_MAX, "%" PRIu64 "h %" PRIu64 "m", seconds / 3600, seconds / 60 % 60);
    else
        snprintf(ret_text, CELL_MAX, "%" PRIu64 "d %" PRIu64 "h", seconds / 86400, seconds / 3600 % 24);
}

/* Names come from anywhere: what would move the cursor is shown as a dot. */
static void print_name(const char *name, size_t length, int width)
{
    int printed = 0;
    for (size_t i = 0; i < length && i < 200; i++) {
        unsigned char byte = (unsigned char)name[i];
        putchar(byte < ' ' || byte == 0x7f ? '.' : name[i]);
        printed += (byte & 0xc0) != 0x80; /* continuation bytes take no room */
    }
    printf("%*s", printed < width ? width - printed : 0, "");
}

/* ---- rows ---- */

static void print_head(int width)
{
    printf("%-*s %10s %10s  %-24s %10s %9s %9s %10s\n", width, "STREAM", "LENGTH", "MEMORY", "GROUP",
           "CONSUMERS", "PENDING", "OLDEST", "LAG");
}

static void print_group(const struct stream_report_group *group)
{
    char oldest[CELL_MAX] = "-", lag[CELL_MAX] = "?";
    if (group->pending)
        format_age(group->oldest_pending_ms, oldest);
    if (group->has_lag)
        snprintf(lag, sizeof(lag), "%" PRIu64, group->lag);
    print_name(group->name, group->name_length, 24);
    printf(" %10" PRIu64 " %9" PRIu64 " %9s %10s\n", group->consumer_count, group->pending, oldest, lag);
}

static void print_report(const struct stream_report *report, int width)
{
    char memory[CELL_MAX] = "?";
    if (report->bytes)
        format_bytes(report->bytes, memory);
    print_name(report->name, report->name_length, width);
    printf(" %10" PRIu64 " %10s  ", report->length, memory);
    for (size_t i = 0; i < report->listed_count; i++) {
        if (i)
            printf("%*s", width + 24, "");
        print_group(&report->groups[i]);
    }
    if (report->listed_count == 0)
        puts("no group");
    if (report->group_count > report->listed_count)
        printf("%*sand %" PRIu64 " groups more\n", width + 24, "",
               report->group_count - report->listed_count);
}

static void print_missing(const char *name, enum stream_report_status status, const char *problem, int width)
{
    print_name(name, strlen(name), width);
    if (status == STREAM_REPORT_ABSENT)
        puts("  is not there; sluice streams setup makes what is configured");
    else if (status == STREAM_REPORT_WRONG_TYPE)
        puts("  the key holds something else than a stream");
    else
        printf("  %s\n", problem ? problem : "Redis does not answer");
}

/* ---- the command ---- */

static bool show(struct streams *streams, const char *name, int width, bool is_first)
{
    enum stream_report_status status;
    char *problem;
    struct stream_report *report = streams_redis_report(streams->redis, name, &status, &problem);
    if (streams->arguments.is_json) {
        struct buffer json = { 0 };
        if (report)
            stream_report_append_json(report, true, &json);
        else
            stream_report_append_missing_json(name, strlen(name), status, problem, &json);
        printf("%s%.*s", is_first ? "" : ",", (int)json.size, json.data ? json.data : "null");
        buffer_free(&json);
    } else if (report) {
        print_report(report, width);
    } else {
        print_missing(name, status, problem, width);
    }
    bool is_found = report != NULL;
    stream_report_destroy(report);
    free(problem);
    return is_found;
}

enum exit_code streams_status(struct streams *streams, const char *const *words, size_t word_count)
{
    size_t count = word_count ? word_count : streams->settings->streams.count;
    size_t width = strlen("STREAM");
    bool are_found = true;
    if (count == 0) {
        fputs("sluice: no stream is configured; name some: sluice streams status orders, or set `streams`\n",
              stderr);
        return EXIT_CODE_USAGE;
    }
    if (!(streams->redis = streams_redis_open(streams->settings)))
        return EXIT_CODE_FAILED;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(word_count ? words[i] : streams_configured(streams, i)->name);
        width = length > width ? length : width;
    }
    width = width < NAME_WIDTH_MAX ? width : NAME_WIDTH_MAX;
    if (streams->arguments.is_json)
        fputs("{\"streams\":[", stdout);
    else
        print_head((int)width);
    for (size_t i = 0; i < count; i++)
        are_found &=
            show(streams, word_count ? words[i] : streams_configured(streams, i)->name, (int)width, i == 0);
    if (streams->arguments.is_json)
        puts("]}");
    return are_found ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}
