#include "base/ip_address.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

static struct ip_address address_of(const char *text)
{
    struct ip_address address;
    cr_assert(ip_address_parse(text, strlen(text), &address), "%s", text);
    return address;
}

static void check_text(const char *text, const char *canonical)
{
    char formatted[IP_ADDRESS_TEXT_MAX];
    struct ip_address address = address_of(text);
    cr_assert_str_eq(ip_address_format(&address, formatted), canonical);
}

Test(ip_address, forms)
{
    check_text("192.0.2.1", "192.0.2.1");
    check_text("::ffff:192.0.2.1", "192.0.2.1");
    check_text("2001:DB8:0:0::1", "2001:db8::1");
    check_text("::1", "::1");
    check_text("255.255.255.255", "255.255.255.255");
}

Test(ip_address, refused)
{
    static const char *const wrong[] = { "",           "1.2.3",   "1.2.3.4.5", "01.2.3.4",   "1.2.3.256",
                                         " 1.2.3.4",   "::",      "0.0.0.0",   "::g",        "[::1]",
                                         "fe80::1%lo", "unknown", "_host",     "1.2.3.4:80", "1:2:3",
                                         "0x7f.0.0.1", "127.1",   "localhost" };
    struct ip_address address;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect(!ip_address_parse(wrong[i], strlen(wrong[i]), &address), "%s", wrong[i]);
    cr_assert(!ip_address_parse("1.2.3.4\0x", 9, &address));
}

Test(ip_address, with_ports)
{
    static const char *const right[] = { "192.0.2.1", "192.0.2.1:8080", "2001:db8::1", "[2001:db8::1]",
                                         "[2001:db8::1]:443" };
    static const char *const wrong[] = {
        "192.0.2.1:",     "192.0.2.1:x", "192.0.2.1:65536",  "[192.0.2.1]", "[2001:db8::1", "[2001:db8::1]x",
        "[2001:db8::1]:", ":80",         "[2001:db8::1]:1x", "[]"
    };
    struct ip_address address, wanted = address_of("2001:db8::1");
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        cr_assert(ip_address_parse_with_port(right[i], strlen(right[i]), &address), "%s", right[i]);
        cr_assert(i < 2 || ip_address_equal(&address, &wanted));
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect(!ip_address_parse_with_port(wrong[i], strlen(wrong[i]), &address), "%s", wrong[i]);
}

Test(ip_address, sockets)
{
    struct sockaddr_storage socket;
    struct ip_address four = address_of("192.0.2.7"), six = address_of("2001:db8::7");
    cr_assert_eq(ip_address_to_socket(&four, 80, &socket), sizeof(struct sockaddr_in));
    struct ip_address back = ip_address_of_socket((struct sockaddr *)&socket);
    cr_assert(ip_address_equal(&back, &four));
    cr_assert_eq(ip_address_to_socket(&six, 80, &socket), sizeof(struct sockaddr_in6));
    cr_assert_eq(ntohs(((struct sockaddr_in6 *)&socket)->sin6_port), 80);
    back = ip_address_of_socket((struct sockaddr *)&socket);
    cr_assert(ip_address_equal(&back, &six));
    socket.ss_family = AF_UNIX;
    back = ip_address_of_socket((struct sockaddr *)&socket);
    cr_assert(ip_address_is_none(&back));
    char text[IP_ADDRESS_TEXT_MAX];
    cr_assert_str_eq(ip_address_format(&back, text), "unix");
}

Test(ip_address, loopback)
{
    struct ip_address none = { { 0 } }, local = address_of("127.9.9.9"), six = address_of("::1"),
                      other = address_of("128.0.0.1");
    cr_assert(ip_address_is_loopback(&none) && ip_address_is_loopback(&local) &&
              ip_address_is_loopback(&six));
    cr_assert(!ip_address_is_loopback(&other));
}

Test(ip_address, masks)
{
    struct ip_address a = address_of("2001:db8:1:2:3:4:5:6"), b = address_of("2001:db8:1:2:ffff::9"),
                      c = address_of("2001:db8:1:3::");
    ip_address_mask(&a, 64);
    ip_address_mask(&b, 64);
    cr_assert(ip_address_equal(&a, &b));
    cr_assert(!ip_address_equal(&a, &c));
    struct ip_address odd = address_of("255.255.255.255");
    ip_address_mask(&odd, IP4_PREFIX_OFFSET + 9);
    struct ip_address wanted = address_of("255.128.0.0");
    cr_assert(ip_address_equal(&odd, &wanted));
}

static bool has(const char *networks, const char *text)
{
    struct ip_networks list;
    const char *problem = NULL;
    struct ip_address address = address_of(text);
    cr_assert(ip_networks_parse(networks, strlen(networks), &list, &problem), "%s: %s", networks, problem);
    bool found = ip_networks_have(&list, &address);
    ip_networks_clear(&list);
    return found;
}

Test(ip_networks, membership)
{
    cr_assert(has("10.0.0.0/8", "10.255.0.1"));
    cr_assert(!has("10.0.0.0/8", "11.0.0.1"));
    cr_assert(has("10.0.0.0/8", "::ffff:10.1.1.1"));
    cr_assert(has("192.0.2.1", "192.0.2.1"));
    cr_assert(!has("192.0.2.1", "192.0.2.2"));
    cr_assert(has("172.16.0.0/12, 2001:db8::/33", "2001:db8:7fff::1"));
    cr_assert(!has("172.16.0.0/12,2001:db8::/33", "2001:db8:8000::1"));
    cr_assert(has("0.0.0.0/0", "8.8.8.8"));
    cr_assert(!has("0.0.0.0/0", "2001:db8::1"));
    cr_assert(has("::/0", "2001:db8::1"));
    cr_assert(!has("", "127.0.0.1"));
}

Test(ip_networks, refused)
{
    static const char *const wrong[] = { "10.0.0.0/33", "10.0.0.1/8",     "10.0.0.0/",
                                         "10.0.0/8",    "2001:db8::/129", "2001:db8::1/32",
                                         "a",           "10.0.0.1,",      ",10.0.0.1",
                                         "10.0.0.1;",   "10.0.0.0/8/8",   "0.0.0.0",
                                         "::",          "10.0.0.0/-1",    " " };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct ip_networks list;
        const char *problem = NULL;
        cr_expect(!ip_networks_parse(wrong[i], strlen(wrong[i]), &list, &problem), "%s", wrong[i]);
        cr_expect_not_null(problem);
    }
}
