/*
 * Keys for machines: `sk_` and 256 random bits. A file has their hashes, one JSON object a line; empty lines
 * and such that begin with # are passed over:
 *
 *     {"name": "n8n", "hash": "sha256:9f86…", "publish": ["orders.*"], "subscribe": []}
 *
 * SHA-256 is enough for what cannot be guessed; what is compared in constant time is the hash. A key is
 * rotated by a second line of another hash, and gone with its line.
 */
#pragma once

#include "access/grant.h"
#include "base/buffer.h"

#define MACHINE_KEY_PREFIX "sk_"
#define MACHINE_KEY_BYTES_MAX 64 /* of the text */
#define MACHINE_KEYS_MAX 10000
#define MACHINE_KEYS_FILE_BYTES_MAX (4 * 1024 * 1024)
#define MACHINE_KEYS_PROBLEM_MAX 320

struct machine_keys;

/* NULL with a sentence: which line, and what is wrong with it. */
struct machine_keys *machine_keys_read(const char *path, char ret_problem[static MACHINE_KEYS_PROBLEM_MAX]);
struct machine_keys *machine_keys_parse(struct text lines, char ret_problem[static MACHINE_KEYS_PROBLEM_MAX]);
void machine_keys_destroy(struct machine_keys *keys);

/* Borrowed grant of that key, or NULL. */
struct grant *machine_keys_find(const struct machine_keys *keys, struct text text);

/* Borrowed grant by grant_credential(), the first 8 bytes of the hash; NULL: the key is gone. */
struct grant *machine_keys_by_credential(const struct machine_keys *keys, uint64_t credential);

void machine_keys_append_summary(const struct machine_keys *keys, struct buffer *out);

/* Makes a key, and its line for the file. The lists are of `draft`, whose subject is the key's name. False
 * with a sentence. */
bool machine_keys_make(const struct grant_draft *draft, char ret_key[static MACHINE_KEY_BYTES_MAX],
                       struct buffer *ret_line, char ret_problem[static MACHINE_KEYS_PROBLEM_MAX]);
