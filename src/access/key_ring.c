#include "access/key_ring.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "access/grant_json.h"
#include "access/jwk.h"

#define KEY_ID_BYTES_MAX 256
#define SECRET_BYTES_MAX (64 * 1024)
#define HMAC_SET                                                                                             \
    (SIGNATURE_BIT(SIGNATURE_HS256) | SIGNATURE_BIT(SIGNATURE_HS384) | SIGNATURE_BIT(SIGNATURE_HS512))

struct key {
    EVP_PKEY *key; /* or */
    struct signature_secret *secret;
    struct text id;       /* owned; without bytes if it has none */
    signature_set serves; /* fixed when the key is read */
};

struct key_ring {
    struct key keys[KEY_RING_KEYS_MAX];
    size_t count;
};

struct key_ring *key_ring_create(void)
{
    return calloc(1, sizeof(struct key_ring));
}

static void clear_key(struct key *key)
{
    EVP_PKEY_free(key->key);
    signature_secret_destroy(key->secret);
    free((void *)key->id.bytes);
}

void key_ring_destroy(struct key_ring *ring)
{
    for (size_t i = 0; ring && i < ring->count; i++)
        clear_key(&ring->keys[i]);
    free(ring);
}

size_t key_ring_count(const struct key_ring *ring)
{
    return ring->count;
}

static bool refuse(char *ret_problem, const char *problem)
{
    snprintf(ret_problem, KEY_RING_PROBLEM_MAX, "%s", problem);
    return false;
}

/* NULL bytes when memory is short. */
static struct text copy(struct text text)
{
    char *bytes = malloc(text.length + 1);
    if (!bytes)
        return (struct text){ 0 };
    memcpy(bytes, text.bytes, text.length);
    bytes[text.length] = '\0';
    return text_of(bytes, text.length);
}

/* Takes what `key` owns. */
static bool add(struct key_ring *ring, struct key *key, char *ret_problem)
{
    bool is_full = ring->count == KEY_RING_KEYS_MAX;
    if (!is_full && (key->key || key->secret)) {
        ring->keys[ring->count++] = *key;
        return true;
    }
    clear_key(key);
    return refuse(ret_problem, is_full ? "There are more than 64 keys." : "Memory is short.");
}

bool key_ring_add_secret(struct key_ring *ring, struct text secret,
                         char ret_problem[static KEY_RING_PROBLEM_MAX])
{
    if (secret.length == 0 || secret.length > SECRET_BYTES_MAX)
        return refuse(ret_problem, "The secret is empty, or larger than 64 KiB.");
    struct key key = { .secret = signature_secret_create(secret), .serves = HMAC_SET };
    return add(ring, &key, ret_problem);
}

/* --- PEM --- */

static EVP_PKEY *certificate_key(const unsigned char *der, long length)
{
    X509 *certificate = d2i_X509(NULL, &der, length);
    EVP_PKEY *key = certificate ? X509_get_pubkey(certificate) : NULL;
    X509_free(certificate);
    return key;
}

static EVP_PKEY *pem_key(const char *name, const unsigned char *der, long length)
{
    if (strcmp(name, "PUBLIC KEY") == 0)
        return d2i_PUBKEY(NULL, &der, length);
    if (strcmp(name, "RSA PUBLIC KEY") == 0)
        return d2i_PublicKey(EVP_PKEY_RSA, NULL, &der, length);
    return strcmp(name, "CERTIFICATE") == 0 ? certificate_key(der, length) : NULL;
}

