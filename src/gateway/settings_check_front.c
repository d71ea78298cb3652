/* What the settings about callers from elsewhere must be to make sense: origins, proxies, another address. */
#include <string.h>

#include "base/ip_address.h"
#include "front/cors.h"
#include "gateway/settings_table.h"

bool settings_check_admin_listen(const char *text, struct buffer *why)
{
    return !*text || settings_check_listen(text, why);
}

bool settings_check_cors_origins(const char *text, struct buffer *why)
{
    const char *problem;
    if (cors_check(text, &problem))
        return true;
    buffer_append_text(why, problem);
    return false;
}

bool settings_check_networks(const char *text, struct buffer *why)
{
    struct ip_networks networks;
    const char *problem;
    if (!ip_networks_parse(text, strlen(text), &networks, &problem)) {
        buffer_append_text(why, problem);
        return false;
    }
    ip_networks_clear(&networks);
    return true;
}

/* A token (RFC 9110, section 5.6.2), and none of those that callers send about themselves. */
bool settings_check_header_name(const char *text, struct buffer *why)
{
    static const char *const taken[] = { "authorization", "cookie",          "host",
                                         "origin",        "x-forwarded-for", "forwarded" };
    for (const char *letter = text; *letter; letter++) {
        if ((unsigned char)*letter > ' ' && *letter < 0x7f && !strchr("()<>@,;:\\\"/[]?={}", *letter))
            continue;
        buffer_append_text(why, "write the name of a header, such as X-User-Id");
        return false;
    }
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        if (strcasecmp(text, taken[i]) != 0)
            continue;
        buffer_append_text(why, "that header has a meaning of its own; choose another, such as X-User-Id");
        return false;
    }
    return true;
}
