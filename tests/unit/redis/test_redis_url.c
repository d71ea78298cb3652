#include "redis/redis_url.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct expected {
    const char *text, *host, *user, *password, *display;
    unsigned port, database;
    bool is_unix, is_tls;
};

static void same(const char *given, const char *expected, const char *text)
{
    if (expected)
        cr_assert(given && strcmp(given, expected) == 0, "%s: %s", text, given ? given : "(none)");
    else
        cr_assert_null(given, "%s: %s", text, given);
}

Test(redis_url, reads_what_people_write)
{
    static const struct expected cases[] = {
        { .text = "redis://localhost",
          .host = "localhost",
          .port = 6379,
          .display = "redis://localhost:6379/0" },
        { .text = "redis://localhost/",
          .host = "localhost",
          .port = 6379,
          .display = "redis://localhost:6379/0" },
        { .text = "REDIS://h:1/2", .host = "h", .port = 1, .database = 2, .display = "redis://h:1/2" },
        { .text = "redis://h?db=4", .host = "h", .port = 6379, .database = 4, .display = "redis://h:6379/4" },
        { .text = "rediss://h", .host = "h", .port = 6379, .is_tls = true, .display = "rediss://h:6379/0" },
        { .text = "redis://[::1]:7000/1",
          .host = "::1",
          .port = 7000,
          .database = 1,
          .display = "redis://[::1]:7000/1" },
        { .text = "redis://[fe80::1]",
          .host = "fe80::1",
          .port = 6379,
          .display = "redis://[fe80::1]:6379/0" },
        { .text = "redis://user@h",
          .host = "h",
          .port = 6379,
          .user = "user",
          .display = "redis://h:6379/0" },
        { .text = "redis://:secret@h",
          .host = "h",
          .port = 6379,
          .password = "secret",
          .display = "redis://h:6379/0" },
        { .text = "redis://u:@h",
          .host = "h",
          .port = 6379,
          .user = "u",
          .password = "",
          .display = "redis://h:6379/0" },
        { .text = "redis://u%40x:p%3A%2F%25@h:6380",
          .host = "h",
          .port = 6380,
          .user = "u@x",
          .password = "p:/%",
          .display = "redis://h:6380/0" },
        { .text = "redis://u:p@ss:w@h",
          .host = "h",
          .port = 6379,
          .user = "u",
          .password = "p@ss:w",
          .display = "redis://h:6379/0" },
        { .text = "unix:///run/redis.sock",
          .host = "/run/redis.sock",
          .is_unix = true,
          .display = "unix:///run/redis.sock?db=0" },
        { .text = "unix:///a%20b.sock?db=5",
          .host = "/a b.sock",
          .database = 5,
          .is_unix = true,
          .display = "unix:///a b.sock?db=5" },
        { .text = "unix://u:p@/run/r.sock",
          .host = "/run/r.sock",
          .user = "u",
          .password = "p",
          .is_unix = true,
          .display = "unix:///run/r.sock?db=0" },
        { .text = "redis://h:65535/0", .host = "h", .port = 65535, .display = "redis://h:65535/0" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct expected *expected = &cases[i];
        struct redis_url url;
        const char *problem = NULL;
        cr_assert(redis_url_parse(expected->text, &url, &problem), "%s: %s", expected->text, problem);
        same(url.host, expected->host, expected->text);
        same(url.user, expected->user, expected->text);
        same(url.password, expected->password, expected->text);
        cr_assert_eq(url.port, expected->port, "%s", expected->text);
        cr_assert_eq(url.database, expected->database, "%s", expected->text);
        cr_assert_eq(url.is_unix, expected->is_unix, "%s", expected->text);
        cr_assert_eq(url.is_tls, expected->is_tls, "%s", expected->text);
        char *display = redis_url_display(&url);
        same(display, expected->display, expected->text);
        free(display);
        redis_url_clear(&url);
    }
}

Test(redis_url, refuses_what_it_cannot_mean)
{
    static const char *const cases[] = {
        "",
        "localhost:6379",
        "http://localhost",
        "redis:/localhost",
        "redis://",
        "redis:///0",
        "redis://:pw@",
        "redis://h:",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:port",
        "redis://h:6379/x",
        "redis://h:6379/-1",
        "redis://h/1/2",
        "redis://h/99999999999999999999",
        "redis://h?x=1",
        "redis://h?db=",
        "redis://::1",
        "redis://[::1",
        "redis://[::1]x",
        "redis://[]:1",
        "redis://u:p%4@h",
        "redis://u:p%@h",
        "redis://u:p%zz@h",
        "redis://u:p%00@h",
        "redis://u:pa/ss@h",
        "redis://a b",
        "redis://a\nb",
        "unix://",
        "unix://run/redis.sock",
        "unix:///run/%00redis.sock",
        "unix:///r?database=1",
        "redis://h?sentinel_password=x",
        "redis+sentinel://h:26379",
        "redis+sentinel://h:26379/",
        "redis+sentinel://h//0",
        "redis+sentinel:///mymaster",
        "redis+sentinel://a,,b/mymaster",
        "redis+sentinel://a,/mymaster",
        "redis+sentinel://a:0/mymaster",
        "redis+sentinel://a/my%00master",
        "redis+sentinel://a/mymaster/x",
        "redis+sentinel://a/mymaster?db=x",
        "redis+sentinel://a/mymaster?name=x",
        "redis+sentinel://a/mymaster?sentinel_user=x&sentinel_user=y",
        "redis+sentinel://a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a/mymaster",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct redis_url url = { .port = 4711 };
        const char *problem = NULL;
        cr_assert_not(redis_url_parse(cases[i], &url, &problem), "%s", cases[i]);
        cr_assert_not_null(problem);
        cr_assert_eq(url.port, 4711, "left alone");
    }
}

Test(redis_url, reads_sentinels)
{
    static const char text[] = "redis+sentinel://u:p%40@one,[::1]:5000,three:26380/my%2Fmaster/3"
                               "?sentinel_user=s&sentinel_password=t%26";
    struct redis_url url;
    const char *problem = NULL;
    cr_assert(redis_url_parse(text, &url, &problem), "%s", problem);
    cr_assert_null(url.host);
    cr_assert_not(url.is_tls);
    same(url.user, "u", text);
    same(url.password, "p@", text);
    same(url.master_name, "my/master", text);
    same(url.sentinel_user, "s", text);
    same(url.sentinel_password, "t&", text);
    cr_assert_eq(url.database, 3);
    cr_assert_eq(url.sentinel_count, 3);
    same(url.sentinels[0].host, "one", text);
    same(url.sentinels[1].host, "::1", text);
    same(url.sentinels[2].host, "three", text);
    cr_assert_eq(url.sentinels[0].port, 26379);
    cr_assert_eq(url.sentinels[1].port, 5000);
    cr_assert_eq(url.sentinels[2].port, 26380);
    char *display = redis_url_display(&url);
    same(display, "redis+sentinel://one:26379,[::1]:5000,three:26380/my/master/3", text);
    free(display);
    redis_url_clear(&url);

    cr_assert(redis_url_parse("rediss+sentinel://h/m?db=2", &url, &problem), "%s", problem);
    cr_assert(url.is_tls);
    cr_assert_eq(url.database, 2);
    redis_url_clear(&url);
}

Test(redis_url, never_repeats_the_password_in_a_problem)
{
    static const char *const cases[] = { "redis://u:hunter2@h:x", "redis://:hunter2@", "redis://u:hunter2%@h",
                                         "hunter2", "redis+sentinel://h/m?sentinel_password=hunter2&x" };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct redis_url url;
        const char *problem = NULL;
        cr_assert_not(redis_url_parse(cases[i], &url, &problem));
        cr_assert_null(strstr(problem, "hunter2"));
    }
}

Test(redis_url, bounds_host_and_path)
{
    char text[1024];
    struct redis_url url;
    const char *problem = NULL;
    snprintf(text, sizeof(text), "redis://%0255d", 1);
    cr_assert(redis_url_parse(text, &url, &problem));
    redis_url_clear(&url);
    snprintf(text, sizeof(text), "redis://%0256d", 1);
    cr_assert_not(redis_url_parse(text, &url, &problem));
    snprintf(text, sizeof(text), "unix:///%0106d", 1);
    cr_assert(redis_url_parse(text, &url, &problem));
    redis_url_clear(&url);
    snprintf(text, sizeof(text), "unix:///%0107d", 1);
    cr_assert_not(redis_url_parse(text, &url, &problem));
}
