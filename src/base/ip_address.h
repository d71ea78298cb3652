/*
 * IP addresses and networks. IPv4 is kept as IPv4-mapped IPv6 (RFC 4291, section 2.5.5.2), so that an address
 * is the same whichever kind of socket it came by. The peer of a unix socket has no address: it is all zeros.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define IP_ADDRESS_BYTES 16
#define IP_ADDRESS_TEXT_MAX 46
#define IP_PREFIX_MAX 128
#define IP4_PREFIX_OFFSET 96 /* what a prefix of IPv4 is longer by here */

struct ip_address {
    uint8_t bytes[IP_ADDRESS_BYTES];
};

/* `192.0.2.1` or `2001:db8::1`, without a port, brackets or a zone; never the unspecified address. */
bool ip_address_parse(const char *text, size_t length, struct ip_address *ret_address);

/* The same, with a port allowed behind it: `192.0.2.1:80`, `[2001:db8::1]:80`, `[2001:db8::1]`. */
bool ip_address_parse_with_port(const char *text, size_t length, struct ip_address *ret_address);

/* All zeros for what is neither IPv4 nor IPv6. */
struct ip_address ip_address_of_socket(const struct sockaddr *address);

/* The way back, for who wants a socket address. Returns its length. */
socklen_t ip_address_to_socket(const struct ip_address *address, uint16_t port,
                               struct sockaddr_storage *ret_address);

/* As people write it; `unix` for all zeros. Returns ret_text. */
const char *ip_address_format(const struct ip_address *address, char ret_text[static IP_ADDRESS_TEXT_MAX]);

bool ip_address_equal(const struct ip_address *a, const struct ip_address *b);
bool ip_address_is_none(const struct ip_address *address);
bool ip_address_is_ip4(const struct ip_address *address);
/* This machine itself, unix sockets among it. */
bool ip_address_is_loopback(const struct ip_address *address);

/* Clears all bits behind the first `prefix`, which counts IPv4 from IP4_PREFIX_OFFSET on. */
void ip_address_mask(struct ip_address *address, unsigned prefix);

struct ip_network {
    struct ip_address address;
    unsigned prefix;
};

struct ip_networks {
    struct ip_network *items;
    size_t count;
};

/*
 * A comma-separated list of networks (`10.0.0.0/8`, `2001:db8::/32`) and addresses. False when one is none of
 * them, with a static sentence in *ret_problem, or when memory is short; nothing is to be freed then.
 */
bool ip_networks_parse(const char *text, size_t length, struct ip_networks *ret_networks,
                       const char **ret_problem);
void ip_networks_clear(struct ip_networks *networks);
bool ip_networks_have(const struct ip_networks *networks, const struct ip_address *address);
