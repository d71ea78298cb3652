/* One public key out of a JSON Web Key (RFC 7517; RFC 7518, section 6; RFC 8037). */
#pragma once

#include <jansson.h>
#include <openssl/evp.h>

/* NULL for one that is of an unknown kind, malformed, not on its curve, or private. The caller frees it. */
EVP_PKEY *jwk_public_key(const json_t *jwk);

/* The text of a member that is base64url, decoded; the caller frees it. NULL if it is none. */
char *jwk_bytes(const json_t *jwk, const char *member, size_t *ret_length);
