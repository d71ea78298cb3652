#include "settings_fixture.h"

static struct settings_problems problems;

static void forget_problems(void)
{
    buffer_free(&problems.text);
    problems.count = 0;
}
TestSuite(settings_file, .fini = forget_problems);

static struct settings *load_bytes(const char *text, size_t length)
{
    forget_problems();
    char *file = file_with(text, length);
    struct settings *settings = settings_load(file, NO_ENVIRONMENT, 0, NULL, &problems);
    unlink(file);
    free(file);
    return settings;
}

static struct settings *load(const char *text)
{
    return load_bytes(text, strlen(text));
}

Test(settings_file, values_of_every_kind)
{
    struct settings *settings = load("# a comment\n"
                                     "listen: \"[::1]:8000\"\n"
                                     "heartbeat: 250ms\n"
                                     "body_bytes_max: 64KiB\n"
                                     "clients_max: 12\n"
                                     "access_log: no\n"
                                     "log_format: json\n"
                                     "origin_url: ~\n"
                                     "redis_tls_ca_file:\n"
                                     "cors_origins: [\"https://a.example\", 'https://b.example']\n");
    ASSERT_LOADED(settings, problems);
    cr_assert_str_eq(settings->listen, "[::1]:8000");
    cr_assert_eq(settings->heartbeat_ms, 250);
    cr_assert_eq(settings->body_bytes_max, 65536);
    cr_assert_eq(settings->clients_max, 12);
    cr_assert(!settings->access_log);
    cr_assert_eq(settings->log_format, LOG_FORMAT_JSON);
    cr_assert_str_eq(settings->origin_url, "");
    cr_assert_str_eq(settings->cors_origins, "https://a.example,https://b.example");
    settings_destroy(settings);
}

Test(settings_file, nothing_in_it_is_all_defaults)
{
    static const char *const texts[] = { "", "\n", "# only a comment\n", "---\n", "{}\n" };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct settings *settings = load(texts[i]);
        ASSERT_LOADED(settings, problems);
        settings_destroy(settings);
    }
}

Test(settings_file, all_problems_at_once_each_with_its_line)
{
    cr_assert_null(load("heartbeet: 15s\n"
                        "\n"
                        "heartbeat: fast\n"
                        "retry_min: 2s\n"
                        "log_level: loud\n"
                        "retry_min: 3s\n"
                        "listen: :8000\n"));
    cr_assert_eq(problems.count, 5);
    ASSERT_MENTIONS(problems, ":1: there is no setting \"heartbeet\"; did you mean heartbeat?");
    ASSERT_MENTIONS(problems, ":3: heartbeat cannot be \"fast\"");
    ASSERT_MENTIONS(problems, ":5: log_level cannot be \"loud\"");
    ASSERT_MENTIONS(problems, ":6: retry_min stands here and on line 4; keep one");
    ASSERT_MENTIONS(problems, ":7: listen is :8000");
}

Test(settings_file, shapes_that_are_not_settings)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        { "redis:\n  url: redis://x\n", ":1: there is no setting \"redis\"; settings are not nested" },
        { "heartbeat:\n  every: 15s\n", ":1: heartbeat needs one plain value, such as heartbeat: 15s" },
        { "heartbeat: [1s, 2s]\n", ":1: heartbeat needs one plain value" },
        { "cors_origins:\n  - {a: b}\n", ":1: cors_origins needs one plain value" },
        { "- listen\n- redis_url\n", ":1: must hold lines such as listen:" },
        { "just text\n", ":1: must hold lines" },
        { "? [a, b]\n: c\n", ":1: the name of a setting must be plain text" },
        { "heartbeat: 1s\n---\nheartbeat: 2s\n", "a second YAML document begins" },
        { "heartbeat: 1s\n  bad: indent\n", ":2: is not YAML" },
        { "heartbeat: \"1s\n", "is not YAML" },
        { "\theartbeat: 1s\n", ":1: is not YAML" },
        { "heartbeat: *nowhere\n", ":1: is not YAML" },
        { "heartbeat:\n", ":1: heartbeat cannot be \"\"" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_null(load(cases[i].text), "taken:\n%s", cases[i].text);
        ASSERT_MENTIONS(problems, cases[i].message);
    }
}

