#include "redis/stream_info.h"

#include <string.h>

static bool is_key(const struct reply *key, const char *name)
{
    return key->kind == REPLY_TEXT && key->text_length == strlen(name) &&
           memcmp(key->text, name, key->text_length) == 0;
}

static bool take_number(const struct reply *value, uint64_t *ret_number)
{
    if (value->kind != REPLY_INTEGER || value->integer < 0)
        return false;
    *ret_number = (uint64_t)value->integer;
    return true;
}

static bool take_id(const struct reply *value, struct entry_id *ret_id)
{
    return value->kind == REPLY_TEXT && entry_id_parse(value->text, value->text_length, ret_id);
}

/* An entry, or nil when there is none. */
static bool take_entry_id(const struct reply *entry, struct entry_id *ret_id)
{
    struct reply id = reply_element(entry, 0);
    return entry->kind == REPLY_NIL || take_id(&id, ret_id);
}

bool stream_info_parse(const struct reply *reply, struct stream_info *ret_info)
{
    struct stream_info info = { 0 };
    bool has_length = false;
    if (reply_has_prefix(reply, "ERR no such key")) {
        *ret_info = info;
        return true;
    }
    for (size_t i = 0; i + 1 < reply->count; i += 2) {
        struct reply key = reply_element(reply, i);
        struct reply value = reply_element(reply, i + 1);
        bool is_sound = true;
        if (is_key(&key, "length"))
            is_sound = has_length = take_number(&value, &info.length);
        else if (is_key(&key, "last-generated-id"))
            is_sound = info.exists = take_id(&value, &info.last);
        else if (is_key(&key, "entries-added"))
            is_sound = info.has_entries_added = take_number(&value, &info.entries_added);
        else if (is_key(&key, "first-entry"))
            is_sound = take_entry_id(&value, &info.first);
        if (!is_sound)
            return false;
    }
    *ret_info = info;
    return info.exists && has_length;
}
