#include "base/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

struct fixture {
    int reader;
    int writer;
    struct log *log;
    char line[2 * PIPE_BUF];
    size_t size;
};

static void setup(struct fixture *fixture, enum log_format format)
{
    int ends[2];
    cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
    fixture->reader = ends[0];
    fixture->writer = ends[1];
    fixture->log = log_create(fixture->writer, LOG_LEVEL_INFO, format);
    cr_assert_not_null(fixture->log);
}

static void teardown(struct fixture *fixture)
{
    log_destroy(fixture->log);
    close(fixture->reader);
    close(fixture->writer);
}

/* What was logged since the last call, NUL-terminated; every line is within the bound and well-formed UTF-8.
 */
static const char *logged(struct fixture *fixture)
{
    ssize_t size = read(fixture->reader, fixture->line, sizeof fixture->line - 1);
    fixture->size = size > 0 ? (size_t)size : 0;
    fixture->line[fixture->size] = '\0';
    cr_assert_eq(utf8_valid_prefix(fixture->line, fixture->size), fixture->size);
    cr_assert_leq(fixture->size, PIPE_BUF);
    return fixture->line;
}

static void expect_tail(struct fixture *fixture, const char *tail)
{
    const char *line = logged(fixture);
    size_t length = strlen(tail);
    cr_assert(fixture->size > length && strcmp(line + fixture->size - length, tail) == 0, "got: %s", line);
}

Test(log, text_line)
{
    struct fixture fixture;
    setup(&fixture, LOG_FORMAT_TEXT);
    LOG_WARN(fixture.log, "redis link down", LOG_TEXT("link", "feed"), LOG_NUMBER("retry_in_ms", -250),
             LOG_SECONDS("took", 0.0125), LOG_TEXT("absent", NULL), LOG_TEXT("empty", ""));
    const char *line = logged(&fixture);
    cr_assert_str_eq(line + 24,
                     " warn redis link down link=feed retry_in_ms=-250 took=0.012500 empty=\"\"\n");
    int year, month, day, hour, minute, second, millisecond;
    cr_assert_eq(sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &year, &month, &day, &hour, &minute, &second,
                        &millisecond),
                 7);
    LOG_INFO(fixture.log, "no fields");
    expect_tail(&fixture, "Z info no fields\n");
    teardown(&fixture);
}

Test(log, text_is_escaped)
{
    struct fixture fixture;
    setup(&fixture, LOG_FORMAT_TEXT);
    LOG_INFO(fixture.log, "bad\nmessage", LOG_TEXT("a", "two words"), LOG_TEXT("b", "q\"uo\\te"),
             LOG_TEXT("c", "x=y"), LOG_BYTES("d", "\0\r\x1b[31m\x7f", 8), LOG_TEXT("e", "\xC2\x9B"),
             LOG_TEXT("f", "\xFFok\xE2\x82"), LOG_TEXT("g", "gr\xC3\xBC\xC3\x9F"));
    expect_tail(
        &fixture,
        " bad\\nmessage a=\"two words\" b=\"q\\\"uo\\\\te\" c=\"x=y\" d=\"\\u0000\\r\\u001b[31m\\u007f\""
        " e=\"\\u009b\" f=\"\xEF\xBF\xBDok\xEF\xBF\xBD\" g=\"gr\xC3\xBC\xC3\x9F\"\n");
    teardown(&fixture);
}

Test(log, json_line)
{
    struct fixture fixture;
    setup(&fixture, LOG_FORMAT_JSON);
    LOG_ERROR(fixture.log, "a \"quoted\" message", LOG_BYTES("name", "x\0\xFF\n\xC2\x9B", 6),
              LOG_NUMBER("big", INT64_MIN), LOG_SECONDS("odd", NAN));
    json_t *root = json_loads(logged(&fixture), JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL);
    cr_assert_not_null(root, "%s", fixture.line);
    cr_assert_eq(fixture.line[fixture.size - 1], '\n');
    cr_assert_str_eq(json_string_value(json_object_get(root, "level")), "error");
    cr_assert_str_eq(json_string_value(json_object_get(root, "message")), "a \"quoted\" message");
    cr_assert_eq(strlen(json_string_value(json_object_get(root, "time"))), 24);
    const json_t *name = json_object_get(root, "name");
    static const char expected[] = "x\0\xEF\xBF\xBD\n\xC2\x9B";
    cr_assert_eq(json_string_length(name), sizeof expected - 1);
    cr_assert_eq(memcmp(json_string_value(name), expected, sizeof expected - 1), 0);
    cr_assert_eq(json_integer_value(json_object_get(root, "big")), INT64_MIN);
    cr_assert(json_is_null(json_object_get(root, "odd")));
    json_decref(root);
    teardown(&fixture);
}

