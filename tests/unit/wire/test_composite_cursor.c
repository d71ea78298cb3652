#include "wire/composite_cursor.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define STREAMS_MAX 200

static uint32_t tag_of(const char *first, const char *second)
{
    uint32_t tag = composite_cursor_tag(0, first, strlen(first));
    return second ? composite_cursor_tag(tag, second, strlen(second)) : tag;
}

struct parsed {
    bool known;
    bool has_channels;
    struct cursor channels;
    struct entry_id positions[STREAMS_MAX];
};

static struct parsed parse(const char *text, size_t length, uint32_t tag, size_t count)
{
    struct parsed parsed = { 0 };
    parsed.known = composite_cursor_parse(text, length, tag, count, parsed.positions, &parsed.has_channels,
                                          &parsed.channels);
    return parsed;
}

static void check_round_trip(const struct cursor *channels, uint32_t tag, const struct entry_id *positions,
                             size_t count, size_t length_max)
{
    struct buffer id = { 0 };
    composite_cursor_begin(&id, channels, tag);
    for (size_t i = 0; i < count; i++)
        composite_cursor_add(&id, positions[i]);
    cr_assert(!id.failed);
    cr_assert_leq(id.size, length_max, "%.*s", (int)id.size, id.data);
    for (size_t i = 0; i < id.size; i++)
        cr_assert(!memchr("\"():<>?@[\\]{}\x7f", id.data[i], 14) && id.data[i] > 0x20);

    struct parsed parsed = parse(id.data, id.size, tag, count);
    cr_assert(parsed.known, "%.*s", (int)id.size, id.data);
    cr_assert_eq(parsed.has_channels, channels != NULL);
    if (channels) {
        cr_assert_eq(parsed.channels.epoch, channels->epoch);
        cr_assert_eq(parsed.channels.sequence, channels->sequence);
    }
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(entry_id_compare(parsed.positions[i], positions[i]), 0);

    /* Nothing but the whole of it is an id. */
    for (size_t length = 0; length < id.size; length++) {
        struct parsed cut = parse(id.data, length, tag, count);
        bool is_last_number = length > 0 && id.data[length - 1] != '.' && id.data[length - 1] != '~' &&
                              !memchr(id.data + length, '.', id.size - length);
        cr_assert(!cut.known || is_last_number, "%.*s", (int)length, id.data);
    }
    cr_assert(!parse(id.data, id.size, tag + 1, count).known, "of another set");
    cr_assert(!parse(id.data, id.size, tag, count + 1).known);
    cr_assert(count == 0 || !parse(id.data, id.size, tag, count - 1).known);
    buffer_append_byte(&id, '~');
    cr_assert(!parse(id.data, id.size, tag, count).known);
    buffer_free(&id);
}

Test(composite_cursor, round_trips)
{
    struct cursor channels = { .epoch = UINT64_C(0x5f3a9c2e81b04d17), .sequence = 1284 };
    struct cursor largest = { .epoch = UINT64_MAX, .sequence = UINT64_MAX };
    struct entry_id positions[] = { { .ms = UINT64_C(1763683200000), .sequence = 2 },
                                    { 0 },
                                    { .ms = UINT64_MAX, .sequence = UINT64_MAX },
                                    { .ms = 35, .sequence = 36 } };
    check_round_trip(&channels, 1, positions, 4, 128);
    check_round_trip(NULL, 1, positions, 2, 128);
    check_round_trip(NULL, UINT32_MAX, positions, 1, 128);
    check_round_trip(&largest, 0, positions, 3, 256);
}

Test(composite_cursor, eight_streams_and_channels_fit_a_header_without_preflight)
{
    struct cursor channels = { .epoch = UINT64_MAX, .sequence = 9999999 };
    struct entry_id positions[8];
    for (size_t i = 0; i < 8; i++)
        positions[i] = (struct entry_id){ .ms = UINT64_C(2500000000000), .sequence = 35 };
    check_round_trip(&channels, UINT32_MAX, positions, 8, 128);
}

Test(composite_cursor, hundreds_of_streams)
{
    static struct entry_id positions[STREAMS_MAX];
    for (size_t i = 0; i < STREAMS_MAX; i++)
        positions[i] = (struct entry_id){ .ms = i * UINT64_C(123456789), .sequence = i % 7 };
    struct buffer id = { 0 };
    composite_cursor_begin(&id, NULL, 7);
    for (size_t i = 0; i < STREAMS_MAX; i++)
        composite_cursor_add(&id, positions[i]);
    struct parsed parsed = parse(id.data, id.size, 7, STREAMS_MAX);
    cr_assert(parsed.known);
    for (size_t i = 0; i < STREAMS_MAX; i++)
        cr_assert_eq(entry_id_compare(parsed.positions[i], positions[i]), 0);
    buffer_free(&id);
}

Test(composite_cursor, is_written_as_the_header_shows)
{
    struct cursor channels = { .epoch = UINT64_C(0x5f3a9c2e81b04d17), .sequence = 1284 };
    struct buffer id = { 0 };
    composite_cursor_begin(&id, &channels, 0x9a41c07f);
    composite_cursor_add(&id, (struct entry_id){ .ms = 36, .sequence = 0 });
    composite_cursor_add(&id, (struct entry_id){ .ms = 0, .sequence = 71 });
    static const char expected[] = "5f3a9c2e81b04d17-1284~9a41c07f~10.0~0.1z";
    cr_assert_eq(id.size, strlen(expected));
    cr_assert_arr_eq(id.data, expected, id.size);
    buffer_free(&id);
}

Test(composite_cursor, refuses_what_is_none)
{
    static const char *const hostile[] = {
        "",
        "~",
        "~~",
        "00000007",
        "~00000007",
        "~00000007~",
        "~00000007~1",
        "~00000007~1.",
        "~00000007~.1",
        "~00000007~.",
        "~00000007~1.1.1",
        "~00000007~1.1~",
        "~00000007~1.1~2.2",
        "~00000007~A.1",
        "~00000007~-1.1",
        "~00000007~+1.1",
        "~00000007~ 1.1",
        "~00000007~1.1 ",
        "~7~1.1",
        "~0000007~1.1",
        "~000000007~1.1",
        "~0000000G~1.1",
        "~00000008~1.1",
        "~00000007~3w5e11264sgsg.1",         /* 2^64 */
        "~00000007~zzzzzzzzzzzzz.1",         /* thirteen digits */
        "~00000007~1.00000000000001",        /* fourteen */
        "5f3a9c2e81b04d17~00000007~1.1",     /* no sequence */
        "5f3a9c2e81b04d17-1-c~00000007~1.1", /* `complete` is of batches */
        "x~00000007~1.1",
        "1517574547834-0",
        "5f3a9c2e81b04d17-1284",
    };
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++)
        cr_assert(!parse(hostile[i], strlen(hostile[i]), 7, 1).known, "%s", hostile[i]);
    cr_assert(!parse("~00000007~1\0.1", 14, 7, 1).known);
    cr_assert(parse("~00000007~3w5e11264sgsf.1", strlen("~00000007~3w5e11264sgsf.1"), 7, 1).known);
}

Test(composite_cursor, tag_knows_names_and_their_order)
{
    cr_assert_neq(tag_of("a", "b"), tag_of("b", "a"));
    cr_assert_neq(tag_of("a", "bc"), tag_of("ab", "c"));
    cr_assert_neq(tag_of("ab", NULL), tag_of("a", "b"));
    cr_assert_neq(tag_of("a", NULL), tag_of("a", ""));
    cr_assert_eq(tag_of("orders", "mails"), tag_of("orders", "mails"));
}