static bool add_pem_block(struct key_ring *ring, const char *name, const unsigned char *der, long length,
                          char *ret_problem)
{
    if (strstr(name, "PRIVATE KEY"))
        return refuse(ret_problem,
                      "A private key is in it; only the public one belongs here: openssl pkey -in "
                      "private.pem -pubout.");
    struct key key = { .key = pem_key(name, der, length) };
    if (!key.key) {
        snprintf(ret_problem, KEY_RING_PROBLEM_MAX, "\"%.40s\" is not a public key that can be read.", name);
        return false;
    }
    key.serves = signature_algorithms_of(key.key);
    if (key.serves)
        return add(ring, &key, ret_problem);
    clear_key(&key);
    return refuse(
        ret_problem,
        "A key serves no algorithm: RSA needs 2048 bits, else P-256, P-384, P-521, Ed25519 or Ed448.");
}

bool key_ring_add_pem(struct key_ring *ring, struct text pem, char ret_problem[static KEY_RING_PROBLEM_MAX])
{
    BIO *bio = BIO_new_mem_buf(pem.bytes, (int)pem.length);
    char *name, *header;
    unsigned char *der;
    long length;
    size_t count = ring->count;
    bool is_good = bio != NULL;
    while (is_good && PEM_read_bio(bio, &name, &header, &der, &length) == 1) {
        is_good = add_pem_block(ring, name, der, length, ret_problem);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    ERR_clear_error();
    BIO_free(bio);
    if (!is_good)
        return bio ? false : refuse(ret_problem, "Memory is short.");
    return ring->count > count || refuse(ret_problem, "There is no key in it.");
}

/* --- JWKS --- */

static bool member_is(const json_t *jwk, const char *member, const char *word)
{
    const char *value = json_string_value(json_object_get(jwk, member));
    return value && strcmp(value, word) == 0;
}

/* RFC 7517, sections 4.2 and 4.3. */
static bool is_for_signatures(const json_t *jwk)
{
    const json_t *operations = json_object_get(jwk, "key_ops");
    if (json_object_get(jwk, "use") && !member_is(jwk, "use", "sig"))
        return false;
    for (size_t i = 0; i < json_array_size(operations); i++) {
        const char *operation = json_string_value(json_array_get(operations, i));
        if (operation && strcmp(operation, "verify") == 0)
            return true;
    }
    return !operations;
}

/* NULL: it has none, or memory is short. */
static struct signature_secret *read_jwk_secret(const json_t *jwk)
{
    size_t length;
    char *bytes = jwk_bytes(jwk, "k", &length);
    struct signature_secret *secret = bytes ? signature_secret_create(text_of(bytes, length)) : NULL;
    if (bytes)
        OPENSSL_cleanse(bytes, length);
    free(bytes);
    return secret;
}

/* Whether it is a key for us; what it is goes to *ret_key, whose parts are owned then. */
static bool read_jwk(const json_t *jwk, bool with_secrets, struct key *ret_key)
{
    const json_t *id = json_object_get(jwk, "kid");
    const json_t *algorithm = json_object_get(jwk, "alg");
    struct key key = { 0 };
    if (!is_for_signatures(jwk) || (id && json_string_length(id) > KEY_ID_BYTES_MAX))
        return false;
    if (member_is(jwk, "kty", "oct")) {
        key.secret = with_secrets ? read_jwk_secret(jwk) : NULL;
        key.serves = key.secret ? HMAC_SET : 0;
    } else {
        key.key = jwk_public_key(jwk);
        key.serves = key.key ? signature_algorithms_of(key.key) : 0;
    }
    if (algorithm) {
        enum signature_algorithm only =
            signature_algorithm_of(text_of(json_string_value(algorithm), json_string_length(algorithm)));
        key.serves &= only == SIGNATURE_ALGORITHMS ? 0 : SIGNATURE_BIT(only);
    }
    if (json_is_string(id))
        key.id = copy(text_of(json_string_value(id), json_string_length(id)));
    *ret_key = key;
    if (key.serves && (!json_is_string(id) || key.id.bytes))
        return true;
    clear_key(&key);
    return false;
}

bool key_ring_add_jwks(struct key_ring *ring, struct text jwks, bool with_secrets,
                       char ret_problem[static KEY_RING_PROBLEM_MAX])
{
    json_t *all = access_json_parse(jwks.bytes, jwks.length);
    const json_t *keys = json_object_get(all, "keys");
    size_t count = ring->count;
    size_t key_count = keys ? json_array_size(keys) : 1;
    bool has_room = true;
    for (size_t i = 0; all && has_room && i < key_count; i++) {
        struct key key;
        if (read_jwk(keys ? json_array_get(keys, i) : all, with_secrets, &key))
            has_room = add(ring, &key, ret_problem);
    }
    ERR_clear_error();
    json_decref(all);
    if (!all)
        return refuse(ret_problem, "It is not a JSON object.");
    if (!has_room)
        return false;
    return ring->count > count || refuse(ret_problem, "There is no public key for signatures in it.");
}

bool key_ring_add_file(struct key_ring *ring, const char *path, char ret_problem[static KEY_RING_PROBLEM_MAX])
{
    FILE *file = fopen(path, "re");
    char *bytes = file ? malloc(KEY_FILE_BYTES_MAX + 1) : NULL;
    if (!bytes) {
        snprintf(ret_problem, KEY_RING_PROBLEM_MAX, "It cannot be opened: %s.", strerror(errno));
        if (file)
            fclose(file);
        return false;
    }
    size_t length = fread(bytes, 1, KEY_FILE_BYTES_MAX + 1, file);
    bool is_good;
    if (ferror(file))
        is_good = refuse(ret_problem, "It cannot be read.");
    else if (length > KEY_FILE_BYTES_MAX)
        is_good = refuse(ret_problem, "It is larger than 256 KiB.");
    else if (memmem(bytes, length, "-----BEGIN ", 11))
        is_good = key_ring_add_pem(ring, text_of(bytes, length), ret_problem);
    else
        is_good = key_ring_add_jwks(ring, text_of(bytes, length), true, ret_problem);
    OPENSSL_cleanse(bytes, length);
    free(bytes);
    fclose(file);
    return is_good;
}

/* --- checking --- */

static bool may_be(const struct key *key, enum signature_algorithm algorithm, struct text id)
{
    if (!(key->serves & SIGNATURE_BIT(algorithm)))
        return false;
    return !id.bytes || !key->id.bytes ||
           (key->id.length == id.length && memcmp(key->id.bytes, id.bytes, id.length) == 0);
}

enum key_ring_verdict key_ring_check(const struct key_ring *ring, enum signature_algorithm algorithm,
                                     struct text id, struct text signed_bytes, struct text signature)
{
    enum key_ring_verdict verdict = KEY_RING_NO_KEY;
    for (size_t i = 0; i < ring->count && verdict != KEY_RING_GOOD; i++) {
        const struct key *key = &ring->keys[i];
        if (!may_be(key, algorithm, id))
            continue;
        bool is_good = key->key ? signature_check_public(algorithm, key->key, signed_bytes, signature)
                                : signature_check_secret(algorithm, key->secret, signed_bytes, signature);
        verdict = is_good ? KEY_RING_GOOD : KEY_RING_BAD;
    }
    if (verdict == KEY_RING_BAD)
        ERR_clear_error();
    return verdict;
}

void key_ring_append_summary(const struct key_ring *ring, struct buffer *out)
{
    for (size_t i = 0; i < ring->count; i++) {
        const struct key *key = &ring->keys[i];
        buffer_append_text(out, i ? "; " : "");
        const char *before = "";
        for (int algorithm = 0; algorithm < SIGNATURE_ALGORITHMS; algorithm++)
            if (key->serves & SIGNATURE_BIT(algorithm)) {
                buffer_printf(out, "%s%s", before,
                              signature_algorithm_name((enum signature_algorithm)algorithm));
                before = " ";
            }
        if (key->id.bytes) {
            buffer_append_text(out, " kid=");
            buffer_append_json_string(out, key->id.bytes, key->id.length);
        }
    }
}
