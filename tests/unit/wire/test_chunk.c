#include "wire/chunk.h"

#include <criterion/criterion.h>
#include <string.h>

struct finish {
    int calls;
    uint32_t messages;
    size_t size;
};

static void on_done(void *context, const struct chunk *chunk)
{
    struct finish *finish = context;
    finish->calls++;
    finish->messages = chunk->messages;
    finish->size = chunk->bytes.size;
}

Test(chunk, the_last_reference_tells_and_frees)
{
    struct finish finish = { 0 };
    struct chunk *chunk = chunk_create();
    cr_assert_not_null(chunk);
    cr_assert_eq(chunk->references, 1);
    chunk->done = on_done;
    chunk->done_context = &finish;
    chunk->messages = 3;
    buffer_append_text(&chunk->bytes, "data: x\n\n");

    for (int client = 0; client < 1000; client++)
        cr_assert_eq(chunk_retain(chunk), chunk);
    chunk_release(chunk);
    for (int client = 0; client < 999; client++)
        chunk_release(chunk);
    cr_assert_eq(finish.calls, 0);
    cr_assert_arr_eq(chunk->bytes.data, "data: x\n\n", 9);
    chunk_release(chunk);
    cr_assert_eq(finish.calls, 1);
    cr_assert_eq(finish.messages, 3);
    cr_assert_eq(finish.size, 9);
}

Test(chunk, nobody_needs_to_be_told)
{
    struct chunk *chunk = chunk_create();
    cr_assert_not_null(chunk);
    cr_assert_eq(chunk->bytes.size, 0);
    chunk_release(chunk);
    chunk_release(NULL);
}
