#include "front/cors.h"

#include <stdint.h>
#include <strings.h>

#include "base/parse.h"

static bool is_host_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
}

/* Labels with dots between them. */
static bool is_host(struct text host)
{
    struct text label;
    if (host.length == 0)
        return false;
    while (text_split(&host, '.', &label)) {
        for (size_t i = 0; i < label.length; i++)
            if (!is_host_byte(label.bytes[i]))
                return false;
        if (label.length == 0)
            return false;
    }
    return true;
}

static bool begins_with(struct text text, struct text start)
{
    return text.length >= start.length && memcmp(text.bytes, start.bytes, start.length) == 0;
}

/* What the star stands for is a host's labels and nothing else: no `/`, `@` or `:` that would end the host
 * early. */
static bool entry_matches(struct text entry, struct text origin)
{
    const char *star = entry.length > 0 ? memchr(entry.bytes, '*', entry.length) : NULL;
    if (!star)
        return entry.length > 0 && entry.length == origin.length && begins_with(origin, entry);
    struct text before = text_of(entry.bytes, (size_t)(star - entry.bytes));
    struct text behind = text_of(star + 1, entry.length - before.length - 1);
    if (origin.length <= before.length + behind.length || !begins_with(origin, before))
        return false;
    size_t labels = origin.length - before.length - behind.length;
    return begins_with(text_of(origin.bytes + before.length + labels, behind.length), behind) &&
           is_host(text_of(origin.bytes + before.length, labels));
}

enum cors_verdict cors_judge(const char *origins, struct text origin)
{
    struct text rest = text_of(origins, origins ? strlen(origins) : 0);
    if (!origin.bytes || !rest.bytes || text_trim(rest).length == 0)
        return CORS_NONE;

    struct text entry;
    while (text_split(&rest, ',', &entry)) {
        entry = text_trim(entry);
        if (text_is(entry, "*"))
            return CORS_ANY;
        if (entry_matches(entry, origin))
            return CORS_ECHO;
    }
    return CORS_DENIED;
}

bool cors_varies(const char *origins)
{
    return origins && text_trim(text_of(origins, strlen(origins))).length > 0 && strcmp(origins, "*") != 0;
}

/* --- checking the setting --- */

/* What is wrong with the host of an origin, a pattern's star among it; NULL: nothing. */
static const char *host_problem(struct text host)
{
    bool has_star = host.length > 2 && memcmp(host.bytes, "*.", 2) == 0;
    if (has_star)
        host = text_of(host.bytes + 2, host.length - 2);
    if (host.length > 0 && memchr(host.bytes, '*', host.length))
        return "a star stands for what is in front of a domain, as in https://*.example.com";
    if (has_star && !memchr(host.bytes, '.', host.length) && !text_is(host, "localhost"))
        return "a star in front of a top-level domain would let in anybody who buys a name there";
    if (host.length > 2 && host.bytes[0] == '[' && host.bytes[host.length - 1] == ']')
        return NULL;
    return is_host(host) ? NULL : "write the host in lower case, without a user, as browsers send it";
}

static const char *entry_problem(struct text entry)
{
    static const char form[] = "write origins as browsers send them, such as https://app.example.com";
    if (text_is(entry, "null"))
        return "null is the origin of every sandboxed page and names nobody";
    struct text rest = entry, scheme, port = { 0 };
    if (!text_split(&rest, ':', &scheme) || !rest.bytes || !is_host(scheme) || rest.length < 3 ||
        memcmp(rest.bytes, "//", 2) != 0)
        return form;
    rest = text_of(rest.bytes + 2, rest.length - 2);
    if (memchr(rest.bytes, '/', rest.length))
        return "an origin ends with its host or port, without a slash or a path";
    const char *colon = memrchr(rest.bytes, ':', rest.length);
    if (colon && rest.bytes[rest.length - 1] != ']') {
        port = text_of(colon + 1, rest.length - (size_t)(colon - rest.bytes) - 1);
        rest = text_of(rest.bytes, (size_t)(colon - rest.bytes));
    }
    uint64_t number;
    if (port.bytes &&
        (!parse_unsigned(port.bytes, port.length, &number) || number == 0 || number > UINT16_MAX))
        return form;
    if ((text_is(scheme, "https") && text_is(port, "443")) ||
        (text_is(scheme, "http") && text_is(port, "80")))
        return "browsers leave out the port that the scheme stands for";
    return host_problem(rest);
}

bool cors_check(const char *origins, const char **ret_problem)
{
    struct text rest = text_of(origins, strlen(origins)), entry;
    *ret_problem = NULL;
    if (text_trim(rest).length == 0 || strcmp(origins, "*") == 0)
        return true;
    while (!*ret_problem && text_split(&rest, ',', &entry)) {
        entry = text_trim(entry);
        *ret_problem = text_is(entry, "*") ? "* stands alone: it lets in everybody" : entry_problem(entry);
    }
    return !*ret_problem;
}

bool cors_is_same_origin(struct text origin, struct text host)
{
    if (!origin.bytes)
        return true;
    for (size_t at = 0; at + 3 <= origin.length; at++) {
        if (memcmp(origin.bytes + at, "://", 3) != 0)
            continue;
        struct text authority = text_of(origin.bytes + at + 3, origin.length - at - 3);
        return host.bytes && authority.length == host.length &&
               strncasecmp(authority.bytes, host.bytes, host.length) == 0;
    }
    return false;
}
