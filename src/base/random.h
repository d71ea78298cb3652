/* Random numbers from the kernel (getrandom(2)), for jitter, epochs and hash seeds. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t random_u64(void);

/* Uniform in [low, high], both included. `low <= high`. */
uint64_t random_between(uint64_t low, uint64_t high);

void random_fill(void *bytes, size_t length);
