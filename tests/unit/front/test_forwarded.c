#include "front/forwarded.h"

#include <criterion/criterion.h>

#include "front_text.h"

#define LINES_MAX 4

/* Who the client is by these header lines, as text; NULL when they are refused. The proxies are 10.0.0.0/8
 * and ::1. */
static const char *client_of(enum forwarded_header header, const char *const lines[],
                             char ret_text[static IP_ADDRESS_TEXT_MAX])
{
    static const char networks[] = "10.0.0.0/8,::1";
    struct ip_networks trusted;
    struct ip_address peer, client;
    const char *problem;
    struct gate_header headers[LINES_MAX];
    struct gate_head head = { .headers = headers };
    for (; lines[head.header_count]; head.header_count++)
        headers[head.header_count] = (struct gate_header){
            .name = header == FORWARDED_FOR ? TEXT("X-Forwarded-For") : TEXT("FORWARDED"),
            .value = text_of(lines[head.header_count], strlen(lines[head.header_count]))
        };
    cr_assert(ip_networks_parse(networks, strlen(networks), &trusted, &problem));
    cr_assert(ip_address_parse("10.0.0.1", 8, &peer));
    bool is_well_formed = forwarded_find_client(&head, header, &trusted, peer, &client);
    ip_networks_clear(&trusted);
    return is_well_formed ? ip_address_format(&client, ret_text) : NULL;
}

#define CHECK(header, wanted, ...)                                                                           \
    do {                                                                                                     \
        char text[IP_ADDRESS_TEXT_MAX];                                                                      \
        const char *found = client_of(header, (const char *const[]){ __VA_ARGS__, NULL }, text);             \
        cr_expect(found &&strcmp(found, wanted) == 0, "%s instead of %s", found ? found : "refused",         \
                  wanted);                                                                                   \
    } while (0)

#define CHECK_REFUSED(line)                                                                                  \
    do {                                                                                                     \
        char text[IP_ADDRESS_TEXT_MAX];                                                                      \
        cr_expect_null(client_of(FORWARDED, (const char *const[]){ line, NULL }, text), "%s", line);         \
    } while (0)

Test(forwarded_for, rightmost_untrusted)
{
    CHECK(FORWARDED_FOR, "203.0.113.7", "203.0.113.7");
    CHECK(FORWARDED_FOR, "203.0.113.7", "1.1.1.1, 203.0.113.7");
    CHECK(FORWARDED_FOR, "203.0.113.7", "1.1.1.1,10.9.9.9,203.0.113.7 , 10.0.0.2,\t10.0.0.3");
    CHECK(FORWARDED_FOR, "203.0.113.7", "10.0.0.9, 203.0.113.7");
    CHECK(FORWARDED_FOR, "2001:db8::7", "1.1.1.1, [2001:db8::7]:443");
    CHECK(FORWARDED_FOR, "203.0.113.7", "203.0.113.7:1234");
}

Test(forwarded_for, lines_are_one_list)
{
    CHECK(FORWARDED_FOR, "203.0.113.7", "1.1.1.1", "203.0.113.7");
    CHECK(FORWARDED_FOR, "203.0.113.7", "1.1.1.1, 203.0.113.7", "10.0.0.4");
}

Test(forwarded_for, nobody_said_who)
{
    CHECK(FORWARDED_FOR, "10.0.0.1", "");
    CHECK(FORWARDED_FOR, "10.0.0.1", "unknown");
    CHECK(FORWARDED_FOR, "10.0.0.1", "203.0.113.7,");
    CHECK(FORWARDED_FOR, "10.0.0.2", "203.0.113.7, _hidden, 10.0.0.2");
    CHECK(FORWARDED_FOR, "10.0.0.3", "10.0.0.3, 10.0.0.2");
    CHECK(FORWARDED_FOR, "10.0.0.1", "::");
    CHECK(FORWARDED_FOR, "10.0.0.1", "unix");
}

Test(forwarded_for, does_not_read_the_other_header)
{
    static const char line[] = "for=203.0.113.7";
    CHECK(FORWARDED_FOR, "10.0.0.1", line);
    CHECK(FORWARDED, "203.0.113.7", line);
}

Test(forwarded, elements)
{
    CHECK(FORWARDED, "203.0.113.7", "for=203.0.113.7;proto=http;by=203.0.113.43");
    CHECK(FORWARDED, "203.0.113.7", "for=1.1.1.1, proto=https ; For=203.0.113.7, for=10.2.2.2");
    CHECK(FORWARDED, "2001:db8::7", "for=1.1.1.1, for=\"[2001:db8::7]:4711\"");
    CHECK(FORWARDED, "10.0.0.1", "for=unknown");
    CHECK(FORWARDED, "10.0.0.1", "for=203.0.113.7, proto=http");
    CHECK(FORWARDED, "10.0.0.1", "");
    CHECK(FORWARDED, "203.0.113.7", "for=1.1.1.1", "for=203.0.113.7");
    CHECK(FORWARDED, "203.0.113.7", "x=\"a\\\",b\", for=203.0.113.7");
}

Test(forwarded, quotes_hide_nothing)
{
    CHECK_REFUSED("for=\"1.1.1.1, for=203.0.113.7");
    CHECK_REFUSED("for=1.1.1.1;x=\", for=\"[2001:db8::7]\"");
    CHECK_REFUSED("for=1.1.1.1;x=\"\\\", for=203.0.113.7");
    CHECK_REFUSED("for=1.1.1.1 for=203.0.113.7");
    CHECK_REFUSED("for=1.1.1.1;for=203.0.113.7");
    CHECK_REFUSED("for=[2001:db8::7]");
    CHECK_REFUSED("for");
    CHECK_REFUSED("=1");
    /* What stands in front of the line that a proxy of ours has added does not matter. */
    CHECK(FORWARDED, "203.0.113.7", "for=\"1.1.1.1", "for=203.0.113.7");
}

Test(forwarded, more_hops_than_anybody_has)
{
    char line[1024] = "203.0.113.7";
    for (int i = 0; i < 80; i++)
        strcat(line, ",10.0.0.2");
    CHECK(FORWARDED_FOR, "10.0.0.2", line);
}
