#include "wire/entry_id.h"

#include <string.h>

#include "base/parse.h"

#define DIGITS_MAX 20 /* of UINT64_MAX */

static size_t write_number(uint64_t number, char *ret_text)
{
    char reversed[DIGITS_MAX];
    size_t digits = 0;
    do {
        reversed[digits++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (size_t i = 0; i < digits; i++)
        ret_text[i] = reversed[digits - 1 - i];
    return digits;
}

size_t entry_id_format(struct entry_id id, char ret_text[static ENTRY_ID_LENGTH_MAX])
{
    size_t length = write_number(id.ms, ret_text);
    ret_text[length++] = '-';
    length += write_number(id.sequence, ret_text + length);
    ret_text[length] = '\0';
    return length;
}

bool entry_id_parse(const char *text, size_t length, struct entry_id *ret_id)
{
    struct entry_id id = { 0 };
    if (length == 0 || length >= ENTRY_ID_LENGTH_MAX)
        return false;
    const char *dash = memchr(text, '-', length);
    size_t ms_length = dash ? (size_t)(dash - text) : length;
    if (!parse_unsigned(text, ms_length, &id.ms))
        return false;
    if (dash && !parse_unsigned(dash + 1, length - ms_length - 1, &id.sequence))
        return false;
    *ret_id = id;
    return true;
}

int entry_id_compare(struct entry_id a, struct entry_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    if (a.sequence != b.sequence)
        return a.sequence < b.sequence ? -1 : 1;
    return 0;
}

struct entry_id entry_id_before(struct entry_id id)
{
    if (id.sequence > 0)
        return (struct entry_id){ .ms = id.ms, .sequence = id.sequence - 1 };
    if (id.ms > 0)
        return (struct entry_id){ .ms = id.ms - 1, .sequence = UINT64_MAX };
    return id;
}
