#include "settings_fixture.h"

static struct settings_problems problems;

static void forget_problems(void)
{
    buffer_free(&problems.text);
    problems.count = 0;
}
TestSuite(settings_lists, .fini = forget_problems);

static struct settings *load(const char *text)
{
    forget_problems();
    char *file = file_with(text, strlen(text));
    struct settings *settings = settings_load(file, NO_ENVIRONMENT, 0, NULL, &problems);
    unlink(file);
    free(file);
    return settings;
}

static const struct stream_settings *stream_at(const struct settings *settings, size_t index)
{
    cr_assert_lt(index, settings->streams.count);
    return (const struct stream_settings *)settings->streams.items + index;
}

Test(settings_lists, names_and_mappings_stand_in_one_list)
{
    struct settings *settings = load("streams:\n"
                                     "  - emails\n"
                                     "  - name: orders\n"
                                     "    maxlen: 50000\n"
                                     "    groups: [billing, mail]\n"
                                     "  - { name: \"with, comma\", groups: one }\n");
    ASSERT_LOADED(settings, problems);
    cr_assert_eq(settings->streams.count, 3);
    cr_assert_str_eq(stream_at(settings, 0)->name, "emails");
    cr_assert_eq(stream_at(settings, 0)->maxlen, 0);
    cr_assert_str_eq(stream_at(settings, 0)->groups, "");
    cr_assert_str_eq(stream_at(settings, 1)->name, "orders");
    cr_assert_eq(stream_at(settings, 1)->maxlen, 50000);
    cr_assert_str_eq(stream_at(settings, 1)->groups, "billing,mail");
    cr_assert_str_eq(stream_at(settings, 2)->name, "with, comma");

    struct buffer summary = { 0 };
    settings_append_summary(settings, &summary);
    static const char written[] =
        "emails, {name: orders, maxlen: 50000, groups: [billing,mail]}, {name: with, comma, groups: [one]}";
    cr_assert_not_null(memmem(summary.data, summary.size, written, strlen(written)), "%.*s",
                       (int)summary.size, summary.data);
    buffer_free(&summary);
    settings_destroy(settings);
}

Test(settings_lists, names_come_from_the_environment_and_flags)
{
    struct settings *settings = settings_load(NULL, ENVIRONMENT("SLUICE_STREAMS=a, b"), 0, NULL, &problems);
    ASSERT_LOADED(settings, problems);
    cr_assert_eq(settings->streams.count, 2);
    cr_assert_str_eq(stream_at(settings, 1)->name, "b");
    settings_destroy(settings);

    settings = settings_load(NULL, ENVIRONMENT("SLUICE_STREAMS=a,b"), 2, FLAGS("--streams", "c"), &problems);
    ASSERT_LOADED(settings, problems);
    cr_assert_eq(settings->streams.count, 1);
    cr_assert_str_eq(stream_at(settings, 0)->name, "c");
    settings_destroy(settings);

    settings = settings_load(NULL, ENVIRONMENT("SLUICE_STREAMS="), 0, NULL, &problems);
    ASSERT_LOADED(settings, problems);
    cr_assert_eq(settings->streams.count, 0);
    settings_destroy(settings);

    cr_assert_null(settings_load(NULL, ENVIRONMENT("SLUICE_STREAMS=a,,b"), 0, NULL, &problems));
    ASSERT_MENTIONS(problems, "SLUICE_STREAMS: streams cannot be \"a,,b\": it needs a name");
}

Test(settings_lists, shapes_that_will_not_do_say_where_and_why)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        { "streams:\n  - emails\n  - {nam: orders}\n",
          ":3: streams: there is no key \"nam\" here, only name, maxlen, groups" },
        { "streams:\n  - maxlen: 5\n", ":2: streams: it needs a name" },
        { "streams:\n  -\n", ":2: streams: it needs a name" },
        { "streams:\n  - name: a\n    maxlen: many\n",
          ":3: maxlen cannot be \"many\": write a whole number" },
        { "streams:\n  - name: a\n    maxlen: 1000000001\n", "the most is 1000000000" },
        { "streams:\n  - name: a\n    name: b\n", ":3: streams: name stands here twice" },
        { "streams: [a, b, a]\n", ":1: streams: the name a stands there twice" },
        { "streams: [[a]]\n", ":1: streams: write a name or a mapping such as {name: …}" },
        { "streams:\n  name: a\n", ":1: streams needs a list" },
        { "streams: [{name: [a]}]\n", ":1: name needs one plain value" },
        { "streams: [{name: a, groups: {b: c}}]\n", ":1: groups needs one plain value" },
        { "streams: [{name: a, groups: [b, '']}]\n", "one of the names is empty" },
        { "streams: [{name: a, groups: 'b,'}]\n", "one of the names is empty" },
        { "streams: [{name: a, groups: 'b, c'}]\n", "leave out the space around the names" },
        { "streams: [{[a]: b}]\n", ":1: streams: a key must be plain text" },
        { "streams: [{name: \"a\\nb\"}]\n", "control character" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_null(load(cases[i].text), "%s was taken", cases[i].text);
        cr_assert_eq(problems.count, 1, "%s: %.*s", cases[i].text, (int)problems.text.size,
                     problems.text.data);
        ASSERT_MENTIONS(problems, cases[i].message);
    }
}

