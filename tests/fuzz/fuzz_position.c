/* Ids of entries, and the places, times, durations and sizes that people write. Input: one of them. */
#include <string.h>

#include "base/parse.h"
#include "front/stream_start.h"
#include "fuzz.h"

static void check_id(const char *text, size_t length)
{
    struct entry_id id, again;
    char written[ENTRY_ID_LENGTH_MAX];
    if (!entry_id_parse(text, length, &id))
        return;
    size_t written_length = entry_id_format(id, written);
    REQUIRE(written_length < ENTRY_ID_LENGTH_MAX && written[written_length] == '\0');
    REQUIRE(entry_id_parse(written, written_length, &again) && entry_id_compare(id, again) == 0);
    struct entry_id before = entry_id_before(id);
    REQUIRE(entry_id_compare(before, id) < 0 || (id.ms == 0 && id.sequence == 0));
}

static void check_since(const char *text, size_t length)
{
    struct since since = since_parse(text, length);
    REQUIRE((since.kind == SINCE_NOW) == (length == 0));
    REQUIRE(since.kind != SINCE_ENTRIES || (since.entries > 0 && since.entries <= SINCE_ENTRIES_MAX));
}

static void check_number(const char *text, size_t length)
{
    uint64_t number;
    char written[24];
    if (!parse_unsigned(text, length, &number))
        return;
    while (length > 1 && *text == '0') {
        text++;
        length--;
    }
    REQUIRE((size_t)snprintf(written, sizeof(written), "%llu", (unsigned long long)number) == length);
    REQUIRE(memcmp(written, text, length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    uint64_t value;
    bool is_on;
    check_id(text, size);
    check_since(text, size);
    check_number(text, size);
    /* Whatever they make of it, they stay inside. */
    (void)parse_time_ms(text, size, &value);
    (void)parse_duration_ms(text, size, &value);
    (void)parse_size_bytes(text, size, &value);
    (void)parse_switch(text, size, &is_on);
    return 0;
}
