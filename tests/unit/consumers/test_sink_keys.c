#include "consumers/sink_keys.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sink_keys *create(const char *secret)
{
    const char *problem = "not set";
    struct sink_keys *keys = sink_keys_create(secret, strlen(secret), &problem);
    cr_assert_eq(keys == NULL, problem != NULL);
    cr_assert_not_null(keys, "%s: %s", secret, problem);
    return keys;
}

static void expect_signature(const char *secret, const char *id, uint64_t timestamp_s, const char *body,
                             const char *expected)
{
    struct sink_keys *keys = create(secret);
    struct buffer signature = { 0 };
    cr_assert(sink_keys_sign(keys, id, timestamp_s, body, strlen(body), &signature));
    cr_assert_eq(signature.size, strlen(expected), "%.*s", (int)signature.size, signature.data);
    cr_assert_arr_eq(signature.data, expected, signature.size, "%.*s", (int)signature.size, signature.data);
    buffer_free(&signature);
    sink_keys_destroy(keys);
}

static void expect_problem(const char *secret, size_t length, const char *expected)
{
    const char *problem = NULL;
    cr_assert_null(sink_keys_create(secret, length, &problem), "%s", secret);
    cr_assert_not_null(strstr(problem, expected), "%s: %s", secret, problem);
}

/* The example of the Standard Webhooks libraries. */
Test(sink_keys, signs_as_the_standard_does)
{
    expect_signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                     "{\"test\": 2432232314}", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

Test(sink_keys, takes_other_text_as_it_is_and_signs_with_each_key)
{
    /* printf 'i.5.b' | openssl dgst -sha256 -hmac 0123456789abcdef -binary | base64 */
    static const char first[] = "v1,6SyQyz7Hl5Qnrf8t/ZpwBoEf0HGUW3xxJMwUz3FmloE=";
    static const char second[] = "v1,2+806fOH4Elc2hksGs/Rp7yVCAC4SL1cwLPI/Li8UyE=";
    char both[2 * sizeof(first)];
    expect_signature("0123456789abcdef", "i", 5, "b", first);
    snprintf(both, sizeof(both), "%s %s", first, second);
    expect_signature("0123456789abcdef fedcba9876543210", "i", 5, "b", both);
    expect_signature("\n 0123456789abcdef\r\n\tfedcba9876543210\n", "i", 5, "b", both);
    /* The same bytes, encoded with padding and without. */
    expect_signature("whsec_MDEyMzQ1Njc4OWFiY2RlZg==", "i", 5, "b", first);
    expect_signature("whsec_MDEyMzQ1Njc4OWFiY2RlZg", "i", 5, "b", first);
}

Test(sink_keys, signs_bodies_with_any_bytes)
{
    struct sink_keys *keys = create("0123456789abcdef");
    struct buffer one = { 0 }, other = { 0 };
    cr_assert(sink_keys_sign(keys, "i", 5, "a\0b", 3, &one));
    cr_assert(sink_keys_sign(keys, "i", 5, "a\0c", 3, &other));
    cr_assert_neq(memcmp(one.data, other.data, one.size), 0);
    buffer_reset(&one);
    cr_assert(sink_keys_sign(keys, "i", 5, "", 0, &one));
    cr_assert_eq(one.size, strlen("v1,") + 44);
    buffer_free(&one);
    buffer_free(&other);
    sink_keys_destroy(keys);
}

Test(sink_keys, what_is_no_key)
{
    expect_problem("", 0, "no key");
    expect_problem(" \n ", 3, "no key");
    expect_problem("short", 5, "16 bytes");
    expect_problem("0123456789abcdef short", 22, "16 bytes");
    expect_problem("whsec_", 6, "16 bytes");
    expect_problem("whsec_c2hvcnQ=", 14, "16 bytes");
    expect_problem("whsec_not base64", 16, "16 bytes");
    expect_problem("whsec_MDEyMzQ1Njc4!WFiY2RlZg", 28, "base64");
    expect_problem("whsec_MDEyMzQ1=jc4OWFiY2RlZg", 28, "base64");
    expect_problem("whsec_MDEyMzQ1Njc4OWFiY2RlZ", 27, "base64");
    expect_problem("whsec_MDEyMzQ1Njc4OWFiY2RlZghhh", 31, "base64"); /* 4n + 1 letters */
    expect_problem("0123456789abcdef 0123456789abcdeg 0123456789abcdeh 0123456789abcdei 0123456789abcdej", 84,
                   "four keys");
    char long_key[400];
    memset(long_key, 'A', sizeof(long_key));
    expect_problem(long_key, 257, "256 bytes");
    memcpy(long_key, "whsec_", 6);
    expect_problem(long_key, 6 + 348, "256 bytes");
    expect_problem(long_key, sizeof(long_key), "256 bytes");
    sink_keys_destroy(NULL);
}

Test(sink_keys, the_largest_key)
{
    char long_key[400];
    const char *problem;
    memset(long_key, 'A', sizeof(long_key));
    sink_keys_destroy(sink_keys_create(long_key, 256, &problem));
    cr_assert_null(problem);
    memcpy(long_key, "whsec_", 6); /* 256 bytes are 342 letters without padding */
    sink_keys_destroy(sink_keys_create(long_key, 6 + 342, &problem));
    cr_assert_null(problem, "%s", problem);
}