Test(settings_lists, a_list_has_a_bound)
{
    struct buffer text = { 0 };
    buffer_append_text(&text, "streams:\n");
    for (unsigned i = 0; i < 257; i++)
        buffer_printf(&text, "  - stream%u\n", i);
    buffer_append_byte(&text, '\0');
    cr_assert_null(load(text.data));
    ASSERT_MENTIONS(problems, ":258: streams: there may be 256 of them at most");
    buffer_free(&text);
}

Test(settings_lists, a_list_is_compared_by_what_it_says)
{
    struct settings *settings = load("streams: [a, {name: b, maxlen: 5}]\n");
    struct settings *same = load("streams:\n  - a\n  - name: b\n    maxlen: 5\n");
    struct settings *other = load("streams: [a, {name: b, maxlen: 6}]\n");
    const struct setting *streams = settings_find("streams", strlen("streams"));
    cr_assert(setting_equal(settings, same, streams));
    cr_assert_not(setting_equal(settings, other, streams));

    struct buffer changed = { 0 }, needs_restart = { 0 };
    settings_reload(settings, other, &changed, &needs_restart);
    cr_assert_eq(changed.size + needs_restart.size, strlen("streams"));
    buffer_free(&changed);
    buffer_free(&needs_restart);
    settings_destroy(settings);
    settings_destroy(same);
    settings_destroy(other);
}

/* ---- a list of mappings only, with pairs and secrets: what settings.h need not have to hold true ---- */

struct door {
    char *url;
    char *headers;
    char *secret;
};

static const struct setting door_fields[] = {
    { .name = "url",
      .kind = SETTING_TEXT,
      .fallback = "",
      .offset = offsetof(struct door, url),
      .required = true },
    { .name = "headers",
      .kind = SETTING_PAIRS,
      .fallback = "",
      .offset = offsetof(struct door, headers),
      .secret = true },
    { .name = "secret",
      .kind = SETTING_TEXT,
      .fallback = "",
      .offset = offsetof(struct door, secret),
      .secret = true },
};
static const struct setting_record door_record = { .fields = door_fields,
                                                   .field_count = 3,
                                                   .size = sizeof(struct door) };
static const struct setting doors = {
    .name = "doors", .kind = SETTING_RECORDS, .fallback = "", .record = &door_record, .maximum = 2
};

Test(settings_lists, secrets_in_a_record_are_not_shown)
{
    struct setting_records records = { 0 };
    struct buffer out = { 0 };
    struct door *door = setting_records_add(&doors, &records, &out);
    cr_assert_not_null(door);
    cr_assert_not(setting_records_check_last(&doors, &records, &out));
    cr_assert(memmem(out.data, out.size, "it needs a url", 14));
    static const char *const values[] = { "http://a/b", "Authorization: Bearer x\nAccept: y\n", "hush" };
    for (size_t i = 0; i < 3; i++)
        cr_assert(setting_assign(door, &door_fields[i], values[i], strlen(values[i]), &out));
    cr_assert(setting_records_check_last(&doors, &records, &out));
    buffer_reset(&out);
    setting_records_append(&doors, &records, &out);
    static const char written[] =
        "{url: http://a/b, headers: {Authorization: ***, Accept: ***}, secret: ***}";
    cr_assert_eq(out.size, strlen(written));
    cr_assert_eq(memcmp(out.data, written, out.size), 0, "%.*s", (int)out.size, out.data);
    buffer_reset(&out);
    cr_assert_not(setting_records_assign(&doors, &records, "http://a/b", 10, &out));
    cr_assert(memmem(out.data, out.size, "only the file can hold its parts", 32));
    cr_assert(setting_records_add(&doors, &records, &out));
    cr_assert_null(setting_records_add(&doors, &records, &out));
    setting_records_clear(&doors, &records);
    buffer_free(&out);
}
