/* Numbers, durations and sizes as people write them. All parsers take the whole input or fail. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal digits only, no sign, no spaces, no overflow. */
bool parse_unsigned(const char *text, size_t length, uint64_t *ret_value);

/* `250ms`, `15s`, `10m`, `1h`, or a bare number, which is seconds. Result in milliseconds. */
bool parse_duration_ms(const char *text, size_t length, uint64_t *ret_ms);

/* `65536`, `64KiB`, `64KB` (taken as KiB), `1MiB`, `1GiB`. Result in bytes. */
bool parse_size_bytes(const char *text, size_t length, uint64_t *ret_bytes);

/* `2026-11-21`, `2026-11-21T10:00:00`, with `.123`, with `Z` or `+01:00` (RFC 3339; UTC without an offset).
 * Milliseconds since the Unix epoch. */
bool parse_time_ms(const char *text, size_t length, uint64_t *ret_ms);

/* The value of a hexadecimal digit of either case; -1 for anything else. */
int parse_hex_digit(char digit);

/* on/off, true/false, yes/no, 1/0. */
bool parse_switch(const char *text, size_t length, bool *ret_on);
