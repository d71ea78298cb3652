/* What the fuzz targets share. Each checks a property and not only that nothing crashes. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Called by libFuzzer with each input. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                          \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* What is left of an input. */
struct input {
    const char *bytes;
    size_t length;
};

static inline struct input input_of(const uint8_t *data, size_t size)
{
    return (struct input){ .bytes = (const char *)data, .length = size };
}

/* The next byte, 0 at the end. */
static inline uint8_t input_take_byte(struct input *input)
{
    if (input->length == 0)
        return 0;
    input->length--;
    return (uint8_t)*input->bytes++;
}

/* The next `length` bytes, or as many as there are. */
static inline struct input input_take(struct input *input, size_t length)
{
    struct input part = { .bytes = input->bytes, .length = length < input->length ? length : input->length };
    input->bytes += part.length;
    input->length -= part.length;
    return part;
}
