#include "access/audit.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define TEXT(literal)                                                                                        \
    (struct audit_text)                                                                                      \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }

struct fixture {
    int reader, writer;
    struct log *log;
    struct metrics *metrics;
    struct audit *audit;
    char text[65536];
};

static void setup(struct fixture *fixture, enum log_level level, uint64_t lines_max)
{
    int ends[2];
    cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
    fixture->reader = ends[0];
    fixture->writer = ends[1];
    fixture->log = log_create(fixture->writer, level, LOG_FORMAT_TEXT);
    fixture->metrics = metrics_create();
    fixture->audit = audit_create(lines_max, fixture->metrics, fixture->log);
    cr_assert_not_null(fixture->audit);
}

static void teardown(struct fixture *fixture)
{
    audit_destroy(fixture->audit);
    metrics_destroy(fixture->metrics);
    log_destroy(fixture->log);
    close(fixture->reader);
    close(fixture->writer);
}

/* What was logged since the last call. */
static const char *logged(struct fixture *fixture)
{
    ssize_t size = read(fixture->reader, fixture->text, sizeof fixture->text - 1);
    fixture->text[size > 0 ? size : 0] = '\0';
    return fixture->text;
}

static size_t lines_of(const char *text)
{
    size_t count = 0;
    for (const char *at = strchr(text, '\n'); at; at = strchr(at + 1, '\n'))
        count++;
    return count;
}

static void expect_part(const char *text, const char *part)
{
    cr_assert_not_null(strstr(text, part), "no '%s' in: %s", part, text);
}

Test(audit, a_refusal_says_who_what_where_and_why_even_when_only_warnings_are_logged)
{
    struct fixture fixture;
    setup(&fixture, LOG_LEVEL_WARN, 10);
    const struct audit_entry entry = { .subject = TEXT("ann"),
                                       .action = "subscribe",
                                       .topic = TEXT("batch:42"),
                                       .method = "GET",
                                       .path = TEXT("/batches/42/stream"),
                                       .peer = TEXT("203.0.113.7") };
    audit_refusal(fixture.audit, REFUSAL_NOT_GRANTED, &entry);
    const char *line = logged(&fixture);
    expect_part(
        line, "warn access refused reason=not-granted subject=ann action=subscribe topic=batch:42 method=GET "
              "path=/batches/42/stream peer=203.0.113.7\n");
    cr_assert_eq(lines_of(line), 1);
    cr_assert_eq(fixture.metrics->access_refused[REFUSAL_NOT_GRANTED], 1);
    teardown(&fixture);
}

Test(audit, what_a_stranger_wrote_cannot_pass_for_a_line_or_a_field)
{
    struct fixture fixture;
    setup(&fixture, LOG_LEVEL_INFO, 10);
    const struct audit_entry entry = { .subject = TEXT("ann peer=10.0.0.1\nwarn admin act"),
                                       .action = "publish" };
    audit_refusal(fixture.audit, REFUSAL_NOT_GRANTED, &entry);
    const char *line = logged(&fixture);
    cr_assert_eq(lines_of(line), 1);
    expect_part(line, "subject=\"ann peer=10.0.0.1\\nwarn admin act\" action=publish");
    teardown(&fixture);
}

Test(audit, long_texts_are_cut)
{
    struct fixture fixture;
    setup(&fixture, LOG_LEVEL_INFO, 10);
    char path[4096];
    memset(path, 'x', sizeof path);
    const struct audit_entry entry = { .path = { path, sizeof path }, .peer = TEXT("192.0.2.1") };
    audit_refusal(fixture.audit, REFUSAL_NO_CREDENTIAL, &entry);
    const char *line = logged(&fixture);
    cr_assert_lt(strlen(line), 600);
    expect_part(line, "peer=192.0.2.1");
    teardown(&fixture);
}

Test(audit, a_flood_is_counted_and_not_written)
{
    struct fixture fixture;
    setup(&fixture, LOG_LEVEL_INFO, 5);
    const struct audit_entry entry = { .action = "subscribe" };
    uint64_t before_ns = clock_now_ns();
    for (int i = 0; i < 1000; i++)
        audit_refusal(fixture.audit, REFUSAL_NO_CREDENTIAL, &entry);
    uint64_t seconds = (clock_now_ns() - before_ns) / CLOCK_NS_PER_SECOND;
    size_t lines = lines_of(logged(&fixture));
    cr_assert_geq(lines, 5);
    cr_assert_leq(lines, 6 * (seconds + 1));
    cr_assert_eq(fixture.metrics->access_refused[REFUSAL_NO_CREDENTIAL], 1000);
    cr_assert_geq(fixture.metrics->audit_left_out, 1000 - lines);
    teardown(&fixture);
}

Test(audit, the_sweep_says_how_many_were_left_out)
{
    struct fixture fixture;
    setup(&fixture, LOG_LEVEL_INFO, 0);
    const struct audit_entry entry = { .action = "subscribe" };
    for (int i = 0; i < 3; i++)
        audit_refusal(fixture.audit, REFUSAL_NO_CREDENTIAL, &entry);
    cr_assert_str_eq(logged(&fixture), "");
    const struct timespec second = { .tv_sec = 1, .tv_nsec = 50000000 };
    nanosleep(&second, NULL);
    audit_sweep(fixture.audit);
    expect_part(logged(&fixture), "access refusals not logged one by one count=3");
    nanosleep(&second, NULL);
    audit_sweep(fixture.audit);
    cr_assert_str_eq(logged(&fixture), "");
    teardown(&fixture);
}

Test(audit, acts_of_administrators_are_never_left_out)
{
    struct fixture fixture;
    setup(&fixture, LOG_LEVEL_INFO, 0);
    const struct audit_entry entry = { .subject = TEXT("root"), .action = "revoke", .detail = "ann" };
    for (int i = 0; i < 20; i++)
        audit_act(fixture.audit, &entry, 2);
    const char *text = logged(&fixture);
    cr_assert_eq(lines_of(text), 20);
    expect_part(text, "admin act subject=root action=revoke detail=ann count=2");
    cr_assert_eq(fixture.metrics->admin_acts, 20);
    teardown(&fixture);
}
