#include "redis/redis_handshake.h"

#include <stdio.h>

#include "redis/redis_request.h"

static void append_step(struct redis_handshake *handshake, enum redis_handshake_step step, int count,
                        const char *const *arguments, struct buffer *out)
{
    handshake->steps[handshake->step_count++] = step;
    redis_request_append(out, count, arguments, NULL);
}

void redis_handshake_begin(struct redis_handshake *handshake, const struct redis_url *url, const char *name,
                           struct buffer *out)
{
    *handshake = (struct redis_handshake){ 0 };
    if (url->user) {
        const char *const arguments[] = { "AUTH", url->user, url->password ? url->password : "" };
        append_step(handshake, HANDSHAKE_AUTH, 3, arguments, out);
    } else if (url->password) {
        const char *const arguments[] = { "AUTH", url->password };
        append_step(handshake, HANDSHAKE_AUTH, 2, arguments, out);
    }
    if (url->database != 0) {
        char database[16];
        snprintf(database, sizeof(database), "%u", url->database);
        const char *const arguments[] = { "SELECT", database };
        append_step(handshake, HANDSHAKE_SELECT, 2, arguments, out);
    }
    const char *const set_name[] = { "CLIENT", "SETNAME", name };
    append_step(handshake, HANDSHAKE_SETNAME, 3, set_name, out);
    const char *const get_id[] = { "CLIENT", "ID" };
    append_step(handshake, HANDSHAKE_ID, 2, get_id, out);
    if (url->master_name) {
        const char *const role[] = { "ROLE" };
        append_step(handshake, HANDSHAKE_ROLE, 1, role, out);
    }
    const char *const ping[] = { "PING" };
    append_step(handshake, HANDSHAKE_PING, 1, ping, out);
}

/* Errors about the connection as a whole rather than about the one command. MISCONF is none: reading goes on.
 */
static bool is_fatal(const struct reply *error)
{
    static const char *const words[] = {
        "NOAUTH", "DENIED", "ERR max number of clients", "LOADING ", "BUSY ", "MASTERDOWN ",
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (reply_has_prefix(error, words[i]))
            return true;
    return false;
}

enum redis_handshake_result redis_handshake_take(struct redis_handshake *handshake, const struct reply *reply)
{
    if (handshake->answered == handshake->step_count)
        return HANDSHAKE_FAILED;
    enum redis_handshake_step step = handshake->steps[handshake->answered++];
    bool is_error = reply->kind == REPLY_ERROR;
    if (is_error && is_fatal(reply))
        return HANDSHAKE_FAILED;
    switch (step) {
    case HANDSHAKE_AUTH:
        handshake->is_password_unused = reply_has_prefix(reply, "ERR AUTH <password> called without") ||
                                        reply_has_prefix(reply, "ERR Client sent AUTH, but no password");
        if (is_error && !handshake->is_password_unused)
            return HANDSHAKE_FAILED;
        break;
    case HANDSHAKE_SELECT:
        if (is_error)
            return HANDSHAKE_FAILED;
        break;
    case HANDSHAKE_SETNAME:
        break;
    case HANDSHAKE_ID:
        if (reply->kind == REPLY_INTEGER)
            handshake->client_id = reply->integer;
        break;
    case HANDSHAKE_ROLE: {
        /* A user that may not ask is let through. */
        struct reply role = reply_element(reply, 0);
        handshake->is_replica = reply->kind == REPLY_ARRAY && !reply_has_prefix(&role, "master");
        if (handshake->is_replica)
            return HANDSHAKE_FAILED;
        break;
    }
    case HANDSHAKE_PING:
        handshake->is_ping_refused = is_error && reply_has_prefix(reply, "NOPERM");
        break;
    }
    return handshake->answered == handshake->step_count ? HANDSHAKE_DONE : HANDSHAKE_MORE;
}
