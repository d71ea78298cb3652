#include "front/client.h"

#include <criterion/criterion.h>

#include "front_text.h"

struct fixture {
    struct client_rules rules;
    struct gate_header headers[4];
    struct gate_head head;
    struct client client;
    struct problem problem;
};

static struct ip_address address_of(const char *text)
{
    struct ip_address address = { { 0 } };
    cr_assert(!*text || ip_address_parse(text, strlen(text), &address), "%s", text);
    return address;
}

static void open_fixture(struct fixture *fixture, const char *trusted)
{
    const char *problem;
    *fixture = (struct fixture){ .rules.identity_header = "X-User-Id" };
    fixture->head.headers = fixture->headers;
    cr_assert(ip_networks_parse(trusted, strlen(trusted), &fixture->rules.trusted, &problem), "%s", problem);
}

static void close_fixture(struct fixture *fixture)
{
    client_clear(&fixture->client);
    client_clear(&fixture->client);
    ip_networks_clear(&fixture->rules.trusted);
}

static void add(struct fixture *fixture, const char *name, const char *value)
{
    fixture->headers[fixture->head.header_count++] =
        (struct gate_header){ .name = text_of(name, strlen(name)), .value = text_of(value, strlen(value)) };
}

/* `peer` is empty for a unix socket. */
static bool find(struct fixture *fixture, const char *peer)
{
    struct ip_address address = address_of(peer);
    client_clear(&fixture->client);
    return client_find(&fixture->rules, &address, &fixture->head, &fixture->client, &fixture->problem);
}

static void check_address(const struct fixture *fixture, const char *wanted)
{
    char text[IP_ADDRESS_TEXT_MAX];
    cr_assert_str_eq(ip_address_format(&fixture->client.address, text), wanted);
}

Test(client, headers_of_strangers_are_nothing)
{
    struct fixture fixture;
    open_fixture(&fixture, "10.0.0.0/8");
    add(&fixture, "X-Forwarded-For", "203.0.113.7");
    add(&fixture, "X-User-Id", "ann");
    add(&fixture, "x-user-id", "bob");
    cr_assert(find(&fixture, "192.0.2.1"));
    check_address(&fixture, "192.0.2.1");
    cr_assert_null(fixture.client.name);
    close_fixture(&fixture);
}

Test(client, trusted_proxies_and_unix_sockets_are_believed)
{
    static const char *const peers[] = { "10.1.2.3", "" };
    for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
        struct fixture fixture;
        open_fixture(&fixture, "10.0.0.0/8");
        add(&fixture, "x-forwarded-for", "1.1.1.1, 203.0.113.7");
        add(&fixture, "x-USER-id", " ann ");
        cr_assert(find(&fixture, peers[i]));
        check_address(&fixture, "203.0.113.7");
        cr_assert_str_eq(fixture.client.name, "ann");
        close_fixture(&fixture);
    }
}

Test(client, nobody_is_trusted_by_default)
{
    struct fixture fixture;
    open_fixture(&fixture, "");
    add(&fixture, "X-Forwarded-For", "203.0.113.7");
    cr_assert(find(&fixture, "127.0.0.1"));
    check_address(&fixture, "127.0.0.1");
    cr_assert(find(&fixture, "::1"));
    check_address(&fixture, "::1");
    close_fixture(&fixture);
}

Test(client, names_that_are_refused)
{
    char longest[CLIENT_NAME_BYTES_MAX + 2];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    const char *const wrong[] = { longest, "a\x01z", "\xff", "a\tb" };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct fixture fixture;
        open_fixture(&fixture, "10.0.0.0/8");
        add(&fixture, "X-User-Id", wrong[i]);
        cr_expect(!find(&fixture, "10.0.0.1"), "%zu", i);
        cr_expect_eq(fixture.problem.status, 400);
        close_fixture(&fixture);
    }
    struct fixture twice;
    open_fixture(&twice, "10.0.0.0/8");
    add(&twice, "X-User-Id", "ann");
    add(&twice, "X-User-Id", "ann");
    cr_assert(!find(&twice, "10.0.0.1"));
    cr_assert_eq(twice.problem.status, 400);
    close_fixture(&twice);
}

Test(client, an_empty_name_is_none)
{
    struct fixture fixture;
    open_fixture(&fixture, "10.0.0.0/8");
    add(&fixture, "X-User-Id", "  ");
    cr_assert(find(&fixture, "10.0.0.1"));
    cr_assert_null(fixture.client.name);
    fixture.rules.identity_header = "";
    fixture.headers[0].value = TEXT("ann");
    cr_assert(find(&fixture, "10.0.0.1"));
    cr_assert_null(fixture.client.name);
    close_fixture(&fixture);
}

Test(client, a_malformed_list_of_a_trusted_proxy_is_refused)
{
    struct fixture fixture;
    open_fixture(&fixture, "10.0.0.0/8");
    fixture.rules.header = FORWARDED;
    add(&fixture, "Forwarded", "for=\"1.1.1.1, for=203.0.113.7");
    cr_assert(!find(&fixture, "10.0.0.1"));
    cr_assert_eq(fixture.problem.status, 400);
    cr_assert(find(&fixture, "192.0.2.1"), "of a stranger it is not even looked at");
    close_fixture(&fixture);
}
