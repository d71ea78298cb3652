#include "access/signature.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#define RSA_BITS_MIN 2048 /* RFC 7518, section 3.3 */
#define RSA_BITS_MAX 16384
#define EC_NUMBER_BYTES_MAX 66 /* P-521 */

static const char *const names[SIGNATURE_ALGORITHMS] = {
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256",
    "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
};

#define RSA_PKCS1_SET                                                                                        \
    (SIGNATURE_BIT(SIGNATURE_RS256) | SIGNATURE_BIT(SIGNATURE_RS384) | SIGNATURE_BIT(SIGNATURE_RS512))
#define RSA_PSS_SET                                                                                          \
    (SIGNATURE_BIT(SIGNATURE_PS256) | SIGNATURE_BIT(SIGNATURE_PS384) | SIGNATURE_BIT(SIGNATURE_PS512))

enum signature_algorithm signature_algorithm_of(struct text name)
{
    for (int i = 0; i < SIGNATURE_ALGORITHMS; i++)
        if (text_is(name, names[i]))
            return (enum signature_algorithm)i;
    return SIGNATURE_ALGORITHMS;
}

const char *signature_algorithm_name(enum signature_algorithm algorithm)
{
    return names[algorithm];
}

/* One curve, one algorithm: RFC 7518, section 3.4. */
static signature_set algorithms_of_curve(const EVP_PKEY *key)
{
    char group[32];
    size_t length;
    if (EVP_PKEY_get_group_name(key, group, sizeof(group), &length) != 1)
        return 0;
    if (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0)
        return SIGNATURE_BIT(SIGNATURE_ES256);
    if (strcmp(group, "secp384r1") == 0 || strcmp(group, "P-384") == 0)
        return SIGNATURE_BIT(SIGNATURE_ES384);
    if (strcmp(group, "secp521r1") == 0 || strcmp(group, "P-521") == 0)
        return SIGNATURE_BIT(SIGNATURE_ES512);
    return 0;
}

signature_set signature_algorithms_of(const EVP_PKEY *key)
{
    int bits = EVP_PKEY_get_bits(key);
    bool is_sound_rsa = bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        return is_sound_rsa ? RSA_PKCS1_SET | RSA_PSS_SET : 0;
    case EVP_PKEY_RSA_PSS:
        return is_sound_rsa ? RSA_PSS_SET : 0;
    case EVP_PKEY_EC:
        return algorithms_of_curve(key);
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448:
        return SIGNATURE_BIT(SIGNATURE_EDDSA);
    default:
        return 0;
    }
}

static const EVP_MD *digest_of(enum signature_algorithm algorithm)
{
    switch (algorithm) {
    case SIGNATURE_HS256:
    case SIGNATURE_RS256:
    case SIGNATURE_PS256:
    case SIGNATURE_ES256:
        return EVP_sha256();
    case SIGNATURE_HS384:
    case SIGNATURE_RS384:
    case SIGNATURE_PS384:
    case SIGNATURE_ES384:
        return EVP_sha384();
    case SIGNATURE_HS512:
    case SIGNATURE_RS512:
    case SIGNATURE_PS512:
    case SIGNATURE_ES512:
        return EVP_sha512();
    case SIGNATURE_EDDSA:
    case SIGNATURE_ALGORITHMS:
        break;
    }
    return NULL; /* EdDSA has its own */
}

static const unsigned char *octets(struct text text)
{
    return (const unsigned char *)text.bytes;
}

/* --- HMAC --- */

struct signature_secret {
    EVP_MAC_CTX *contexts[SIGNATURE_HS512 + 1]; /* by algorithm, each keyed */
};

static EVP_MAC_CTX *keyed_context(EVP_MAC *hmac, enum signature_algorithm algorithm, struct text secret)
{
    char *digest = (char *)EVP_MD_get0_name(digest_of(algorithm)); /* only read */
    const OSSL_PARAM parameters[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                      OSSL_PARAM_construct_end() };
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(hmac);
    if (context && EVP_MAC_init(context, octets(secret), secret.length, parameters) == 1)
        return context;
    EVP_MAC_CTX_free(context);
    return NULL;
}

