#include "access/machine_keys.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/base64url.h"
#include "access/grant_json.h"
#include "base/map.h"
#include "base/parse.h"
#include "base/random.h"

#define HASH_BYTES 32
#define HASH_NAME "sha256:"
#define RANDOM_BYTES 32
#define NAME_BYTES_MAX 64
#define SUBJECT_PREFIX "key:"
#define SECONDS_MAX 100000000000.0

struct machine_key {
    uint64_t credential; /* the first bytes of the hash; what the map goes by */
    unsigned char hash[HASH_BYTES];
    struct grant *grant;
};

struct machine_keys {
    struct map *by_credential;
};

static bool refuse(char *ret_problem, const char *problem)
{
    snprintf(ret_problem, MACHINE_KEYS_PROBLEM_MAX, "%s", problem);
    return false;
}

static bool hash_of(struct text key, unsigned char ret_hash[static HASH_BYTES])
{
    unsigned length = HASH_BYTES;
    return EVP_Digest(key.bytes, key.length, ret_hash, &length, EVP_sha256(), NULL) == 1;
}

static uint64_t credential_of(const unsigned char *hash)
{
    uint64_t credential = 0;
    for (int i = 0; i < 8; i++)
        credential = credential << 8 | hash[i];
    return credential ? credential : 1; /* 0 stands for none */
}

/* --- a line --- */

