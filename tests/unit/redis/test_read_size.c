#include "redis/read_size.h"

#include <criterion/criterion.h>
#include <stdint.h>

#define REPLY_BYTES_MAX ((size_t)64 * 1024 * 1024)

Test(read_size, grows_while_entries_are_small)
{
    struct read_size size;
    read_size_init(&size, REPLY_BYTES_MAX);
    size_t before = size.count;
    read_size_took(&size, 1, 10, 10 * 500);
    cr_assert_gt(size.count, before);
    for (int i = 0; i < 20; i++)
        read_size_took(&size, 1, 10, 10 * 500);
    cr_assert_eq(size.count, 1000);
    for (int i = 0; i < 20; i++)
        read_size_took(&size, 0, 0, 0);
    cr_assert_eq(size.count, 1000);
    cr_assert_eq(size.window, SIZE_MAX);
}

Test(read_size, what_is_asked_for_fits_if_entries_stay_as_they_are)
{
    static const size_t entry_bytes[] = { 0, 1, 1000, 70000, 1000000, 20000000, 63000000 };
    static const size_t streams[] = { 1, 2, 50, 1000, 5000 };
    for (size_t i = 0; i < sizeof(entry_bytes) / sizeof(entry_bytes[0]); i++)
        for (size_t j = 0; j < sizeof(streams) / sizeof(streams[0]); j++) {
            struct read_size size;
            read_size_init(&size, REPLY_BYTES_MAX);
            for (int round = 0; round < 30; round++)
                read_size_took(&size, streams[j], streams[j], streams[j] * entry_bytes[i]);
            cr_assert_geq(size.count, 1);
            cr_assert(size.count == 1 || size.count * streams[j] * entry_bytes[i] <= REPLY_BYTES_MAX / 4);
            cr_assert_leq(size.count, 1000);
        }
}

Test(read_size, is_careful_after_an_absence)
{
    struct read_size size;
    read_size_init(&size, REPLY_BYTES_MAX);
    for (int i = 0; i < 20; i++)
        read_size_took(&size, 1, 10, 10 * 500);
    read_size_start(&size, 100);
    cr_assert_eq(size.count, 10);
    read_size_start(&size, 100000);
    cr_assert_eq(size.count, 1);
    read_size_start(&size, 0);
    cr_assert_eq(size.count, 1);
}

Test(read_size, shrinks_to_a_single_entry_and_recovers)
{
    struct read_size size;
    read_size_init(&size, REPLY_BYTES_MAX);
    int tries = 0;
    while (read_size_too_large(&size, 1000))
        cr_assert_lt(++tries, 20);
    cr_assert_eq(size.count, 1);
    cr_assert_eq(size.window, 1);
    cr_assert(!read_size_too_large(&size, 1000));
    for (int i = 0; i < 70; i++) {
        size_t before = size.window;
        read_size_took(&size, 1, 1, 1000);
        cr_assert(size.window > before || size.window == SIZE_MAX);
    }
    cr_assert_eq(size.window, SIZE_MAX);
    cr_assert_gt(size.count, 100);
    cr_assert(read_size_too_large(&size, 0));
}
