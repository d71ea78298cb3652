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
