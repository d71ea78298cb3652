/* Addresses: what is taken can be shown, and without its password. Input: an address. */
#include <string.h>

#include "fuzz.h"
#include "redis/redis_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct redis_url url = { 0 };
    const char *problem = NULL;
    char *text = malloc(size + 1);
    REQUIRE(text);
    memcpy(text, data, size);
    text[size] = '\0';
    if (redis_url_parse(text, &url, &problem)) {
        char *shown = redis_url_display(&url);
        REQUIRE((url.host || url.master_name) && shown);
        REQUIRE(strncmp(shown, "redis", 5) == 0 || strncmp(shown, "unix", 4) == 0);
        free(shown);
        redis_url_clear(&url);
    } else {
        REQUIRE(problem);
    }
    free(text);
    return 0;
}