static bool parse_hash(const char *text, unsigned char ret_hash[static HASH_BYTES])
{
    size_t prefix = strlen(HASH_NAME);
    if (!text || strncmp(text, HASH_NAME, prefix) != 0 || strlen(text) != prefix + 2 * (size_t)HASH_BYTES)
        return false;
    for (size_t i = 0; i < HASH_BYTES; i++) {
        int high = parse_hex_digit(text[prefix + 2 * i]), low = parse_hex_digit(text[prefix + 2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret_hash[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static bool read_expiry(json_t *line, uint64_t *ret_ms, char *ret_problem)
{
    const json_t *value = json_object_get(line, "exp");
    double seconds = json_number_value(value);
    *ret_ms = 0;
    if (!value)
        return true;
    /* What comes out as 0 would be never. */
    if (!json_is_number(value) || !(seconds * 1000 >= 1) || seconds > SECONDS_MAX)
        return refuse(ret_problem, "\"exp\" is not a time in seconds since 1970.");
    *ret_ms = (uint64_t)(seconds * 1000);
    return true;
}

static bool read_line(json_t *line, struct machine_key *key, char *ret_problem)
{
    char subject[sizeof(SUBJECT_PREFIX) + NAME_BYTES_MAX];
    char problem[GRANT_PROBLEM_MAX];
    const char *name = json_string_value(json_object_get(line, "name"));
    struct grant_draft draft = { .means = GRANT_KEY };
    if (!name || !*name || strlen(name) > NAME_BYTES_MAX)
        return refuse(ret_problem, "\"name\" must be there, with at most 64 bytes.");
    if (!parse_hash(json_string_value(json_object_get(line, "hash")), key->hash))
        return refuse(ret_problem,
                      "\"hash\" must be sha256: and 64 hex digits, as sluice key new prints it.");
    if (!read_expiry(line, &draft.expires_wall_ms, ret_problem))
        return false;
    key->credential = draft.credential = credential_of(key->hash);
    int length = snprintf(subject, sizeof(subject), SUBJECT_PREFIX "%s", name);
    draft.subject = text_of(subject, (size_t)length);
    json_object_del(line, "name");
    json_object_del(line, "hash");
    json_object_del(line, "exp");
    key->grant = grant_from_rights(line, &draft, problem); /* what is left are rights */
    if (!key->grant)
        snprintf(ret_problem, MACHINE_KEYS_PROBLEM_MAX, "%s", problem);
    return key->grant != NULL;
}

static void free_key(struct machine_key *key)
{
    grant_release(key->grant);
    free(key);
}

static bool add_line(struct machine_keys *keys, struct text text, char *ret_problem)
{
    struct machine_key *key = calloc(1, sizeof(*key));
    json_t *line = access_json_parse(text.bytes, text.length);
    bool is_good = key && line ? read_line(line, key, ret_problem)
                               : refuse(ret_problem, key ? "It is not one JSON object with each member once."
                                                         : "Memory is short.");
    json_decref(line);
    if (is_good && map_get(keys->by_credential, (const char *)&key->credential, sizeof(key->credential)))
        is_good = refuse(ret_problem, "The same hash stands in another line.");
    if (is_good && map_count(keys->by_credential) >= MACHINE_KEYS_MAX)
        is_good = refuse(ret_problem, "There are more than 10000 keys.");
    if (is_good &&
        !map_put(keys->by_credential, (const char *)&key->credential, sizeof(key->credential), key))
        is_good = refuse(ret_problem, "Memory is short.");
    if (!is_good && key)
        free_key(key);
    return is_good;
}

/* --- the file --- */

struct machine_keys *machine_keys_parse(struct text lines, char ret_problem[static MACHINE_KEYS_PROBLEM_MAX])
{
    struct machine_keys *keys = calloc(1, sizeof(*keys));
    if (keys)
        keys->by_credential = map_create();
    if (!keys || !keys->by_credential) {
        free(keys);
        refuse(ret_problem, "Memory is short.");
        return NULL;
    }
    struct text line;
    for (unsigned number = 1; text_split(&lines, '\n', &line); number++) {
        if (line.length && line.bytes[line.length - 1] == '\r')
            line.length--;
        line = text_trim(line);
        if (line.length == 0 || line.bytes[0] == '#')
            continue;
        char why[MACHINE_KEYS_PROBLEM_MAX];
        if (add_line(keys, line, why))
            continue;
        snprintf(ret_problem, MACHINE_KEYS_PROBLEM_MAX, "Line %u: %.280s", number, why);
        machine_keys_destroy(keys);
        return NULL;
    }
    return keys;
}

struct machine_keys *machine_keys_read(const char *path, char ret_problem[static MACHINE_KEYS_PROBLEM_MAX])
{
    FILE *file = fopen(path, "re");
    char *bytes = file ? malloc(MACHINE_KEYS_FILE_BYTES_MAX + 1) : NULL;
    struct machine_keys *keys = NULL;
    if (!bytes) {
        snprintf(ret_problem, MACHINE_KEYS_PROBLEM_MAX, "It cannot be opened: %s.", strerror(errno));
    } else {
        size_t length = fread(bytes, 1, MACHINE_KEYS_FILE_BYTES_MAX + 1, file);
        if (ferror(file))
            refuse(ret_problem, "It cannot be read.");
        else if (length > MACHINE_KEYS_FILE_BYTES_MAX)
            refuse(ret_problem, "It is larger than 4 MiB.");
        else
            keys = machine_keys_parse(text_of(bytes, length), ret_problem);
    }
    free(bytes);
    if (file)
        fclose(file);
    return keys;
}

void machine_keys_destroy(struct machine_keys *keys)
{
    if (!keys)
        return;
    size_t cursor = 0;
    struct machine_key *key;
    while ((key = map_next(keys->by_credential, &cursor)) != NULL)
        free_key(key);
    map_destroy(keys->by_credential);
    free(keys);
}

static struct machine_key *find(const struct machine_keys *keys, uint64_t credential)
{
    return map_get(keys->by_credential, (const char *)&credential, sizeof(credential));
}

struct grant *machine_keys_find(const struct machine_keys *keys, struct text text)
{
    unsigned char hash[HASH_BYTES];
    if (text.length > MACHINE_KEY_BYTES_MAX || !hash_of(text, hash))
        return NULL;
    struct machine_key *key = find(keys, credential_of(hash));
    return key && CRYPTO_memcmp(key->hash, hash, HASH_BYTES) == 0 ? key->grant : NULL;
}

struct grant *machine_keys_by_credential(const struct machine_keys *keys, uint64_t credential)
{
    struct machine_key *key = find(keys, credential);
    return key ? key->grant : NULL;
}

void machine_keys_append_summary(const struct machine_keys *keys, struct buffer *out)
{
    size_t cursor = 0;
    const struct machine_key *key;
    while ((key = map_next(keys->by_credential, &cursor)) != NULL)
        grant_append_summary(key->grant, out);
}

/* --- a new one --- */

static void append_list(const struct grant_draft *draft, enum access_action action, struct buffer *out)
{
    const struct grant_list *list = &draft->lists[action];
    for (size_t i = 0; i < list->count; i++) {
        if (i == 0)
            buffer_printf(out, ", \"%s\": [", access_action_name(action));
        buffer_append_text(out, i ? ", " : "");
        buffer_append_json_string(out, list->patterns[i].bytes, list->patterns[i].length);
    }
    if (list->count)
        buffer_append_byte(out, ']');
}

static void append_line(const struct grant_draft *draft, const unsigned char *hash, struct buffer *out)
{
    buffer_append_text(out, "{\"name\": ");
    buffer_append_json_string(out, draft->subject.bytes, draft->subject.length);
    buffer_append_text(out, ", \"hash\": \"" HASH_NAME);
    for (int i = 0; i < HASH_BYTES; i++)
        buffer_printf(out, "%02x", hash[i]);
    buffer_append_byte(out, '"');
    for (int list = 0; list < ACCESS_LISTS; list++)
        append_list(draft, (enum access_action)list, out);
    if (draft->expires_wall_ms)
        buffer_printf(out, ", \"exp\": %" PRIu64, draft->expires_wall_ms / 1000);
    buffer_append_text(out, draft->admin ? ", \"admin\": true}" : "}");
}

bool machine_keys_make(const struct grant_draft *draft, char ret_key[static MACHINE_KEY_BYTES_MAX],
                       struct buffer *ret_line, char ret_problem[static MACHINE_KEYS_PROBLEM_MAX])
{
    unsigned char random[RANDOM_BYTES], hash[HASH_BYTES];
    random_fill(random, sizeof(random));
    memcpy(ret_key, MACHINE_KEY_PREFIX, strlen(MACHINE_KEY_PREFIX));
    base64url_encode(random, sizeof(random), ret_key + strlen(MACHINE_KEY_PREFIX));
    OPENSSL_cleanse(random, sizeof(random));
    if (!hash_of(text_of(ret_key, strlen(ret_key)), hash))
        return refuse(ret_problem, "OpenSSL has no SHA-256.");
    append_line(draft, hash, ret_line);
    if (ret_line->failed)
        return refuse(ret_problem, "Memory is short.");
    /* Read as it will be, so that nobody finds out later that a pattern was none. */
    struct machine_keys *keys = machine_keys_parse(text_of(ret_line->data, ret_line->size), ret_problem);
    machine_keys_destroy(keys);
    return keys != NULL;
}
