/* A header has one length, and is partial wherever it is cut. The same bytes as a list of networks break
 * nothing. */
#include <string.h>

#include "front/proxy_header.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header header, shorter;
    const char *bytes = (const char *)data;
    enum proxy_header_status status = proxy_header_parse(bytes, size, &header);
    if (status == PROXY_HEADER_COMPLETE) {
        REQUIRE(header.bytes > 0 && header.bytes <= size && header.bytes <= PROXY_HEADER_BYTES_MAX);
        REQUIRE(!header.has_address || !ip_address_is_none(&header.address));
        REQUIRE(proxy_header_parse(bytes, header.bytes, &shorter) == PROXY_HEADER_COMPLETE);
        REQUIRE(shorter.bytes == header.bytes);
        REQUIRE(proxy_header_parse(bytes, header.bytes - 1, &shorter) == PROXY_HEADER_PARTIAL);
    }
    REQUIRE(status != PROXY_HEADER_PARTIAL || size < PROXY_HEADER_BYTES_MAX);

    struct ip_networks networks;
    const char *problem = NULL;
    if (ip_networks_parse(bytes, size, &networks, &problem))
        ip_networks_clear(&networks);
    else
        REQUIRE(problem);
    return 0;
}
