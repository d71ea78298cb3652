/* Whatever stands in front of what a trusted proxy has appended changes nothing about who the client is. */
#include <string.h>

#include "front/forwarded.h"
#include "fuzz.h"

static const char networks[] = "10.0.0.0/8";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    struct ip_networks trusted;
    struct ip_address peer, appended, client;
    const char *problem = NULL;
    char line[4096];
    REQUIRE(ip_networks_parse(networks, strlen(networks), &trusted, &problem));
    REQUIRE(ip_address_parse("10.0.0.1", 8, &peer));

    enum forwarded_header header = input_take_byte(&input) & 1 ? FORWARDED : FORWARDED_FOR;
    const char *own = header == FORWARDED ? ", for=203.0.113.7" : ", 203.0.113.7";
    REQUIRE(ip_address_parse("203.0.113.7", 11, &appended));
    struct input forged = input_take(&input, sizeof(line) - 64);
    if (forged.length > 0)
        memcpy(line, forged.bytes, forged.length);
    memcpy(line + forged.length, own, strlen(own));
    struct gate_header headers[1] = { { .name = text_of("x-forwarded-for", 15),
                                        .value = text_of(line, forged.length + strlen(own)) } };
    if (header == FORWARDED)
        headers[0].name = text_of("forwarded", 9);
    struct gate_head head = { .headers = headers, .header_count = 1 };
    if (forwarded_find_client(&head, header, &trusted, peer, &client))
        REQUIRE(ip_address_equal(&client, &appended));
    else
        REQUIRE(header == FORWARDED);

    /* Without the proxy's part: only that nothing breaks. */
    headers[0].value.length = forged.length;
    forwarded_find_client(&head, header, &trusted, peer, &client);
    ip_networks_clear(&trusted);
    return 0;
}
