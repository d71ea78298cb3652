#include "base/ip_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

#define IP4_AT 12 /* where the four bytes of IPv4 stand */

static const uint8_t ip4_head[IP4_AT] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static void set_ip4(struct ip_address *address, const void *four)
{
    memcpy(address->bytes, ip4_head, IP4_AT);
    memcpy(address->bytes + IP4_AT, four, sizeof(struct in_addr));
}

/* Whether the addresses' first `prefix` bits are the same. */
static bool same_prefix(const struct ip_address *a, const struct ip_address *b, unsigned prefix)
{
    size_t whole = prefix / 8;
    unsigned rest = prefix % 8;
    if (memcmp(a->bytes, b->bytes, whole) != 0)
        return false;
    return rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0;
}

bool ip_address_parse(const char *text, size_t length, struct ip_address *ret_address)
{
    char copy[IP_ADDRESS_TEXT_MAX];
    struct in_addr four;
    if (length == 0 || length >= sizeof(copy) || memchr(text, '\0', length))
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (inet_pton(AF_INET, copy, &four) == 1) {
        set_ip4(ret_address, &four);
        return four.s_addr != 0;
    }
    return inet_pton(AF_INET6, copy, ret_address->bytes) == 1 && !ip_address_is_none(ret_address);
}

static bool is_port(const char *text, size_t length)
{
    uint64_t port;
    return parse_unsigned(text, length, &port) && port <= UINT16_MAX;
}

bool ip_address_parse_with_port(const char *text, size_t length, struct ip_address *ret_address)
{
    if (length > 0 && text[0] == '[') {
        const char *end = memchr(text, ']', length);
        if (!end || !memchr(text, ':', (size_t)(end - text)))
            return false;
        size_t rest = length - (size_t)(end - text) - 1;
        if (rest > 0 && (end[1] != ':' || !is_port(end + 2, rest - 1)))
            return false;
        return ip_address_parse(text + 1, (size_t)(end - text) - 1, ret_address);
    }
    const char *colon = length > 0 ? memchr(text, ':', length) : NULL;
    size_t host = colon ? (size_t)(colon - text) : length;
    /* Two colons: IPv6 without brackets, which has no port. */
    if (colon && !memchr(colon + 1, ':', length - host - 1))
        return is_port(colon + 1, length - host - 1) && ip_address_parse(text, host, ret_address);
    return ip_address_parse(text, length, ret_address);
}

struct ip_address ip_address_of_socket(const struct sockaddr *address)
{
    struct ip_address found = { { 0 } };
    if (address && address->sa_family == AF_INET)
        set_ip4(&found, &((const struct sockaddr_in *)(const void *)address)->sin_addr);
    else if (address && address->sa_family == AF_INET6)
        memcpy(found.bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
               IP_ADDRESS_BYTES);
    return found;
}

socklen_t ip_address_to_socket(const struct ip_address *address, uint16_t port,
                               struct sockaddr_storage *ret_address)
{
    memset(ret_address, 0, sizeof(*ret_address));
    if (ip_address_is_ip4(address)) {
        struct sockaddr_in *four = (struct sockaddr_in *)(void *)ret_address;
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        memcpy(&four->sin_addr, address->bytes + IP4_AT, sizeof(four->sin_addr));
        return sizeof(*four);
    }
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)ret_address;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    memcpy(&six->sin6_addr, address->bytes, sizeof(six->sin6_addr));
    return sizeof(*six);
}

const char *ip_address_format(const struct ip_address *address, char ret_text[static IP_ADDRESS_TEXT_MAX])
{
    if (ip_address_is_none(address))
        return memcpy(ret_text, "unix", sizeof("unix"));
    bool is_ip4 = ip_address_is_ip4(address);
    inet_ntop(is_ip4 ? AF_INET : AF_INET6, address->bytes + (is_ip4 ? IP4_AT : 0), ret_text,
              IP_ADDRESS_TEXT_MAX);
    return ret_text;
}

