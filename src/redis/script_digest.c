#include "redis/script_digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define SHA1_BYTES 20

struct script_digester {
    EVP_MD *sha1;
    EVP_MD_CTX *context;
};

/* OpenSSL uses its default context without a look at whether there was memory for it. */
static bool has_context(void)
{
    return OSSL_LIB_CTX_get0_global_default() != NULL;
}

struct script_digester *script_digester_create(void)
{
    if (!has_context())
        return NULL;
    struct script_digester *digester = calloc(1, sizeof(*digester));
    if (!digester)
        return NULL;
    digester->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    digester->context = EVP_MD_CTX_new();
    if (!digester->sha1 || !digester->context) {
        script_digester_destroy(digester);
        return NULL;
    }
    return digester;
}

void script_digester_destroy(struct script_digester *digester)
{
    if (!digester)
        return;
    EVP_MD_CTX_free(digester->context);
    EVP_MD_free(digester->sha1);
    free(digester);
}

bool script_digest(struct script_digester *digester, const char *script, char ret_digest[SCRIPT_DIGEST_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[SHA1_BYTES];
    if (EVP_DigestInit_ex2(digester->context, digester->sha1, NULL) != 1 ||
        EVP_DigestUpdate(digester->context, script, strlen(script)) != 1 ||
        EVP_DigestFinal_ex(digester->context, bytes, NULL) != 1)
        return false;
    for (int i = 0; i < SHA1_BYTES; i++) {
        ret_digest[2 * i] = digits[bytes[i] >> 4];
        ret_digest[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_digest[2 * SHA1_BYTES] = '\0';
    return true;
}