Test(log, levels)
{
    struct fixture fixture;
    setup(&fixture, LOG_FORMAT_TEXT);
    LOG_DEBUG(fixture.log, "hidden");
    cr_assert_str_eq(logged(&fixture), "");
    cr_assert_not(log_enabled(fixture.log, LOG_LEVEL_DEBUG));
    log_set_level(fixture.log, LOG_LEVEL_DEBUG);
    LOG_DEBUG(fixture.log, "shown");
    expect_tail(&fixture, "debug shown\n");
    log_set_level(fixture.log, LOG_LEVEL_ERROR);
    LOG_WARN(fixture.log, "hidden");
    cr_assert_str_eq(logged(&fixture), "");
    cr_assert_not(log_enabled(NULL, LOG_LEVEL_ERROR));
    LOG_ERROR((struct log *)NULL, "nowhere");
    teardown(&fixture);
}

/* Values of any length are cut, fields that do not fit are left out: the line stays one line, and JSON stays
 * JSON. */
Test(log, lines_are_bounded)
{
    enum { LENGTH = 100000 };
    char *wide = malloc(LENGTH);
    cr_assert_not_null(wide);
    for (enum log_format format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
        for (int filling = 0; filling < 3; filling++) {
            struct fixture fixture;
            setup(&fixture, format);
            memset(wide, "x\x01\xFF"[filling], LENGTH);
            LOG_INFO(fixture.log, "wide", LOG_BYTES("a", wide, LENGTH), LOG_BYTES("b", wide, LENGTH),
                     LOG_BYTES("c", wide, LENGTH), LOG_BYTES("d", wide, LENGTH), LOG_NUMBER("last", 7));
            const char *line = logged(&fixture);
            cr_assert_gt(fixture.size, PIPE_BUF / 2);
            cr_assert_eq(strchr(line, '\n'), line + fixture.size - 1);
            cr_assert_not_null(strstr(line, "truncated"));
            cr_assert_not_null(strstr(line, "last"), "a short field still fits: %s", line);
            if (format == LOG_FORMAT_JSON) {
                json_t *root = json_loads(line, JSON_ALLOW_NUL, NULL);
                cr_assert_not_null(root, "%s", line);
                json_decref(root);
            }
            teardown(&fixture);
        }
    }
    free(wide);
}

Test(log, a_full_pipe_loses_lines_without_waiting)
{
    struct fixture fixture;
    setup(&fixture, LOG_FORMAT_TEXT);
    int flags = fcntl(fixture.writer, F_GETFL);
    fcntl(fixture.writer, F_SETFL, flags & ~O_NONBLOCK); /* as stderr usually is */
    for (int i = 0; i < 2000; i++)
        LOG_INFO(fixture.log, "a line of some length to fill the pipe with", LOG_NUMBER("number", i));
    cr_assert_gt(log_lost(fixture.log), 0);
    uint64_t lost = log_lost(fixture.log);
    char sink[8192];
    while (read(fixture.reader, sink, sizeof sink) > 0)
        ;
    LOG_INFO(fixture.log, "after");
    expect_tail(&fixture, "info after\n");
    cr_assert_eq(log_lost(fixture.log), lost);
    teardown(&fixture);
}

Test(log, a_closed_pipe_loses_lines_and_keeps_errno)
{
    struct fixture fixture;
    setup(&fixture, LOG_FORMAT_TEXT);
    signal(SIGPIPE, SIG_IGN);
    close(fixture.reader);
    errno = ENOSPC;
    LOG_INFO(fixture.log, "nobody reads");
    cr_assert_eq(errno, ENOSPC);
    cr_assert_eq(log_lost(fixture.log), 1);
    fixture.reader = -1;
    teardown(&fixture);
}

Test(log, limiter_counts_what_it_leaves_out)
{
    struct fixture fixture;
    setup(&fixture, LOG_FORMAT_TEXT);
    struct log_limiter limiter = { 0 };
    const struct log_field field = log_text("link", "feed");
    log_event_limited(fixture.log, &limiter, LOG_LEVEL_INFO, "noise", &field, 1);
    expect_tail(&fixture, "info noise link=feed\n");
    limiter.window_start_ns = clock_now_ns() + 3600 * CLOCK_NS_PER_SECOND; /* however slowly this test runs */
    for (int i = 0; i < 5; i++)
        log_event_limited(fixture.log, &limiter, LOG_LEVEL_INFO, "noise", &field, 1);
    log_event_limited(fixture.log, &limiter, LOG_LEVEL_DEBUG, "below the level", &field, 1);
    cr_assert_str_eq(logged(&fixture), "");
    cr_assert_eq(limiter.suppressed, 5);
    limiter.window_start_ns = 1;
    log_event_limited(fixture.log, &limiter, LOG_LEVEL_INFO, "noise", &field, 1);
    expect_tail(&fixture, "info noise link=feed suppressed=5\n");
    cr_assert_eq(limiter.suppressed, 0);
    teardown(&fixture);
}
