/* TLS towards Redis: version 1.2 or later, the certificate verified against a CA and the host's name or
 * address. */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

/* `ca_file` NULL: the system's authorities. NULL with a static sentence in *ret_problem on failure. Free:
 * SSL_CTX_free(). */
SSL_CTX *redis_tls_context_create(const char *ca_file, bool verify, const char **ret_problem);

/* A client session for one connection to `host` (a name, or an IP address without brackets). NULL when memory
 * is short. */
SSL *redis_tls_session_create(SSL_CTX *context, const char *host);

/* Says why a TLS call failed, in words for the log. `error` is SSL_get_error()'s; empties OpenSSL's error
 * queue. */
void redis_tls_describe(const SSL *session, int error, char *text, size_t size);
