#include "access/jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#include "access/base64url.h"

#define EXPONENT_BYTES_MAX 8
#define POINT_BYTES_MAX (1 + 2 * 66)

char *jwk_bytes(const json_t *jwk, const char *member, size_t *ret_length)
{
    const json_t *value = json_object_get(jwk, member);
    if (!json_is_string(value))
        return NULL;
    struct text text = text_of(json_string_value(value), json_string_length(value));
    char *bytes = malloc(BASE64URL_DECODED_MAX(text.length));
    if (bytes && base64url_decode(text, bytes, ret_length) && *ret_length > 0)
        return bytes;
    free(bytes);
    return NULL;
}

static bool member_is(const json_t *jwk, const char *member, const char *word)
{
    const char *value = json_string_value(json_object_get(jwk, member));
    return value && strcmp(value, word) == 0;
}

static EVP_PKEY *build(const char *kind, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
    if (!parameters || !context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return key;
}

/* With an exponent of 1 every message would be its own signature. */
static bool is_sound_exponent(const BIGNUM *exponent)
{
    return BN_is_odd(exponent) && !BN_is_one(exponent);
}

static EVP_PKEY *rsa_key(const json_t *jwk)
{
    size_t modulus_length, exponent_length;
    char *modulus_bytes = jwk_bytes(jwk, "n", &modulus_length);
    char *exponent_bytes = jwk_bytes(jwk, "e", &exponent_length);
    BIGNUM *modulus = NULL, *exponent = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (modulus_bytes && exponent_bytes && exponent_length <= EXPONENT_BYTES_MAX) {
        modulus = BN_bin2bn((const unsigned char *)modulus_bytes, (int)modulus_length, NULL);
        exponent = BN_bin2bn((const unsigned char *)exponent_bytes, (int)exponent_length, NULL);
    }
    if (modulus && exponent && builder && is_sound_exponent(exponent) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        key = build("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(modulus);
    BN_free(exponent);
    free(modulus_bytes);
    free(exponent_bytes);
    return key;
}

static const struct curve {
    const char *name;  /* in a JWK */
    const char *group; /* in OpenSSL */
    size_t bytes;
} curves[] = { { "P-256", "prime256v1", 32 }, { "P-384", "secp384r1", 48 }, { "P-521", "secp521r1", 66 } };

static EVP_PKEY *point_key(const struct curve *curve, const char *x_bytes, const char *y_bytes)
{
    char point[POINT_BYTES_MAX];
    point[0] = 4; /* uncompressed: SEC 1, section 2.3.3 */
    memcpy(point + 1, x_bytes, curve->bytes);
    memcpy(point + 1 + curve->bytes, y_bytes, curve->bytes);
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (builder &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * curve->bytes) == 1)
        key = build("EC", builder); /* which sees that the point is on the curve */
    OSSL_PARAM_BLD_free(builder);
    return key;
}

static EVP_PKEY *ec_key(const json_t *jwk)
{
    EVP_PKEY *key = NULL;
    size_t x_length, y_length;
    char *x_bytes = jwk_bytes(jwk, "x", &x_length);
    char *y_bytes = jwk_bytes(jwk, "y", &y_length);
    for (size_t i = 0; x_bytes && y_bytes && !key && i < sizeof(curves) / sizeof(curves[0]); i++)
        if (member_is(jwk, "crv", curves[i].name) && x_length == curves[i].bytes &&
            y_length == curves[i].bytes)
            key = point_key(&curves[i], x_bytes, y_bytes);
    free(x_bytes);
    free(y_bytes);
    return key;
}

static EVP_PKEY *okp_key(const json_t *jwk)
{
    int kind = member_is(jwk, "crv", "Ed25519") ? EVP_PKEY_ED25519
               : member_is(jwk, "crv", "Ed448") ? EVP_PKEY_ED448
                                                : EVP_PKEY_NONE;
    size_t length;
    char *bytes = kind != EVP_PKEY_NONE ? jwk_bytes(jwk, "x", &length) : NULL;
    EVP_PKEY *key =
        bytes ? EVP_PKEY_new_raw_public_key(kind, NULL, (const unsigned char *)bytes, length) : NULL;
    free(bytes);
    return key;
}

EVP_PKEY *jwk_public_key(const json_t *jwk)
{
    if (json_object_get(jwk, "d"))
        return NULL;
    if (member_is(jwk, "kty", "RSA"))
        return rsa_key(jwk);
    if (member_is(jwk, "kty", "EC"))
        return ec_key(jwk);
    return member_is(jwk, "kty", "OKP") ? okp_key(jwk) : NULL;
}
