#include "settings_fixture.h"

static struct settings_problems problems;

static void forget_problems(void)
{
    buffer_free(&problems.text);
    problems.count = 0;
}
TestSuite(settings, .fini = forget_problems);

Test(settings, defaults_are_those_of_the_contract)
{
    struct settings *settings = settings_load(NULL, NO_ENVIRONMENT, 0, NULL, &problems);
    ASSERT_LOADED(settings, problems);
    cr_assert_str_eq(settings->listen, "127.0.0.1:8000");
    cr_assert_str_eq(settings->redis_url, "redis://localhost:6379");
    cr_assert(settings->redis_tls_verify);
    cr_assert_str_eq(settings->access, "");
    cr_assert_eq(settings->heartbeat_ms, 15000);
    cr_assert_eq(settings->body_bytes_max, 1024 * 1024);
    cr_assert_eq(settings->batch_slow_policy, SLOW_POLICY_LATEST);
    cr_assert_eq(settings->log_level, LOG_LEVEL_INFO);
    cr_assert_eq(settings->snapshot_ttl_ms, 10000);
    cr_assert_eq(settings->idempotency_window_ms, 600000);
    cr_assert_eq(settings->stream_maxlen, 10000);
    settings_destroy(settings);
}

Test(settings, flags_win_over_environment_over_file_over_default)
{
    static const char text[] = "heartbeat: 20s\nretry_min: 2s\nreplay_messages: 7\n";
    char *file = file_with(text, sizeof(text) - 1);
    struct settings *settings =
        settings_load(file, ENVIRONMENT("SLUICE_HEARTBEAT=30s", "SLUICE_RETRY_MIN=3s", "HOME=/"), 3,
                      FLAGS("--heartbeat", "40s", "--access-log=off"), &problems);
    ASSERT_LOADED(settings, problems);
    cr_assert_eq(settings->heartbeat_ms, 40000);
    cr_assert_eq(settings->retry_min_ms, 3000);
    cr_assert_eq(settings->replay_messages, 7);
    cr_assert_eq(settings->retry_max_ms, 5000);
    cr_assert(!settings->access_log);
    cr_assert_str_eq(setting_origin(settings, settings_find("heartbeat", 9)), "--heartbeat");
    cr_assert_str_eq(setting_origin(settings, settings_find("retry_min", 9)), "SLUICE_RETRY_MIN");
    cr_assert_str_eq(setting_origin(settings, settings_find("retry_max", 9)), "default");
    settings_destroy(settings);
    unlink(file);
    free(file);
}

Test(settings, port_and_redis_url_are_taken_as_everybody_writes_them)
{
    struct settings *settings =
        settings_load(NULL, ENVIRONMENT("PORT=9001", "REDIS_URL=redis://cache:7000/2"), 0, NULL, &problems);
    ASSERT_LOADED(settings, problems);
    cr_assert_str_eq(settings->listen, "127.0.0.1:9001");
    cr_assert_str_eq(settings->redis_url, "redis://cache:7000/2");
    settings_destroy(settings);

    settings = settings_load(NULL,
                             ENVIRONMENT("SLUICE_LISTEN=127.0.0.1:9002", "PORT=9001",
                                         "SLUICE_REDIS_URL=redis://a", "REDIS_URL=redis://b"),
                             0, NULL, &problems);
    ASSERT_LOADED(settings, problems);
    cr_assert_str_eq(settings->listen, "127.0.0.1:9002");
    cr_assert_str_eq(settings->redis_url, "redis://a");
    settings_destroy(settings);
}

Test(settings, port_keeps_the_address_of_the_file)
{
    static const char text[] = "listen: 0.0.0.0:8000\naccess: open\n";
    char *file = file_with(text, sizeof(text) - 1);
    struct settings *settings = settings_load(file, ENVIRONMENT("PORT=9001"), 0, NULL, &problems);
    ASSERT_LOADED(settings, problems);
    cr_assert_str_eq(settings->listen, "0.0.0.0:9001");
    settings_destroy(settings);
    unlink(file);
    free(file);

    cr_assert_null(settings_load(NULL, ENVIRONMENT("PORT=http"), 0, NULL, &problems));
    ASSERT_MENTIONS(problems, "PORT: listen cannot be \"127.0.0.1:http\"");
}

