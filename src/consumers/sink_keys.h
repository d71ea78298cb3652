/*
 * Signatures of webhooks as Standard Webhooks has them (standardwebhooks.com, "Signature scheme"):
 * HMAC-SHA256 over `<id>.<timestamp>.<body>`, written `v1,<base64>`, several of them separated by spaces.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

#define SINK_KEYS_MAX 4
#define SINK_KEY_BYTES_MIN 16 /* fewer can be guessed */
#define SINK_KEY_BYTES_MAX 256

struct sink_keys;

/*
 * `secret` is one key, or several with spaces between them while receivers change from one to the next:
 * `whsec_<base64>`, or any text that is taken as it is. NULL with a sentence that does not repeat the secret.
 */
struct sink_keys *sink_keys_create(const char *secret, size_t length, const char **ret_problem);
void sink_keys_destroy(struct sink_keys *keys);

/* Appends the value of the header webhook-signature. False, with `out` failed, when memory is short. */
bool sink_keys_sign(const struct sink_keys *keys, const char *id, uint64_t timestamp_s, const char *body,
                    size_t body_length, struct buffer *out);
