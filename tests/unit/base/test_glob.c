#include "base/glob.h"

#include <criterion/criterion.h>
#include <string.h>

static bool matches(const char *pattern, const char *text)
{
    return glob_matches(pattern, strlen(pattern), text, strlen(text));
}

Test(glob, stars_and_question_marks)
{
    cr_expect(matches("news", "news"));
    cr_expect_not(matches("news", "new"));
    cr_expect_not(matches("news", "newses"));
    cr_expect(matches("*", "anything"));
    cr_expect(matches("orders.*", "orders."));
    cr_expect(matches("orders.**", "orders.new"));
    cr_expect_not(matches("orders.*", "order"));
    cr_expect(matches("*.new", "orders.old.new"));
    cr_expect(matches("a*b*c", "a.bb.bc.c"));
    cr_expect_not(matches("a*b*c", "a.bb.b.cd"));
    cr_expect(matches("h?llo", "hello"));
    cr_expect_not(matches("h?llo", "hllo"));
    cr_expect(matches("", ""));
    cr_expect_not(matches("", "a"));
}

Test(glob, classes)
{
    cr_expect(matches("h[ae]llo", "hallo"));
    cr_expect_not(matches("h[ae]llo", "hillo"));
    cr_expect(matches("h[^e]llo", "hallo"));
    cr_expect_not(matches("h[^e]llo", "hello"));
    cr_expect(matches("h[a-c]llo", "hbllo"));
    cr_expect(matches("h[c-a]llo", "hbllo"), "either way round");
    cr_expect_not(matches("h[a-c]llo", "hdllo"));
    cr_expect(matches("h[\\]]llo", "h]llo"));
    cr_expect(matches("*[0-9]", "batch:4x2"));
    cr_expect(matches("h[el", "he"), "one that is not closed ends with the pattern");
    cr_expect_not(matches("h[", "h["));
}

Test(glob, escapes)
{
    cr_expect(matches("a\\*b", "a*b"));
    cr_expect_not(matches("a\\*b", "axb"));
    cr_expect(matches("a\\", "a\\"), "nothing behind it: itself");
    cr_expect(glob_matches("a*\0", 3, "abc\0", 4), "a NUL is a byte like others");
}

Test(glob, many_stars_cost_little)
{
    char text[4096];
    memset(text, 'a', sizeof text);
    cr_expect_not(glob_matches("a*a*a*a*a*a*a*a*a*a*a*a*b", 25, text, sizeof text));
}
