#include "redis/reply.h"

#include <hiredis/hiredis.h>
#include <string.h>

struct reply reply_view(const struct redisReply *source)
{
    struct reply view = { .kind = REPLY_NIL };
    if (!source)
        return view;
    switch (source->type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        view.kind = source->type == REDIS_REPLY_ERROR ? REPLY_ERROR : REPLY_TEXT;
        view.text = source->str;
        view.text_length = source->len;
        break;
    case REDIS_REPLY_INTEGER:
        view.kind = REPLY_INTEGER;
        view.integer = source->integer;
        break;
    case REDIS_REPLY_ARRAY:
        view.kind = REPLY_ARRAY;
        view.count = source->elements;
        view.elements = source->element;
        break;
    default:
        break;
    }
    return view;
}

struct reply reply_element(const struct reply *array, size_t index)
{
    if (array->kind != REPLY_ARRAY || index >= array->count)
        return (struct reply){ .kind = REPLY_NIL };
    const struct redisReply *const *elements = array->elements;
    return reply_view(elements[index]);
}

bool reply_has_prefix(const struct reply *reply, const char *word)
{
    size_t length = strlen(word);
    return (reply->kind == REPLY_ERROR || reply->kind == REPLY_TEXT) && reply->text_length >= length &&
           memcmp(reply->text, word, length) == 0;
}

bool reply_error_is_transient(const struct reply *reply)
{
    static const char *const words[] = { "LOADING ",  "BUSY ", "READONLY ", "MASTERDOWN ", "CLUSTERDOWN ",
                                         "TRYAGAIN ", "OOM ",  "MISCONF ",  "NOREPLICAS " };
    if (reply->kind != REPLY_ERROR)
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (reply_has_prefix(reply, words[i]))
            return true;
    return false;
}

/* NOPERM says in its text which of the three kinds of rule is missing; only the words for it changed between
 * versions. */
static const char *missing_rule(const struct reply *reply)
{
    if (memmem(reply->text, reply->text_length, " channel", strlen(" channel")))
        return "allow the channel to this user: ACL SETUSER <user> &<pattern>";
    if (memmem(reply->text, reply->text_length, " key", strlen(" key")))
        return "allow the key to this user: ACL SETUSER <user> ~<pattern>";
    return "allow the command to this user: ACL SETUSER <user> +<command>";
}

const char *reply_error_remedy(const struct reply *reply)
{
    static const struct {
        const char *prefix;
        const char *remedy;
    } table[] = {
        { "NOAUTH", "give user and password in redis_url: redis://user:password@host" },
        { "WRONGPASS", "check user and password in redis_url" },
        { "ERR invalid password", "check user and password in redis_url" },
        { "ERR Client sent AUTH, but no password is set", "leave the password out of redis_url" },
        { "ERR AUTH <password> called without any password", "leave the password out of redis_url" },
        { "ERR wrong number of arguments for 'auth'",
          "this Redis has no users yet (before 6.0): leave the user out of redis_url" },
        { "DENIED",
          "Redis runs in protected mode: give it a password, or bind it and set protected-mode no" },
        { "ERR max number of clients reached", "raise maxclients in Redis, or close other clients" },
        { "ERR DB index is out of range", "check the database in redis_url" },
        { "ERR SELECT is not allowed in cluster mode", "leave the database out of redis_url" },
        { "LOADING", "wait: Redis loads its data" },
        { "BUSY", "a script holds Redis up: SCRIPT KILL ends it" },
        { "MASTERDOWN", "this replica has lost its master: check replication" },
        { "READONLY", "redis_url names a replica: name the master" },
        { "MISCONF", "Redis cannot save to disk: check its log and its disk" },
        { "OOM", "Redis is at maxmemory: raise it, or set an eviction policy" },
    };
    if (reply->kind != REPLY_ERROR)
        return NULL;
    if (reply_has_prefix(reply, "NOPERM"))
        return missing_rule(reply);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (reply_has_prefix(reply, table[i].prefix))
            return table[i].remedy;
    return NULL;
}
