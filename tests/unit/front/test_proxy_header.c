#include "front/proxy_header.h"

#include <criterion/criterion.h>
#include <string.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static enum proxy_header_status parse(const char *bytes, size_t length, struct proxy_header *ret_header)
{
    /* A copy of exactly that size, so that a byte too far is noticed. */
    char *copy = malloc(length ? length : 1);
    memcpy(copy, bytes, length);
    enum proxy_header_status status = proxy_header_parse(copy, length, ret_header);
    free(copy);
    return status;
}

/* Complete, and partial wherever it is cut. */
static struct proxy_header check_complete(const char *bytes, size_t length, const char *address,
                                          uint16_t port)
{
    struct proxy_header header;
    for (size_t cut = 0; cut < length; cut++)
        cr_assert_eq(parse(bytes, cut, &header), PROXY_HEADER_PARTIAL, "cut at %zu", cut);
    cr_assert_eq(parse(bytes, length, &header), PROXY_HEADER_COMPLETE);
    cr_assert_eq(header.bytes, length);
    cr_assert_eq(header.has_address, address != NULL);
    if (address) {
        char text[IP_ADDRESS_TEXT_MAX];
        cr_assert_str_eq(ip_address_format(&header.address, text), address);
        cr_assert_eq(header.port, port);
    }
    return header;
}

Test(proxy_header, version_1)
{
    static const char four[] = "PROXY TCP4 203.0.113.7 192.0.2.2 50000 443\r\n";
    static const char six[] = "PROXY TCP6 2001:db8::7 2001:db8::1 50001 443\r\n";
    static const char unknown[] = "PROXY UNKNOWN\r\n";
    static const char chatty[] = "PROXY UNKNOWN whatever stands here\r\n";
    check_complete(four, strlen(four), "203.0.113.7", 50000);
    check_complete(six, strlen(six), "2001:db8::7", 50001);
    check_complete(unknown, strlen(unknown), NULL, 0);
    check_complete(chatty, strlen(chatty), NULL, 0);
}

Test(proxy_header, leaves_what_follows)
{
    static const char bytes[] = "PROXY TCP4 203.0.113.7 192.0.2.2 50000 443\r\nGET / HTTP/1.1\r\n";
    struct proxy_header header;
    cr_assert_eq(parse(bytes, strlen(bytes), &header), PROXY_HEADER_COMPLETE);
    cr_assert_str_eq(bytes + header.bytes, "GET / HTTP/1.1\r\n");
}

Test(proxy_header, version_1_refused)
{
    static const char *const wrong[] = {
        "GET / HTTP/1.1\r\n",
        "PROXX TCP4",
        "PROXY TCP4 203.0.113.7 192.0.2.2 50000 443\n",
        "PROXY TCP4 203.0.113.7 192.0.2.2 50000\r\n",
        "PROXY TCP4 203.0.113.7 192.0.2.2 50000 443 \r\n",
        "PROXY TCP4 203.0.113.7 192.0.2.2 50000 443 1\r\n",
        "PROXY TCP4  203.0.113.7 192.0.2.2 50000 443\r\n",
        "PROXY TCP4 203.0.113.7 192.0.2.2 65536 443\r\n",
        "PROXY TCP4 2001:db8::7 2001:db8::1 50000 443\r\n",
        "PROXY TCP6 203.0.113.7 192.0.2.2 50000 443\r\n",
        "PROXY TCP4 0.0.0.0 192.0.2.2 50000 443\r\n",
        "PROXY TCP4 host 192.0.2.2 50000 443\r\n",
        "PROXY UDP4 203.0.113.7 192.0.2.2 50000 443\r\n",
        "PROXY \r\n",
        "PROXY\r\n",
    };
    struct proxy_header header;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect_eq(parse(wrong[i], strlen(wrong[i]), &header), PROXY_HEADER_INVALID, "%s", wrong[i]);
    char endless[200];
    memset(endless, 'x', sizeof(endless));
    memcpy(endless, "PROXY UNKNOWN ", 14);
    cr_assert_eq(parse(endless, 106, &header), PROXY_HEADER_PARTIAL);
    cr_assert_eq(parse(endless, sizeof(endless), &header), PROXY_HEADER_INVALID);
}

Test(proxy_header, version_2)
{
    static const char four[] = SIGNATURE "\x21\x11\x00\x0c"
                                         "\xcb\x00\x71\x07\xc0\x00\x02\x02\xc3\x50\x01\xbb";
    static const char six[] = SIGNATURE "\x21\x21\x00\x24"
                                        "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
                                        "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                                        "\xc3\x50\x01\xbb";
    static const char local[] = SIGNATURE "\x20\x00\x00\x00";
    static const char with_extras[] = SIGNATURE "\x21\x11\x00\x11"
                                                "\xcb\x00\x71\x07\xc0\x00\x02\x02\xc3\x50\x01\xbb"
                                                "\x04\x00\x02zz";
    static const char of_a_socket[] = SIGNATURE "\x21\x31\x00\x02"
                                                "ab";
    check_complete(four, sizeof(four) - 1, "203.0.113.7", 50000);
    check_complete(six, sizeof(six) - 1, "2001:db8::7", 50000);
    check_complete(local, sizeof(local) - 1, NULL, 0);
    check_complete(with_extras, sizeof(with_extras) - 1, "203.0.113.7", 50000);
    check_complete(of_a_socket, sizeof(of_a_socket) - 1, NULL, 0);
}

Test(proxy_header, version_2_refused)
{
    static const struct {
        const char *bytes;
        size_t length;
    } wrong[] = {
        { SIGNATURE "\x11\x11\x00\x0c", 16 }, /* version 1 in binary */
        { SIGNATURE "\x22\x11\x00\x0c", 16 }, /* a command that there is not */
        { SIGNATURE "\x21\x11\xff\xff", 16 }, /* more than is read */
        { SIGNATURE "\x21\x11\x00\x04"
                    "\xcb\x00\x71\x07",
          20 }, /* half an address */
        { "\r\n\r\n\0\r\nQUIX", 12 },
    };
    struct proxy_header header;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect_eq(parse(wrong[i].bytes, wrong[i].length, &header), PROXY_HEADER_INVALID, "%zu", i);
}