Test(settings, text_comes_from_a_file_of_its_own)
{
    char *secret = file_with("redis://:top@cache:6379\n", 24);
    char variable[128];
    snprintf(variable, sizeof(variable), "SLUICE_REDIS_URL_FILE=%s", secret);
    struct settings *settings =
        settings_load(NULL, ENVIRONMENT(variable, "REDIS_URL=redis://other"), 0, NULL, &problems);
    ASSERT_LOADED(settings, problems);
    cr_assert_str_eq(settings->redis_url, "redis://:top@cache:6379");
    settings_destroy(settings);

    cr_assert_null(
        settings_load(NULL, ENVIRONMENT(variable, "SLUICE_REDIS_URL=redis://x"), 0, NULL, &problems));
    ASSERT_MENTIONS(problems, "SLUICE_REDIS_URL_FILE: SLUICE_REDIS_URL is set too");
    forget_problems();

    cr_assert_null(
        settings_load(NULL, ENVIRONMENT("SLUICE_REDIS_URL_FILE=/nonexistent/secret"), 0, NULL, &problems));
    ASSERT_MENTIONS(problems, "/nonexistent/secret cannot be opened: No such file");
    forget_problems();

    cr_assert_null(
        settings_load(NULL, ENVIRONMENT("SLUICE_HEARTBEAT_FILE=/etc/hostname"), 0, NULL, &problems));
    ASSERT_MENTIONS(problems, "SLUICE_HEARTBEAT_FILE: there is no such setting");
    unlink(secret);
    free(secret);
}

Test(settings, unknown_variables_are_problems_with_a_suggestion)
{
    cr_assert_null(settings_load(
        NULL, ENVIRONMENT("SLUICE_HEARTBEET=1s", "SLUICE_ZZZZZZZZ=1", "SLUICE_PORT=8000", "SLUICE_CONFIG=/x"),
        0, NULL, &problems));
    cr_assert_eq(problems.count, 3);
    ASSERT_MENTIONS(problems, "SLUICE_HEARTBEET: there is no such setting; did you mean SLUICE_HEARTBEAT?");
    ASSERT_MENTIONS(problems, "SLUICE_ZZZZZZZZ: there is no such setting");
    ASSERT_MENTIONS(problems, "SLUICE_PORT: there is no such setting; did you mean SLUICE_LISTEN?");
}

Test(settings, variables_that_kubernetes_sets_for_a_service_called_sluice_are_left_alone)
{
    struct settings *settings =
        settings_load(NULL,
                      ENVIRONMENT("SLUICE_SERVICE_HOST=10.0.0.1", "SLUICE_SERVICE_PORT=8000",
                                  "SLUICE_SERVICE_PORT_HTTP=8000", "SLUICE_PORT=tcp://10.0.0.1:8000",
                                  "SLUICE_PORT_8000_TCP_ADDR=10.0.0.1"),
                      0, NULL, &problems);
    ASSERT_LOADED(settings, problems);
    settings_destroy(settings);
}

Test(settings, absurdly_long_variables_are_problems_not_overflows)
{
    char variable[4096] = "SLUICE_";
    memset(variable + 7, 'A', sizeof(variable) - 10);
    variable[sizeof(variable) - 3] = '=';
    variable[sizeof(variable) - 2] = '\0';
    cr_assert_null(settings_load(NULL, ENVIRONMENT(variable, "SLUICE_NO_EQUALS_SIGN"), 0, NULL, &problems));
    cr_assert_eq(problems.count, 2);
}

Test(settings, flags_that_are_wrong_say_so)
{
    char long_flag[512] = "--";
    memset(long_flag + 2, 'x', sizeof(long_flag) - 3);
    cr_assert_null(settings_load(
        NULL, NO_ENVIRONMENT, 7,
        FLAGS("--heartbet", "1s", "surplus", "--log-level", "--zzzzzzzz=1", long_flag, "--="), &problems));
    ASSERT_MENTIONS(problems, "--heartbet: there is no such flag; did you mean --heartbeat?");
    ASSERT_MENTIONS(problems, "surplus: is not understood here");
    ASSERT_MENTIONS(problems, "--log-level: needs a value, such as --log-level info");
    ASSERT_MENTIONS(problems, "--zzzzzzzz: there is no such flag; sluice --help lists them all");
    cr_assert_eq(problems.count, 6);
}

