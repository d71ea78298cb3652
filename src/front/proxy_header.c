#include "front/proxy_header.h"

#include <netinet/in.h>
#include <string.h>

#include "base/parse.h"
#include "base/text.h"

/* --- version 1: a line of text, `PROXY TCP4 192.0.2.1 192.0.2.2 50000 443` --- */

#define LINE_BYTES_MAX 107

static const char line_start[] = "PROXY ";

static bool parse_port(struct text text, uint16_t *ret_port)
{
    uint64_t port;
    if (!parse_unsigned(text.bytes, text.length, &port) || port > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* What stands between `PROXY ` and the line's end. */
static bool parse_line(struct text line, struct proxy_header *ret_header)
{
    enum { FAMILY, SOURCE, DESTINATION, SOURCE_PORT, DESTINATION_PORT, PARTS };
    struct text parts[PARTS];
    struct ip_address destination;
    uint16_t destination_port;
    if (!text_split(&line, ' ', &parts[FAMILY]))
        return false;
    if (text_is(parts[FAMILY], "UNKNOWN"))
        return true; /* the rest is to be ignored */
    for (int part = SOURCE; part < PARTS; part++)
        if (!text_split(&line, ' ', &parts[part]))
            return false;
    bool is_ip4 = text_is(parts[FAMILY], "TCP4");
    ret_header->has_address = true;
    return !line.bytes && (is_ip4 || text_is(parts[FAMILY], "TCP6")) &&
           ip_address_parse(parts[SOURCE].bytes, parts[SOURCE].length, &ret_header->address) &&
           ip_address_parse(parts[DESTINATION].bytes, parts[DESTINATION].length, &destination) &&
           is_ip4 == !memchr(parts[SOURCE].bytes, ':', parts[SOURCE].length) &&
           parse_port(parts[SOURCE_PORT], &ret_header->port) &&
           parse_port(parts[DESTINATION_PORT], &destination_port);
}

static enum proxy_header_status parse_version_1(const char *bytes, size_t length,
                                                struct proxy_header *ret_header)
{
    const size_t start = strlen(line_start);
    size_t looked_at = length < LINE_BYTES_MAX ? length : LINE_BYTES_MAX;
    const char *end = memchr(bytes, '\n', looked_at);
    if (!end)
        return length < LINE_BYTES_MAX ? PROXY_HEADER_PARTIAL : PROXY_HEADER_INVALID;
    size_t line = (size_t)(end - bytes);
    if (line <= start || end[-1] != '\r')
        return PROXY_HEADER_INVALID;
    ret_header->bytes = line + 1;
    return parse_line(text_of(bytes + start, line - 1 - start), ret_header) ? PROXY_HEADER_COMPLETE
                                                                            : PROXY_HEADER_INVALID;
}

/* --- version 2: binary --- */

#define SIGNATURE_BYTES 12
#define FIXED_BYTES 16 /* signature, version and command, family and protocol, length */
#define IP4_BYTES 12   /* two addresses, two ports */
#define IP6_BYTES 36

enum { COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21 };
enum { FAMILY_STREAM_IP4 = 0x11, FAMILY_STREAM_IP6 = 0x21 };

static const char signature[SIGNATURE_BYTES + 1] = "\r\n\r\n\0\r\nQUIT\n";

static uint16_t read_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* The source's address stands first, then the destination's, then the ports. */
static bool read_addresses(const uint8_t *bytes, size_t length, uint8_t family,
                           struct proxy_header *ret_header)
{
    struct sockaddr_storage socket = { 0 };
    size_t address_bytes = family == FAMILY_STREAM_IP4 ? 4 : IP_ADDRESS_BYTES;
    if (length < (family == FAMILY_STREAM_IP4 ? IP4_BYTES : IP6_BYTES))
        return false;
    if (family == FAMILY_STREAM_IP4) {
        /* By way of a socket's, which knows how IPv4 is kept. */
        struct sockaddr_in four = { .sin_family = AF_INET };
        memcpy(&four.sin_addr, bytes, address_bytes);
        memcpy(&socket, &four, sizeof(four));
        ret_header->address = ip_address_of_socket((struct sockaddr *)&socket);
    } else {
        memcpy(ret_header->address.bytes, bytes, address_bytes);
    }
    ret_header->port = read_u16(bytes + 2 * address_bytes);
    ret_header->has_address = true;
    return !ip_address_is_none(&ret_header->address);
}

static enum proxy_header_status parse_version_2(const char *bytes, size_t length,
                                                struct proxy_header *ret_header)
{
    const uint8_t *header = (const uint8_t *)bytes;
    if (length < FIXED_BYTES)
        return PROXY_HEADER_PARTIAL;
    uint8_t command = header[SIGNATURE_BYTES], family = header[SIGNATURE_BYTES + 1];
    size_t rest = read_u16(header + SIGNATURE_BYTES + 2);
    if ((command != COMMAND_LOCAL && command != COMMAND_PROXY) || FIXED_BYTES + rest > PROXY_HEADER_BYTES_MAX)
        return PROXY_HEADER_INVALID;
    if (length < FIXED_BYTES + rest)
        return PROXY_HEADER_PARTIAL;
    ret_header->bytes = FIXED_BYTES + rest;
    bool has_address =
        command == COMMAND_PROXY && (family == FAMILY_STREAM_IP4 || family == FAMILY_STREAM_IP6);
    if (has_address && !read_addresses(header + FIXED_BYTES, rest, family, ret_header))
        return PROXY_HEADER_INVALID;
    return PROXY_HEADER_COMPLETE;
}

/* Whether the bytes are how `start` begins, or begin with it. */
static bool begins(const char *bytes, size_t length, const char *start, size_t start_length)
{
    return memcmp(bytes, start, length < start_length ? length : start_length) == 0;
}

enum proxy_header_status proxy_header_parse(const char *bytes, size_t length, struct proxy_header *ret_header)
{
    *ret_header = (struct proxy_header){ 0 };
    if (length == 0)
        return PROXY_HEADER_PARTIAL;
    if (begins(bytes, length, signature, SIGNATURE_BYTES))
        return parse_version_2(bytes, length, ret_header);
    if (begins(bytes, length, line_start, strlen(line_start)))
        return parse_version_1(bytes, length, ret_header);
    return PROXY_HEADER_INVALID;
}