bool ip_address_equal(const struct ip_address *a, const struct ip_address *b)
{
    return memcmp(a->bytes, b->bytes, IP_ADDRESS_BYTES) == 0;
}

bool ip_address_is_none(const struct ip_address *address)
{
    static const struct ip_address none;
    return ip_address_equal(address, &none);
}

bool ip_address_is_ip4(const struct ip_address *address)
{
    return memcmp(address->bytes, ip4_head, IP4_AT) == 0;
}

bool ip_address_is_loopback(const struct ip_address *address)
{
    static const struct ip_address six = { { [IP_ADDRESS_BYTES - 1] = 1 } };
    return ip_address_is_none(address) || ip_address_equal(address, &six) ||
           (ip_address_is_ip4(address) && address->bytes[IP4_AT] == 127);
}

void ip_address_mask(struct ip_address *address, unsigned prefix)
{
    for (unsigned bit = prefix; bit < IP_PREFIX_MAX; bit += 8 - bit % 8)
        address->bytes[bit / 8] &= (uint8_t)(0xff << (8 - bit % 8));
}

/* --- networks --- */

static bool network_parse(const char *text, size_t length, struct ip_network *ret_network,
                          const char **ret_problem)
{
    const char *slash = length > 0 ? memchr(text, '/', length) : NULL;
    size_t host = slash ? (size_t)(slash - text) : length;
    uint64_t prefix = 0;
    *ret_problem = "write networks such as 10.0.0.0/8 or 2001:db8::/32, and addresses such as 192.0.2.1";
    bool is_everything =
        slash && (host == 2 ? memcmp(text, "::", 2) == 0 : host == 7 && memcmp(text, "0.0.0.0", 7) == 0);
    if (is_everything && host == 2)
        memset(ret_network, 0, sizeof(*ret_network));
    else if (is_everything)
        set_ip4(&ret_network->address, &(struct in_addr){ 0 });
    else if (!ip_address_parse(text, host, &ret_network->address))
        return false;
    bool is_ip4 = host > 0 && !memchr(text, ':', host);
    if (slash && !parse_unsigned(slash + 1, length - host - 1, &prefix))
        return false;
    if (prefix > (is_ip4 ? IP_PREFIX_MAX - IP4_PREFIX_OFFSET : IP_PREFIX_MAX))
        return false;
    ret_network->prefix = !slash ? IP_PREFIX_MAX : (unsigned)prefix + (is_ip4 ? IP4_PREFIX_OFFSET : 0);

    struct ip_address masked = ret_network->address;
    ip_address_mask(&masked, ret_network->prefix);
    *ret_problem = "a network's bits behind its prefix are zero, as in 10.0.0.0/8";
    return ip_address_equal(&masked, &ret_network->address);
}

bool ip_networks_parse(const char *text, size_t length, struct ip_networks *ret_networks,
                       const char **ret_problem)
{
    size_t count = 1;
    *ret_networks = (struct ip_networks){ 0 };
    for (size_t at = 0; at < length; at++)
        count += text[at] == ',';
    if (length == 0)
        return true;
    *ret_problem = "out of memory";
    ret_networks->items = calloc(count, sizeof(*ret_networks->items));
    if (!ret_networks->items)
        return false;
    for (const char *end = text + length; text <= end;) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        size_t entry = (size_t)((comma ? comma : end) - text);
        const char *next = text + entry + 1;
        while (entry > 0 && *text == ' ')
            text++, entry--;
        while (entry > 0 && text[entry - 1] == ' ')
            entry--;
        if (!network_parse(text, entry, &ret_networks->items[ret_networks->count++], ret_problem)) {
            ip_networks_clear(ret_networks);
            return false;
        }
        text = next;
    }
    return true;
}

void ip_networks_clear(struct ip_networks *networks)
{
    free(networks->items);
    *networks = (struct ip_networks){ 0 };
}

bool ip_networks_have(const struct ip_networks *networks, const struct ip_address *address)
{
    for (size_t i = 0; i < networks->count; i++)
        if (same_prefix(&networks->items[i].address, address, networks->items[i].prefix))
            return true;
    return false;
}
