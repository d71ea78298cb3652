#include <criterion/criterion.h>

#include "front/accept_encoding.h"

static bool wants(const char *value)
{
    return accept_encoding_wants_gzip(text_of(value, strlen(value)));
}

Test(accept_encoding, browsers_and_tools)
{
    cr_expect(wants("gzip, deflate, br, zstd"), "Chromium");
    cr_expect(wants("gzip, deflate"), "Node, and Chromium without TLS");
    cr_expect(wants("deflate, gzip, br"), "curl --compressed");
    cr_expect(wants("gzip"), "Go");
    cr_expect(wants("GZIP"));
    cr_expect(wants("x-gzip"));
    cr_expect(wants("br , gzip ; q=0.8"));
    cr_expect(wants("*"));
    cr_expect(wants("gzip;q=1.0, identity; q=0.5, *;q=0"), "RFC 9110's own");
}

Test(accept_encoding, nobody_gets_it_unasked)
{
    cr_expect_not(accept_encoding_wants_gzip((struct text){ 0 }), "no header");
    cr_expect_not(wants(""));
    cr_expect_not(wants("identity"));
    cr_expect_not(wants("br, deflate"));
    cr_expect_not(wants("gzipped"));
    cr_expect_not(wants(","));
    cr_expect_not(wants(";q=1"));
}

Test(accept_encoding, weights)
{
    cr_expect_not(wants("gzip;q=0"));
    cr_expect_not(wants("gzip;q=0.000, *"), "what is said of gzip counts, not the rest");
    cr_expect_not(wants("*;q=0"));
    cr_expect(wants("gzip;q=0.001"));
    cr_expect(wants("gzip;Q=0.5, br"));
    cr_expect_not(wants("gzip;q=0.5, identity"), "rather as it is");
    cr_expect_not(wants("gzip;q=0.5, identity;q=0.501"));
    cr_expect(wants("gzip;q=0.5, identity;q=0.5"));
    cr_expect(wants("identity;q=0, gzip;q=0.1"));
    cr_expect(wants("*;q=0.3, identity;q=0.2"));
}

Test(accept_encoding, what_is_no_weight_is_a_refusal)
{
    static const char *const bad[] = { "gzip;q=",       "gzip;q=2",   "gzip;q=1.5",
                                       "gzip;q=0.1234", "gzip;q=.5",  "gzip;q=0,5, br",
                                       "gzip;q=-1",     "gzip;q=1.x", "gzip;q=10" };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_not(wants(bad[i]), "%s", bad[i]);
}
