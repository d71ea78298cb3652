#include "settings_fixture.h"

#include "gateway/settings_sinks.h"

static struct settings_problems problems;

static void forget_problems(void)
{
    buffer_free(&problems.text);
    problems.count = 0;
}
TestSuite(settings_sinks, .fini = forget_problems);

static struct settings *load(const char *text)
{
    forget_problems();
    char *file = file_with(text, strlen(text));
    struct settings *settings = settings_load(file, NO_ENVIRONMENT, 0, NULL, &problems);
    unlink(file);
    free(file);
    return settings;
}

#define CRM                                                                                                  \
    "sinks:\n"                                                                                               \
    "  - name: crm\n"                                                                                        \
    "    stream: events:sale\n"                                                                              \
    "    url: https://hooks.example/services/T0/B0\n"

Test(settings_sinks, what_is_not_said_has_its_default)
{
    struct settings *settings = load(CRM);
    ASSERT_LOADED(settings, problems);
    const struct sink_settings *sink = settings->sinks.items;
    cr_assert_eq(settings->sinks.count, 1);
    cr_assert_str_eq(sink->name, "crm");
    cr_assert_str_eq(sink->stream, "events:sale");
    cr_assert_str_eq(sink->channel, "");
    cr_assert_str_eq(sink->group, "");
    cr_assert_eq(sink->start, GROUP_START_NEW);
    cr_assert_eq(sink->timeout_ms, 10000);
    cr_assert_eq(sink->retries, 5);
    cr_assert_eq(sink->backoff_ms, 1000);
    cr_assert_eq(sink->backoff_max_ms, 60000);
    cr_assert_eq(sink->concurrency, 4);
    cr_assert_eq(sink->max_deliveries, 5);
    cr_assert_eq(sink->idle_ms, 60000);
    cr_assert_eq(sink->queue, 1000);
    struct sink_keys *keys = (void *)settings;
    struct buffer why = { 0 };
    cr_assert(settings_sink_keys(sink, &keys, &why));
    cr_assert_null(keys, "there is no secret");
    settings_destroy(settings);
}

Test(settings_sinks, everything_can_be_said)
{
    struct settings *settings =
        load(CRM "    group: g\n    start: all\n    headers: {A: 'b: c', X-Y: z}\n"
                 "    secret: 0123456789abcdef\n    timeout: 1s\n    retries: 0\n"
                 "    backoff: 20ms\n    backoff_max: 2s\n    concurrency: 100\n"
                 "    max_deliveries: 1\n    idle: 5s\n"
                 "  - {name: chat, channel: news, url: 'http://[::1]:9', queue: 7}\n");
    ASSERT_LOADED(settings, problems);
    const struct sink_settings *sink = settings->sinks.items;
    cr_assert_str_eq(sink->headers, "A: b: c\nX-Y: z\n");
    cr_assert_eq(sink->start, GROUP_START_ALL);
    cr_assert_eq(sink[1].queue, 7);
    struct sink_keys *keys;
    struct buffer why = { 0 };
    cr_assert(settings_sink_keys(sink, &keys, &why));
    cr_assert_not_null(keys);
    sink_keys_destroy(keys);
    settings_destroy(settings);
}

static void expect_summary(const char *lines, const char *expected)
{
    char text[1000];
    snprintf(text, sizeof(text), "sinks:\n  - {name: s, stream: t, %s}\n", lines);
    struct settings *settings = load(text);
    struct buffer summary = { 0 };
    ASSERT_LOADED(settings, problems);
    settings_append_summary(settings, &summary);
    cr_assert_not_null(memmem(summary.data, summary.size, expected, strlen(expected)), "%.*s",
                       (int)summary.size, summary.data);
    cr_assert_null(memmem(summary.data, summary.size, "hidden", 6), "%.*s", (int)summary.size, summary.data);
    buffer_free(&summary);
    settings_destroy(settings);
}

Test(settings_sinks, secrets_are_not_shown)
{
    expect_summary("url: 'https://h.example/hidden/hidden?hidden=1'", "url: https://h.example/***}");
    expect_summary("url: 'https://hidden:hidden@h.example:81?hidden'", "url: https://***@h.example:81/***}");
    expect_summary("url: 'https://h.example/?x@hidden'", "url: https://h.example/***}");
    expect_summary("url: 'https://h.example/'", "url: https://h.example}");
    expect_summary("url: 'https://h.example', secret: hidden-hidden-hidden", "secret: ***}");
    expect_summary("url: 'https://h.example', headers: {Authorization: hidden}",
                   "headers: {Authorization: ***}}");
}

