#include "front/address.h"

#include <criterion/criterion.h>
#include <string.h>

static void check(const char *text, bool is_unix, const char *host, const char *port)
{
    struct address address;
    const char *problem = NULL;
    cr_assert(address_parse(text, &address, &problem), "%s: %s", text, problem);
    cr_assert_eq(address.is_unix, is_unix);
    cr_assert_str_eq(address.host, host);
    cr_assert_str_eq(address.port, port);
}

static void check_refused(const char *text)
{
    struct address address;
    const char *problem = NULL;
    cr_assert(!address_parse(text, &address, &problem), "%s", text);
    cr_assert_not_null(problem);
}

Test(address, forms)
{
    check("127.0.0.1:8000", false, "127.0.0.1", "8000");
    check("localhost:0", false, "localhost", "0");
    check(":8000", false, "", "8000");
    check("[::1]:65535", false, "::1", "65535");
    check("[::]:80", false, "::", "80");
    check("unix:/run/sluice.sock", true, "/run/sluice.sock", "");
    check("unix:relative", true, "relative", "");
}

Test(address, refused)
{
    check_refused("");
    check_refused("8000");
    check_refused("localhost");
    check_refused("localhost:");
    check_refused("localhost:65536");
    check_refused("localhost:-1");
    check_refused("localhost:8a");
    check_refused("localhost:999999");
    check_refused("::1:8000");
    check_refused("unix:");
    char longest[400];
    memset(longest, 'a', sizeof(longest));
    memcpy(longest + sizeof(longest) - 4, ":80", 4);
    check_refused(longest);
    memcpy(longest, "unix:", 5);
    check_refused(longest);
}