struct signature_secret *signature_secret_create(struct text secret)
{
    struct signature_secret *made = calloc(1, sizeof(*made));
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    bool is_whole = made && hmac;
    for (int i = 0; is_whole && i <= SIGNATURE_HS512; i++) {
        made->contexts[i] = keyed_context(hmac, (enum signature_algorithm)i, secret);
        is_whole = made->contexts[i] != NULL;
    }
    EVP_MAC_free(hmac); /* the contexts hold it */
    if (is_whole)
        return made;
    signature_secret_destroy(made);
    return NULL;
}

void signature_secret_destroy(struct signature_secret *secret)
{
    for (int i = 0; secret && i <= SIGNATURE_HS512; i++)
        EVP_MAC_CTX_free(secret->contexts[i]);
    free(secret);
}

bool signature_check_secret(enum signature_algorithm algorithm, struct signature_secret *secret,
                            struct text signed_bytes, struct text signature)
{
    unsigned char expected[EVP_MAX_MD_SIZE];
    size_t length = 0;
    if (algorithm > SIGNATURE_HS512)
        return false;
    EVP_MAC_CTX *context = secret->contexts[algorithm];
    /* Without a key it begins anew with the one it has. */
    if (EVP_MAC_init(context, NULL, 0, NULL) != 1 ||
        EVP_MAC_update(context, octets(signed_bytes), signed_bytes.length) != 1 ||
        EVP_MAC_final(context, expected, &length, sizeof(expected)) != 1)
        return false;
    return signature.length == length && CRYPTO_memcmp(expected, signature.bytes, length) == 0;
}

/* --- everything else --- */

/* RFC 7518, section 3.4: both numbers in full length, one behind the other; OpenSSL wants them in ASN.1. The
 * caller frees *ret_der. */
static bool ecdsa_to_der(enum signature_algorithm algorithm, struct text signature, unsigned char **ret_der,
                         size_t *ret_length)
{
    size_t number = algorithm == SIGNATURE_ES256   ? 32
                    : algorithm == SIGNATURE_ES384 ? 48
                                                   : EC_NUMBER_BYTES_MAX;
    *ret_der = NULL;
    if (signature.length != 2 * number)
        return false;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *first = BN_bin2bn(octets(signature), (int)number, NULL);
    BIGNUM *second = BN_bin2bn(octets(signature) + number, (int)number, NULL);
    if (!pair || !first || !second || ECDSA_SIG_set0(pair, first, second) != 1) {
        BN_free(first);
        BN_free(second);
        ECDSA_SIG_free(pair);
        return false;
    }
    int length = i2d_ECDSA_SIG(pair, ret_der);
    ECDSA_SIG_free(pair);
    *ret_length = length > 0 ? (size_t)length : 0;
    return length > 0;
}

static bool set_padding(enum signature_algorithm algorithm, EVP_PKEY_CTX *context)
{
    signature_set bit = SIGNATURE_BIT(algorithm);
    if (bit & RSA_PSS_SET)
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
    return !(bit & RSA_PKCS1_SET) || EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
}

bool signature_check_public(enum signature_algorithm algorithm, EVP_PKEY *key, struct text signed_bytes,
                            struct text signature)
{
    bool is_ecdsa = algorithm >= SIGNATURE_ES256 && algorithm <= SIGNATURE_ES512;
    const unsigned char *bytes = octets(signature);
    size_t length = signature.length;
    unsigned char *der = NULL;
    if (is_ecdsa && !ecdsa_to_der(algorithm, signature, &der, &length)) {
        OPENSSL_free(der);
        return false;
    }
    EVP_PKEY_CTX *padding = NULL; /* belongs to `context` */
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_good =
        context && EVP_DigestVerifyInit(context, &padding, digest_of(algorithm), NULL, key) == 1 &&
        set_padding(algorithm, padding) &&
        EVP_DigestVerify(context, der ? der : bytes, length, octets(signed_bytes), signed_bytes.length) == 1;
    EVP_MD_CTX_free(context);
    OPENSSL_free(der);
    return is_good;
}
