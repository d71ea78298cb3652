#include "redis/redis_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

SSL_CTX *redis_tls_context_create(const char *ca_file, bool verify, const char **ret_problem)
{
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context) {
        *ret_problem = "memory is short";
        return NULL;
    }
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    /* The output buffer moves and shrinks between two tries of one write. */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(context, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    bool loaded = ca_file ? SSL_CTX_load_verify_locations(context, ca_file, NULL) == 1
                          : SSL_CTX_set_default_verify_paths(context) == 1;
    if (!loaded && verify) {
        *ret_problem = "the CA file cannot be read, or has no certificate in it (redis_tls_ca_file)";
        ERR_clear_error();
        SSL_CTX_free(context);
        return NULL;
    }
    ERR_clear_error();
    return context;
}

static bool is_ip_address(const char *host)
{
    struct in6_addr scratch;
    return inet_pton(AF_INET, host, &scratch) == 1 || inet_pton(AF_INET6, host, &scratch) == 1;
}

SSL *redis_tls_session_create(SSL_CTX *context, const char *host)
{
    SSL *session = SSL_new(context);
    if (!session)
        return NULL;
    bool ok;
    if (is_ip_address(host)) {
        ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host) == 1;
    } else {
        SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        ok = SSL_set1_host(session, host) == 1 && SSL_set_tlsext_host_name(session, host) == 1;
    }
    if (!ok) {
        SSL_free(session);
        return NULL;
    }
    SSL_set_connect_state(session);
    return session;
}

void redis_tls_describe(const SSL *session, int error, char *text, size_t size)
{
    int system_error = errno;
    unsigned long code = ERR_peek_last_error();
    int reason = ERR_GET_REASON(code);
    long verified = SSL_get_verify_result(session);
    const char *words = ERR_reason_error_string(code);

    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        snprintf(text, size, "TLS: the certificate of Redis is refused: %s",
                 X509_verify_cert_error_string(verified));
    else if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_PACKET_LENGTH_TOO_LONG)
        snprintf(text, size, "TLS: Redis does not speak TLS on this port (use redis:// there)");
    else if (error == SSL_ERROR_ZERO_RETURN || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        snprintf(text, size, "closed by Redis");
    else if (error == SSL_ERROR_SYSCALL && system_error != 0)
        snprintf(text, size, "%s", strerrordesc_np(system_error));
    else
        snprintf(text, size, "TLS: %s", words ? words : "closed by Redis");
    ERR_clear_error();
}