static void expect_problem(const char *lines, const char *expected)
{
    char text[1000];
    snprintf(text, sizeof(text), "sinks:\n  - {%s}\n", lines);
    cr_assert_null(load(text), "%s", lines);
    ASSERT_MENTIONS(problems, expected);
    cr_assert_not(mentions(&problems, "hidden"));
}

#define GOOD "name: s, stream: t, url: 'http://h', "

Test(settings_sinks, what_makes_no_sense_is_said)
{
    expect_problem("stream: t, url: 'http://h'", ":2: sinks: it needs a name");
    expect_problem("name: s, stream: t", ":2: sinks: it needs a url");
    expect_problem("name: s, url: 'http://h'", "the sink s needs a stream or a channel");
    expect_problem(GOOD "channel: c", "needs a stream or a channel, not both");
    expect_problem("name: s, channel: c, url: 'http://h', group: g", "which has no groups");
    expect_problem("name: 'a/b', stream: t, url: 'http://h'", "name cannot be \"a/b\"");
    expect_problem("name: s, stream: t, url: 'ftp://hidden'",
                   "url cannot be this: it must begin with http://");
    expect_problem("name: s, stream: t, url: 'http:///hidden'", "url cannot be this");
    expect_problem("name: s, stream: t, url: 'http://h/ hidden'", "url cannot be this");
    expect_problem("name: s, stream: t, url: 'http://h:99999/hidden'", "look at its host and port");
    expect_problem("name: s, stream: t, url: 'http://h:80x/hidden'", "look at its host and port");
    expect_problem("name: s, stream: t, url: 'http://[::1/hidden'", "look at its host and port");
    expect_problem(GOOD "secret: hidden", "secret cannot be this: a key needs at least 16 bytes");
    expect_problem(GOOD "secret: 0123456789abcdef, secret_file: /etc/hostname", "secret");
    expect_problem(GOOD "secret_file: /nowhere", "cannot be opened");
    expect_problem(GOOD "headers: {'A B': hidden}", "headers cannot be this: a header's name");
    expect_problem(GOOD "headers: {A: ''}", "the header A is empty");
    expect_problem(GOOD "headers: {Webhook-Id: hidden}", "the header Webhook-Id is the gateway's own");
    expect_problem(GOOD "headers: {content-length: 5}", "is the gateway's own");
    expect_problem(GOOD "backoff: 5s, backoff_max: 1s", "a backoff that is more than its backoff_max");
    expect_problem(GOOD "concurrency: 0", "the least is 1");
    expect_problem(GOOD "idle: 1s", "the least is 5s");
    expect_problem(GOOD "start: never", "write one of new, all");
    expect_problem("name: s, stream: t, url: 'http://h'}\n  - {name: s, stream: t, url: 'http://h'",
                   ":3: sinks: the name s stands there twice");
}

#define OTHER "}\n  - {stream: t, url: 'http://h', "

/* They would replace each other every few seconds. */
Test(settings_sinks, no_two_share_a_group)
{
    expect_problem(GOOD "group: g" OTHER "name: r, group: g", ":1: the sinks s and r have the same stream");
    expect_problem(GOOD OTHER "name: r, group: 'sink:s'", "the sinks s and r have the same stream and group");
    struct settings *settings =
        load("sinks:\n  - {" GOOD "group: g" OTHER "name: r}\n"
             "  - {name: q, stream: u, url: 'http://h', group: g}\n"
             "  - {name: a, channel: c, url: 'http://h'}\n  - {name: b, channel: c, url: 'http://h'}\n");
    ASSERT_LOADED(settings, problems);
    settings_destroy(settings);
}

Test(settings_sinks, only_the_file_can_hold_them)
{
    cr_assert_null(settings_load(NULL, ENVIRONMENT("SLUICE_SINKS=crm"), 0, NULL, &problems));
    ASSERT_MENTIONS(problems, "only the file can hold its parts");
}

static bool keys_of_file(const char *text, size_t length, struct buffer *why)
{
    char *file = file_with(text, length);
    struct sink_settings sink = { .secret = (char[]){ "" }, .secret_file = file };
    struct sink_keys *keys;
    bool is_good = settings_sink_keys(&sink, &keys, why);
    cr_assert_eq(is_good, keys != NULL);
    sink_keys_destroy(keys);
    unlink(file);
    free(file);
    return is_good;
}

Test(settings_sinks, keys_from_files)
{
    static char large[5000];
    struct buffer why = { 0 };
    cr_assert(keys_of_file("0123456789abcdef\n", 17, &why));
    cr_assert_not(keys_of_file("", 0, &why));
    cr_assert_not(keys_of_file("short\n", 6, &why));
    cr_assert_not(keys_of_file(large, sizeof(large), &why));
    buffer_free(&why);
}
