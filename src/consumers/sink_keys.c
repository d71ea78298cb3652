#include "consumers/sink_keys.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define ENCODED_PREFIX "whsec_"
#define SIGNATURE_BYTES 32 /* of SHA-256 */

struct sink_keys {
    size_t count;
    struct {
        size_t length;
        unsigned char bytes[SINK_KEY_BYTES_MAX];
    } keys[SINK_KEYS_MAX];
};

/* Strict base64 (RFC 4648 §4), padded or not. */
static bool decode_base64(const char *text, size_t length, unsigned char *ret_bytes, size_t *ret_length)
{
    char padded[SINK_KEY_BYTES_MAX / 3 * 4 + 5];
    unsigned char decoded[sizeof(padded)];
    while (length > 0 && text[length - 1] == '=')
        length--;
    size_t missing = (4 - length % 4) % 4;
    if (missing == 3 || length + missing >= sizeof(padded))
        return false;
    for (size_t i = 0; i < length; i++) /* EVP_DecodeBlock() overlooks line breaks and padding in between */
        if (!memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", text[i], 64))
            return false;
    memcpy(padded, text, length);
    memset(padded + length, '=', missing);
    int size = EVP_DecodeBlock(decoded, (const unsigned char *)padded, (int)(length + missing));
    bool is_good = size >= 0 && (size_t)size - missing <= SINK_KEY_BYTES_MAX;
    if (is_good) {
        *ret_length = (size_t)size - missing;
        memcpy(ret_bytes, decoded, *ret_length);
    }
    OPENSSL_cleanse(padded, sizeof(padded));
    OPENSSL_cleanse(decoded, sizeof(decoded));
    return is_good;
}

/* NULL, or what is wrong with it. */
static const char *add_key(struct sink_keys *keys, const char *text, size_t length)
{
    if (keys->count == SINK_KEYS_MAX)
        return "there may be four keys at most";
    unsigned char *bytes = keys->keys[keys->count].bytes;
    size_t *key_length = &keys->keys[keys->count].length;
    size_t prefix = strlen(ENCODED_PREFIX);
    if (length >= prefix && memcmp(text, ENCODED_PREFIX, prefix) == 0) {
        if (!decode_base64(text + prefix, length - prefix, bytes, key_length))
            return "what follows whsec_ must be base64 of at most 256 bytes";
    } else {
        if (length > SINK_KEY_BYTES_MAX)
            return "a key has 256 bytes at most";
        memcpy(bytes, text, length);
        *key_length = length;
    }
    keys->count++;
    return *key_length < SINK_KEY_BYTES_MIN ? "a key needs at least 16 bytes, or it can be guessed" : NULL;
}

static bool is_space(char letter)
{
    return letter == ' ' || letter == '\n' || letter == '\r' || letter == '\t';
}

struct sink_keys *sink_keys_create(const char *secret, size_t length, const char **ret_problem)
{
    struct sink_keys *keys = calloc(1, sizeof(*keys));
    *ret_problem = keys ? NULL : "out of memory";
    for (size_t start = 0, end; keys && !*ret_problem && start < length; start = end + 1) {
        for (end = start; end < length && !is_space(secret[end]);)
            end++;
        if (end > start)
            *ret_problem = add_key(keys, secret + start, end - start);
    }
    if (keys && !*ret_problem && keys->count == 0)
        *ret_problem = "there is no key in it";
    if (!*ret_problem)
        return keys;
    sink_keys_destroy(keys);
    return NULL;
}

void sink_keys_destroy(struct sink_keys *keys)
{
    if (!keys)
        return;
    OPENSSL_cleanse(keys, sizeof(*keys));
    free(keys);
}

bool sink_keys_sign(const struct sink_keys *keys, const char *id, uint64_t timestamp_s, const char *body,
                    size_t body_length, struct buffer *out)
{
    struct buffer content = { 0 };
    buffer_printf(&content, "%s.%" PRIu64 ".", id, timestamp_s);
    buffer_append(&content, body, body_length);
    for (size_t i = 0; i < keys->count && !content.failed; i++) {
        unsigned char signature[SIGNATURE_BYTES], encoded[SIGNATURE_BYTES / 3 * 4 + 5];
        if (!HMAC(EVP_sha256(), keys->keys[i].bytes, (int)keys->keys[i].length,
                  (const unsigned char *)content.data, content.size, signature, NULL)) {
            content.failed = true;
            break;
        }
        EVP_EncodeBlock(encoded, signature, sizeof(signature));
        buffer_printf(out, "%sv1,%s", i ? " " : "", (const char *)encoded);
    }
    if (content.failed)
        out->failed = true;
    buffer_free(&content);
    return !out->failed;
}
