#include "access/digest.h"

#include <openssl/evp.h>
#include <stdint.h>

bool digest_of(const struct text *parts, size_t part_count, unsigned char ret_digest[static DIGEST_BYTES])
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool done = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; done && i < part_count; i++) {
        uint64_t length = parts[i].length;
        done = EVP_DigestUpdate(hash, &length, sizeof length) == 1 &&
               EVP_DigestUpdate(hash, parts[i].bytes, parts[i].length) == 1;
    }
    unsigned size = 0;
    done = done && EVP_DigestFinal_ex(hash, ret_digest, &size) == 1 && size == DIGEST_BYTES;
    EVP_MD_CTX_free(hash);
    return done;
}
