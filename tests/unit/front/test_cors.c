#include "front/cors.h"

#include <criterion/criterion.h>

#include "front_text.h"

Test(cors, judge)
{
    static const char list[] = "https://a.example, http://localhost:3000,";
    cr_assert_eq(cors_judge(NULL, TEXT("https://a.example")), CORS_NONE);
    cr_assert_eq(cors_judge("", TEXT("https://a.example")), CORS_NONE);
    cr_assert_eq(cors_judge("  ", TEXT("https://a.example")), CORS_NONE);
    cr_assert_eq(cors_judge(list, (struct text){ 0 }), CORS_NONE);
    cr_assert_eq(cors_judge(list, TEXT("https://a.example")), CORS_ECHO);
    cr_assert_eq(cors_judge(list, TEXT("http://localhost:3000")), CORS_ECHO);
    cr_assert_eq(cors_judge(list, TEXT("http://a.example")), CORS_DENIED);
    cr_assert_eq(cors_judge(list, TEXT("https://a.example.evil")), CORS_DENIED);
    cr_assert_eq(cors_judge(list, TEXT("https://a.exampl")), CORS_DENIED);
    cr_assert_eq(cors_judge(list, TEXT("null")), CORS_DENIED);
    cr_assert_eq(cors_judge(list, TEXT("")), CORS_DENIED);
    cr_assert_eq(cors_judge("*", TEXT("https://a.example")), CORS_ANY);
    cr_assert_eq(cors_judge("https://a.example, *", TEXT("x")), CORS_ANY);
}

Test(cors, patterns)
{
    static const char list[] = "https://*.example.com,https://*.port.example:8443";
    static const char *const matching[] = { "https://a.example.com", "https://a.b-c.example.com",
                                            "https://1_x.example.com", "https://a.port.example:8443" };
    static const char *const others[] = {
        "https://example.com",
        "https://.example.com",
        "https://a..example.com",
        "https://.a.example.com",
        "http://a.example.com",
        "https://a.example.com:8443",
        "https://a.example.com.evil",
        "https://a.example.com.",
        "https://evil.com/.example.com",
        "https://evil.com#.example.com",
        "https://evil.com?.example.com",
        "https://evil.com:80.example.com",
        "https://a@b.example.com",
        "https://evil%2e.example.com",
        "https://A.example.com",
        "https://aexample.com",
        "https://*.example.com",
        "https://a.port.example",
        "https://a.port.example:84433",
        "xhttps://a.example.com",
        "null",
        "",
    };
    for (size_t i = 0; i < sizeof(matching) / sizeof(matching[0]); i++)
        cr_expect_eq(cors_judge(list, text_of(matching[i], strlen(matching[i]))), CORS_ECHO, "%s",
                     matching[i]);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        cr_expect_eq(cors_judge(list, text_of(others[i], strlen(others[i]))), CORS_DENIED, "%s", others[i]);
    cr_assert_eq(cors_judge(list, TEXT("https://a\0.example.com")), CORS_DENIED);
}

Test(cors, settings_that_make_sense)
{
    static const char *const right[] = { "",
                                         " ",
                                         "*",
                                         "https://a.example",
                                         "https://a.example, http://localhost:3000",
                                         "https://*.example.com",
                                         "http://*.localhost:3000",
                                         "http://[::1]:3000",
                                         "http://[::1]",
                                         "http://127.0.0.1:8080",
                                         "app-x://host" };
    static const char *const wrong[] = { "null",
                                         "https://a.example/",
                                         "https://a.example/path",
                                         "https://A.example",
                                         "a.example",
                                         "https://",
                                         "https://a.example:443",
                                         "http://a.example:80",
                                         "https://a.example:",
                                         "https://a.example:0",
                                         "https://a.example:99999",
                                         "https://*.com",
                                         "https://*",
                                         "https://a*.example.com",
                                         "https://a.*.example.com",
                                         "*.example.com",
                                         "https://*.*.example.com",
                                         "https://a.example,*",
                                         "https://a.example,",
                                         "https://u@a.example",
                                         "https://a..example",
                                         "//a.example",
                                         "https:a.example" };
    const char *problem;
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
        cr_expect(cors_check(right[i], &problem), "%s: %s", right[i], problem);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_expect(!cors_check(wrong[i], &problem), "%s", wrong[i]);
        cr_expect_not_null(problem);
    }
}

Test(cors, varies)
{
    cr_assert(!cors_varies(NULL) && !cors_varies("") && !cors_varies("*"));
    cr_assert(cors_varies("https://a.example"));
}

Test(cors, same_origin)
{
    cr_assert(cors_is_same_origin((struct text){ 0 }, TEXT("x")));
    cr_assert(cors_is_same_origin(TEXT("http://localhost:8000"), TEXT("localhost:8000")));
    cr_assert(cors_is_same_origin(TEXT("https://A.example"), TEXT("a.EXAMPLE")));
    cr_assert(!cors_is_same_origin(TEXT("http://localhost:8001"), TEXT("localhost:8000")));
    cr_assert(!cors_is_same_origin(TEXT("http://localhost"), TEXT("localhost:8000")));
    cr_assert(!cors_is_same_origin(TEXT("http://evil.example"), TEXT("localhost:8000")));
    cr_assert(!cors_is_same_origin(TEXT("null"), TEXT("null")));
    cr_assert(!cors_is_same_origin(TEXT(""), TEXT("")));
    cr_assert(!cors_is_same_origin(TEXT("http://x"), (struct text){ 0 }));
}