Test(settings_file, bytes_that_are_not_text)
{
    cr_assert_null(load_bytes("heartbeat: \xff\xfe\n", 14));
    ASSERT_MENTIONS(problems, "is not text in UTF-8");
    cr_assert_null(load_bytes("listen: \"a\\0b:80\"\n", 18));
    ASSERT_MENTIONS(problems, "control character");
    cr_assert_null(load_bytes("\0\0\0\0", 4));
    cr_assert_gt(problems.count, 0);
}

Test(settings_file, anchors_do_not_multiply)
{
    struct settings *settings = load("retry_min: &a 2s\nretry_max: *a\n");
    ASSERT_LOADED(settings, problems);
    cr_assert_eq(settings->retry_max_ms, 2000);
    settings_destroy(settings);
}

Test(settings_file, a_file_that_cannot_be_read)
{
    cr_assert_null(settings_load("/nonexistent/sluice.yml", NO_ENVIRONMENT, 0, NULL, &problems));
    ASSERT_MENTIONS(problems, "/nonexistent/sluice.yml: cannot be opened: No such file or directory");
    forget_problems();
    cr_assert_null(settings_load("/tmp", NO_ENVIRONMENT, 0, NULL, &problems));
    ASSERT_MENTIONS(problems, "/tmp: cannot be read: Is a directory");
    size_t large = 300 * 1024;
    char *text = malloc(large);
    memset(text, '#', large);
    cr_assert_null(load_bytes(text, large));
    ASSERT_MENTIONS(problems, "is larger than 256 KiB");
    free(text);
}

/* config/sluice.yml documents every setting with its default. */
Test(settings_file, the_file_of_all_settings_is_complete_and_right)
{
    const char *file = SOURCE_ROOT "/config/sluice.yml";
    struct settings *settings = settings_load(file, NO_ENVIRONMENT, 0, NULL, &problems);
    ASSERT_LOADED(settings, problems);
    struct settings *defaults = settings_load(NULL, NO_ENVIRONMENT, 0, NULL, &problems);
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        struct buffer value = { 0 }, expected = { 0 };
        setting_append_value(settings, setting, &value);
        setting_append_value(defaults, setting, &expected);
        cr_assert_eq(value.size, expected.size, "%s is not its default", setting->name);
        cr_assert(value.size == 0 || memcmp(value.data, expected.data, value.size) == 0,
                  "%s is not its default", setting->name);
        cr_assert_neq(strcmp(setting_origin(settings, setting), "default"), 0, "%s is missing",
                      setting->name);
        buffer_free(&value);
        buffer_free(&expected);
    }
    settings_destroy(settings);
    settings_destroy(defaults);
}

Test(settings_file, the_production_example_passes)
{
    struct settings *settings =
        settings_load(SOURCE_ROOT "/config/production.yml", NO_ENVIRONMENT, 0, NULL, &problems);
    ASSERT_LOADED(settings, problems);
    cr_assert_str_eq(settings->cors_origins, "https://app.example.com");
    settings_destroy(settings);
}

/* A default is written in the table as it would be shown. */
Test(settings_file, defaults_round_trip)
{
    struct settings *settings = settings_load(NULL, NO_ENVIRONMENT, 0, NULL, &problems);
    for (size_t i = 0; i < settings_count; i++) {
        struct buffer value = { 0 };
        setting_append_value(settings, &settings_table[i], &value);
        buffer_append_byte(&value, '\0');
        cr_assert_str_eq(value.data, settings_table[i].fallback);
        buffer_free(&value);
    }
    settings_destroy(settings);
}
