/* Settings of who may do what. */
#include <string.h>

#include "gateway/settings_table.h"
#include "outgoing/http_client.h"

#define SECRET_BYTES_MIN 32 /* RFC 7518, section 3.2: as long as the hash */

bool settings_check_access(const char *text, struct buffer *why)
{
    if (!*text || strcmp(text, "open") == 0)
        return true;
    buffer_append_text(why, "write open, or leave it empty");
    return false;
}

bool settings_check_authority(const char *url, struct buffer *why)
{
    if (http_client_takes(url))
        return true;
    buffer_append_text(why, "no request can be made to it; look at its host and port");
    return false;
}

bool settings_check_url(const char *text, struct buffer *why)
{
    const char *rest = strncmp(text, "http://", 7) == 0    ? text + 7
                       : strncmp(text, "https://", 8) == 0 ? text + 8
                                                           : "";
    if (!*text)
        return true;
    if (*rest && *rest != '/')
        return settings_check_authority(text, why);
    buffer_append_text(why, "it must begin with http:// or https:// and a host");
    return false;
}

/* A token of RFC 9110, section 5.6.2, as RFC 6265 wants it. */
bool settings_check_cookie_name(const char *text, struct buffer *why)
{
    for (const char *letter = text; *letter; letter++)
        if (*letter <= ' ' || *letter > '~' || strchr("()<>@,;:\\\"/[]?={}", *letter)) {
            buffer_append_text(why, "a cookie's name has no spaces, quotes or separators in it");
            return false;
        }
    return true;
}

static bool is_configured(const struct settings *settings)
{
    return *settings->jwt_secret || *settings->jwt_key_file || *settings->jwt_jwks_url ||
           *settings->keys_file || *settings->access_authorize_url;
}

bool settings_access_is_open(const struct settings *settings)
{
    return strcmp(settings->access, "open") == 0 || !is_configured(settings);
}

static const char *origin_of(const struct settings *settings, const char *name)
{
    return setting_origin(settings, settings_find(name, strlen(name)));
}

/* Nobody is let in from the network by mistake. */
void settings_check_access_together(const struct settings *settings, bool is_reachable,
                                    const char *reachable_name, const char *reachable_address,
                                    struct settings_problems *problems)
{
    bool is_said = strcmp(settings->access, "open") == 0;
    size_t secret_bytes = strlen(settings->jwt_secret);
    if (is_reachable && !is_said && !is_configured(settings))
        settings_problem(problems, origin_of(settings, reachable_name),
                         "%s is %s, which the network can reach, and access says nothing; set jwt_secret "
                         "(SLUICE_JWT_SECRET, or SLUICE_JWT_SECRET_FILE), jwt_key_file, jwt_jwks_url, "
                         "access_authorize_url or keys_file to say who may do what, access: open to let "
                         "everybody on the network read "
                         "and publish, or listen on 127.0.0.1",
                         reachable_name, reachable_address);
    if (is_said && is_configured(settings))
        settings_problem(
            problems, origin_of(settings, "access"),
            "access: open lets everybody do everything, and yet keys are set; keep one of the two");
    if (is_reachable && secret_bytes > 0 && secret_bytes < SECRET_BYTES_MIN)
        settings_problem(
            problems, origin_of(settings, "jwt_secret"),
            "jwt_secret has %zu bytes, and whoever guesses it may do everything; 32 bytes at least, "
            "such as openssl rand -base64 32 makes",
            secret_bytes);
}
