/*
 * The keys that tokens may be signed with. What a key is decides which algorithms it serves, before any token
 * is seen: a secret HMAC and nothing else, an RSA key RS* and PS*, a P-256 key ES256, an Ed25519 key EdDSA; a
 * JWK with "alg" that one only. So a token cannot have a public key taken for a secret.
 *
 * A ring with secrets is for one thread at a time (signature.h); public keys alone may be shared.
 */
#pragma once

#include <stddef.h>

#include "access/signature.h"
#include "base/buffer.h"

#define KEY_RING_KEYS_MAX 64
#define KEY_RING_PROBLEM_MAX 200
#define KEY_FILE_BYTES_MAX (256 * 1024)

struct key_ring;

struct key_ring *key_ring_create(void);
void key_ring_destroy(struct key_ring *ring);
size_t key_ring_count(const struct key_ring *ring);

/* All false with a sentence in ret_problem when nothing was added. */
bool key_ring_add_secret(struct key_ring *ring, struct text secret,
                         char ret_problem[static KEY_RING_PROBLEM_MAX]);
/* One or several public keys or certificates; a private key is refused, it has no business here. */
bool key_ring_add_pem(struct key_ring *ring, struct text pem, char ret_problem[static KEY_RING_PROBLEM_MAX]);
/* A JWK Set or a JWK (RFC 7517). Keys that are not for signatures, or of unknown kinds, are passed over;
 * secrets ("oct") only count with `with_secrets`: what is fetched from a public address has none. */
bool key_ring_add_jwks(struct key_ring *ring, struct text jwks, bool with_secrets,
                       char ret_problem[static KEY_RING_PROBLEM_MAX]);
/* PEM or JWKS, whichever it is. */
bool key_ring_add_file(struct key_ring *ring, const char *path,
                       char ret_problem[static KEY_RING_PROBLEM_MAX]);

enum key_ring_verdict {
    KEY_RING_GOOD,
    KEY_RING_BAD,    /* there is a key that it should be of, and it is not */
    KEY_RING_NO_KEY, /* no key of this id and algorithm: a newer set of keys may have one */
};

/* `id` is the token's "kid", without bytes if it has none. A key without an id of its own (a secret, PEM)
 * serves every id; ids are bytes to compare, nothing is ever looked up by them elsewhere. */
enum key_ring_verdict key_ring_check(const struct key_ring *ring, enum signature_algorithm algorithm,
                                     struct text id, struct text signed_bytes, struct text signature);

/* "2 keys (RS256 RS384 … kid=a)": for --check; no secrets. */
void key_ring_append_summary(const struct key_ring *ring, struct buffer *out);