Test(settings, bad_values_say_what_would_do)
{
    static const struct {
        const char *flag;
        const char *message;
    } cases[] = {
        { "--heartbeat=fast", "heartbeat cannot be \"fast\": write a duration such as 250ms" },
        { "--heartbeat=", "heartbeat cannot be \"\": write a duration" },
        { "--heartbeat=1ms", "the least is 100ms" },
        { "--heartbeat=2h", "the most is 10m" },
        { "--heartbeat=-5s", "write a duration" },
        { "--heartbeat=99999999999999999999s", "write a duration" },
        { "--body-bytes-max=1GiB", "the most is 64MiB" },
        { "--body-bytes-max=lots", "write a size" },
        { "--connections-max=0", "the least is 1" },
        { "--connections-max=1.5", "write a whole number" },
        { "--log-level=loud", "write one of debug, info, warn, error" },
        { "--access-log=maybe", "write on or off" },
        { "--redis-tls-ca-file=/nonexistent/ca.pem", "it cannot be read: No such file" },
        { "--access=closed", "write open, or leave it empty" },
        { "--cors-origins=a\nb", "control character" },
        { "--listen=8000", "write host:port" },
        { "--listen=localhost", "write host:port" },
        { "--listen=127.0.0.1:65536", "write host:port" },
        { "--listen=::1:80", "write host:port" },
        { "--listen=unix:relative", "absolute path" },
        { "--origin-url=ftp://app/{id}", "http://" },
        { "--origin-url=http:///{id}", "http://" },
        { "--origin-url=http://app/batches", "{id}" },
        { "--origin-url=http://app:99999/{id}", "host and port" },
        { "--jwt-jwks-url=https://id:port/jwks", "host and port" },
        { "--origin-url=http://{id}/batches", "{id}" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct settings *settings =
            settings_load(NULL, NO_ENVIRONMENT, 1, FLAGS((char *)cases[i].flag), &problems);
        cr_assert_null(settings, "%s was taken", cases[i].flag);
        cr_assert_eq(problems.count, 1, "%s: %u problems", cases[i].flag, problems.count);
        ASSERT_MENTIONS(problems, cases[i].message);
        forget_problems();
    }
}

Test(settings, a_password_is_never_shown)
{
    cr_assert_null(
        settings_load(NULL, ENVIRONMENT("REDIS_URL=http://joe:hunter2@cache"), 0, NULL, &problems));
    cr_assert(!mentions(&problems, "hunter2"));
    forget_problems();

    struct settings *settings =
        settings_load(NULL, ENVIRONMENT("REDIS_URL=redis://joe:hunter2@cache:6379/1"), 0, NULL, &problems);
    ASSERT_LOADED(settings, problems);
    struct buffer summary = { 0 };
    settings_append_summary(settings, &summary);
    cr_assert_null(memmem(summary.data, summary.size, "hunter2", 7));
    cr_assert_not_null(memmem(summary.data, summary.size, "redis://***@cache:6379/1", 24));
    cr_assert_not_null(memmem(summary.data, summary.size, "# REDIS_URL", 11));
    settings_destroy(settings);

    buffer_reset(&summary);
    settings = settings_load(
        NULL,
        ENVIRONMENT("REDIS_URL=redis+sentinel://u:hunter2@one,two:1/main/3?db=1&sentinel_password=h@nter3"),
        0, NULL, &problems);
    ASSERT_LOADED(settings, problems);
    settings_append_summary(settings, &summary);
    cr_assert_null(memmem(summary.data, summary.size, "nter", 4));
    static const char shown[] = "redis+sentinel://***@one,two:1/main/3?***";
    cr_assert_not_null(memmem(summary.data, summary.size, shown, sizeof(shown) - 1));
    buffer_free(&summary);
    settings_destroy(settings);
}

Test(settings, the_network_is_listened_on_only_when_access_is_open)
{
    static const char *const exposed[] = { ":8000",       "0.0.0.0:8000",       "[::]:8000",
                                           "10.1.2.3:80", "gateway.example:80", "[::ffff:1.2.3.4]:80" };
    for (size_t i = 0; i < sizeof(exposed) / sizeof(exposed[0]); i++) {
        cr_assert_null(
            settings_load(NULL, NO_ENVIRONMENT, 2, FLAGS("--listen", (char *)exposed[i]), &problems), "%s",
            exposed[i]);
        ASSERT_MENTIONS(
            problems,
            "access: open to let everybody on the network read and publish, or listen on 127.0.0.1");
        ASSERT_MENTIONS(problems,
                        "set jwt_secret (SLUICE_JWT_SECRET, or SLUICE_JWT_SECRET_FILE), jwt_key_file");
        ASSERT_MENTIONS(problems, "--listen: ");
        forget_problems();
        struct settings *settings = settings_load(
            NULL, NO_ENVIRONMENT, 4, FLAGS("--listen", (char *)exposed[i], "--access", "open"), &problems);
        ASSERT_LOADED(settings, problems);
        settings_destroy(settings);
    }
    static const char *const private[] = { "127.0.0.1:0", "127.9.9.9:80", "[::1]:8000", "localhost:8000",
                                           "unix:/run/sluice.sock" };
    for (size_t i = 0; i < sizeof(private) / sizeof(private[0]); i++) {
        struct settings *settings =
            settings_load(NULL, NO_ENVIRONMENT, 2, FLAGS("--listen", (char *)private[i]), &problems);
        ASSERT_LOADED(settings, problems);
        settings_destroy(settings);
    }
}

Test(settings, order_between_settings_is_checked)
{
    cr_assert_null(settings_load(NULL, NO_ENVIRONMENT, 4, FLAGS("--retry-min", "9s", "--snapshot-ttl", "2m"),
                                 &problems));
    cr_assert_eq(problems.count, 2);
    ASSERT_MENTIONS(problems, "--retry-min: retry_min (9s) is more than retry_max (5s)");
    ASSERT_MENTIONS(problems, "--snapshot-ttl: snapshot_ttl (2m) is more than snapshot_ttl_idle (60s)");
}

Test(settings, reload_takes_over_what_it_can_and_names_the_rest)
{
    struct settings *settings = settings_load(NULL, NO_ENVIRONMENT, 0, NULL, &problems);
    struct settings *fresh = settings_load(NULL,
                                           ENVIRONMENT("SLUICE_LOG_LEVEL=debug", "SLUICE_HEARTBEAT=20s",
                                                       "SLUICE_CORS_ORIGINS=*", "SLUICE_ACCESS_LOG=off",
                                                       "SLUICE_LISTEN=127.0.0.1:9", "REDIS_URL=redis://b"),
                                           0, NULL, &problems);
    struct buffer changed = { 0 }, needs_restart = { 0 };
    settings_reload(settings, fresh, &changed, &needs_restart);
    cr_assert_eq(settings->log_level, LOG_LEVEL_DEBUG);
    cr_assert_eq(settings->heartbeat_ms, 20000);
    cr_assert_str_eq(settings->cors_origins, "*");
    cr_assert(!settings->access_log);
    cr_assert_str_eq(settings->listen, "127.0.0.1:8000");
    cr_assert_str_eq(settings->redis_url, "redis://localhost:6379");
    cr_assert_eq(changed.size, strlen("cors_origins, log_level, access_log, heartbeat"));
    cr_assert(strncmp(changed.data, "cors_origins, log_level, access_log, heartbeat", changed.size) == 0);
    cr_assert(strncmp(needs_restart.data, "listen, redis_url", needs_restart.size) == 0);
    settings_destroy(fresh);
    cr_assert_str_eq(settings->cors_origins, "*");

    fresh = settings_load(NULL, NO_ENVIRONMENT, 0, NULL, &problems);
    buffer_reset(&changed);
    buffer_reset(&needs_restart);
    settings_reload(settings, fresh, &changed, &needs_restart);
    cr_assert_eq(settings->heartbeat_ms, 15000, "a value taken out of the file is the default again");
    cr_assert_eq(needs_restart.size, 0);
    buffer_free(&changed);
    buffer_free(&needs_restart);
    settings_destroy(fresh);
    settings_destroy(settings);
}

Test(settings, help_names_every_setting)
{
    struct buffer help = { 0 };
    settings_append_help(&help);
    cr_assert_not_null(memmem(help.data, help.size, "--snapshot-ttl-moving 5s  (100ms to 24h)", 40));
    cr_assert_not_null(memmem(help.data, help.size, "--batch-slow-policy latest  (disconnect, latest)", 48));
    for (size_t i = 0; i < settings_count; i++)
        cr_assert_not_null(
            memmem(help.data, help.size, settings_table[i].help, strlen(settings_table[i].help)));
    buffer_free(&help);
}

Test(settings, redis_can_be_replaced_for_dev)
{
    struct settings *settings = settings_load(NULL, NO_ENVIRONMENT, 0, NULL, &problems);
    cr_assert(settings_replace_redis_url(settings, "unix:///tmp/x.sock", "--dev"));
    cr_assert_str_eq(settings->redis_url, "unix:///tmp/x.sock");
    cr_assert(!settings_replace_redis_url(settings, "nonsense", "--dev"));
    settings_destroy(settings);
}
