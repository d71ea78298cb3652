#include <criterion/criterion.h>

#include "hub/ring.h"

static void append(struct ring *ring, uint64_t sequence, const char *payload, size_t messages_max,
                   size_t bytes_max)
{
    struct message *message = message_create("c", 1, payload, strlen(payload));
    cr_assert_not_null(message);
    message->sequence = sequence;
    ring_append(ring, message, messages_max, bytes_max);
    message_release(message);
}

Test(ring, keeps_the_newest_and_knows_its_floor)
{
    struct ring ring = { 0 };
    for (uint64_t sequence = 1; sequence <= 100; sequence++) {
        append(&ring, sequence * 10, "payload", 16, 1 << 20);
        cr_assert_leq(ring.count, 16u);
        for (uint32_t i = 1; i < ring.count; i++)
            cr_assert_eq(ring_get(&ring, i)->sequence, ring_get(&ring, i - 1)->sequence + 10);
    }
    cr_expect_eq(ring.floor, 840, "what was dropped last");
    cr_expect_eq(ring.floor_reason, GAP_TRIMMED);
    cr_expect_eq(ring_get(&ring, 0)->sequence, 850);
    cr_expect_eq(ring_get(&ring, 15)->sequence, 1000);
    ring_free(&ring);
    cr_expect_eq(ring.bytes, 0u);
}

Test(ring, finds_what_is_above_a_cursor)
{
    struct ring ring = { 0 };
    cr_expect_eq(ring_after(&ring, 0), 0u);
    for (uint64_t sequence = 5; sequence <= 25; sequence += 5)
        append(&ring, sequence, "x", 16, 1 << 20);
    cr_expect_eq(ring_after(&ring, 0), 0u);
    cr_expect_eq(ring_after(&ring, 4), 0u);
    cr_expect_eq(ring_after(&ring, 5), 1u);
    cr_expect_eq(ring_after(&ring, 12), 2u);
    cr_expect_eq(ring_after(&ring, 24), 4u);
    cr_expect_eq(ring_after(&ring, 25), 5u);
    cr_expect_eq(ring_after(&ring, 99), 5u);
    ring_free(&ring);
}

Test(ring, is_bounded_in_bytes)
{
    struct ring ring = { 0 };
    char payload[1001];
    memset(payload, 'p', 1000);
    payload[1000] = '\0';
    for (uint64_t sequence = 1; sequence <= 50; sequence++) {
        append(&ring, sequence, payload, 1000, 4096);
        cr_assert_leq(ring.bytes, 4096u);
    }
    cr_expect_eq(ring.count, 3u);
    cr_expect_eq(ring.floor, 47);
    ring_free(&ring);
}

Test(ring, message_that_never_fits_raises_the_floor_above_itself)
{
    struct ring ring = { 0 };
    append(&ring, 1, "small", 8, 200);
    char payload[501];
    memset(payload, 'p', 500);
    payload[500] = '\0';
    append(&ring, 2, payload, 8, 200);
    cr_expect_eq(ring.count, 0u, "an older message must not outlive a newer one that is gone");
    cr_expect_eq(ring.floor, 2);
    append(&ring, 3, "off", 0, 200);
    cr_expect_eq(ring.count, 0u, "replay_messages: 0 switches it off");
    cr_expect_eq(ring.floor, 3);
    ring_free(&ring);
}

Test(ring, clear_says_why)
{
    struct ring ring = { 0 };
    append(&ring, 7, "x", 8, 1000);
    ring_clear(&ring, 9, GAP_REDIS_RECONNECT);
    cr_expect_eq(ring.count, 0u);
    cr_expect_eq(ring.floor, 9);
    cr_expect_eq(ring.floor_reason, GAP_REDIS_RECONNECT);
    append(&ring, 10, "y", 8, 1000);
    cr_expect_eq(ring.count, 1u);
    ring_free(&ring);
}
