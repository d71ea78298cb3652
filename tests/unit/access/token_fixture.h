/* Tokens signed with a secret, made for a test. */
#pragma once

#include <criterion/criterion.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "access/base64url.h"
#include "base/text.h"

#define TOKEN_FIXTURE_SECRET "a secret that is long enough for a test"

/* Into `storage`, NUL-terminated. */
static inline struct text token_fixture_make(const char *header, const char *claims, char *storage,
                                             size_t size)
{
    char head[1024], payload[16384], signature[64];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_length;
    cr_assert_lt(BASE64URL_ENCODED_MAX(strlen(header)), sizeof(head));
    cr_assert_lt(BASE64URL_ENCODED_MAX(strlen(claims)), sizeof(payload));
    base64url_encode(header, strlen(header), head);
    base64url_encode(claims, strlen(claims), payload);
    int length = snprintf(storage, size, "%s.%s", head, payload);
    HMAC(EVP_sha256(), TOKEN_FIXTURE_SECRET, (int)strlen(TOKEN_FIXTURE_SECRET), (unsigned char *)storage,
         (size_t)length, digest, &digest_length);
    base64url_encode(digest, digest_length, signature);
    length += snprintf(storage + length, size - (size_t)length, ".%s", signature);
    cr_assert_lt((size_t)length, size);
    return text_of(storage, (size_t)length);
}

#define TOKEN_FIXTURE_HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
