/*
 * Signatures of JSON Web Signatures (RFC 7515, RFC 7518 section 3, RFC 8037), verified by OpenSSL's EVP. Of
 * the JWT libraries in Debian, libjwt 1.10 (Debian 12) knows neither EdDSA nor JWKS and has another API from
 * 2.0 on (Debian 13), and cjose knows no EdDSA; EVP is the same in both and does all the cryptography, so
 * only the form of a token is ours to read.
 */
#pragma once

#include <openssl/evp.h>
#include <stdbool.h>

#include "base/text.h"

enum signature_algorithm {
    SIGNATURE_HS256,
    SIGNATURE_HS384,
    SIGNATURE_HS512,
    SIGNATURE_RS256,
    SIGNATURE_RS384,
    SIGNATURE_RS512,
    SIGNATURE_PS256,
    SIGNATURE_PS384,
    SIGNATURE_PS512,
    SIGNATURE_ES256,
    SIGNATURE_ES384,
    SIGNATURE_ES512,
    SIGNATURE_EDDSA,
    SIGNATURE_ALGORITHMS, /* none of them: "none" is no algorithm */
};

/* Exactly as in a header: "HS256". SIGNATURE_ALGORITHMS if it is none of ours. */
enum signature_algorithm signature_algorithm_of(struct text name);
const char *signature_algorithm_name(enum signature_algorithm algorithm);

/* A set of algorithms: bits (1 << SIGNATURE_…). */
typedef unsigned signature_set;

#define SIGNATURE_BIT(algorithm) (1u << (algorithm))

/* The algorithms that a public key of this kind and size serves; 0: it is too weak, or of no use here. */
signature_set signature_algorithms_of(const EVP_PKEY *key);

/*
 * A secret that HMAC has been keyed with, once for all messages: to look the algorithm up and to hash the key
 * anew takes longer than a message. One thread at a time.
 */
struct signature_secret;

/* NULL when memory is short. Copies `secret`, which is not empty. */
struct signature_secret *signature_secret_create(struct text secret);
void signature_secret_destroy(struct signature_secret *secret);

/* HMAC. Compared in constant time. */
bool signature_check_secret(enum signature_algorithm algorithm, struct signature_secret *secret,
                            struct text signed_bytes, struct text signature);

/* Everything else. The caller has made sure that the key serves the algorithm. */
bool signature_check_public(enum signature_algorithm algorithm, EVP_PKEY *key, struct text signed_bytes,
                            struct text signature);
