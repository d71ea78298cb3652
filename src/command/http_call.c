#include "command/http_call.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define TOKEN_BYTES_MAX (8 * 1024)

CURL *http_call_create(const char *url, const char *path)
{
    bool is_unix = strncmp(url, "unix:", 5) == 0;
    if (!is_unix && strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
        fprintf(stderr,
                "sluice: --url %s is no address of a gateway; write http://host:port, https://host or "
                "unix:/path\n",
                url);
        return NULL;
    }
    CURL *call = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_easy_init() : NULL;
    struct buffer target = { 0 };
    const char *base = is_unix ? "http://localhost" : url;
    size_t base_length = strlen(base);
    while (base_length > 0 && base[base_length - 1] == '/')
        base_length--;
    buffer_append(&target, base, base_length);
    buffer_append_text(&target, path);
    buffer_append_byte(&target, '\0');
    if (!call || target.failed || curl_easy_setopt(call, CURLOPT_URL, target.data) != CURLE_OK ||
        (is_unix && curl_easy_setopt(call, CURLOPT_UNIX_SOCKET_PATH, url + 5) != CURLE_OK)) {
        fputs("sluice: out of memory\n", stderr);
        curl_easy_cleanup(call);
        call = NULL;
    } else {
        curl_easy_setopt(call, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(call, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
        curl_easy_setopt(call, CURLOPT_TCP_KEEPALIVE, 1L);
        curl_easy_setopt(call, CURLOPT_USERAGENT, "sluice");
    }
    buffer_free(&target);
    return call;
}

bool http_call_authorize(CURL *call, const char *token_file)
{
    char token[TOKEN_BYTES_MAX + 1] = "";
    FILE *file = token_file ? fopen(token_file, "re") : NULL;
    if (!token_file)
        return true;
    size_t length = file ? fread(token, 1, sizeof(token) - 1, file) : 0;
    if (file)
        fclose(file);
    token[strcspn(token, " \r\n")] = '\0';
    bool is_set = length > 0 && *token &&
                  curl_easy_setopt(call, CURLOPT_HTTPAUTH, CURLAUTH_BEARER) == CURLE_OK &&
                  curl_easy_setopt(call, CURLOPT_XOAUTH2_BEARER, token) == CURLE_OK;
    explicit_bzero(token, sizeof(token));
    if (!is_set)
        fprintf(stderr, "sluice: no token or key can be read from --token-file %s\n", token_file);
    return is_set;
}

void http_call_destroy(CURL *call)
{
    curl_easy_cleanup(call);
    curl_global_cleanup();
}

void http_call_append_escaped(struct buffer *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
            (byte && strchr("-._~", byte)))
            buffer_append_byte(out, text[i]);
        else
            buffer_printf(out, "%%%02X", byte);
    }
}

void http_call_print_failure(const char *url, CURLcode result)
{
    fprintf(stderr, "sluice: no answer from %s: %s; does `sluice serve` run there? (--url says where)\n", url,
            curl_easy_strerror(result));
}

void http_call_print_refusal(long status, const char *body, size_t length)
{
    json_t *problem = json_loadb(body ? body : "", length, 0, NULL);
    const char *title = json_string_value(json_object_get(problem, "title"));
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    fprintf(stderr, "sluice: the gateway answered %ld%s%s%s%s\n", status, title ? " " : "",
            title ? title : "", detail ? ": " : "", detail ? detail : "");
    json_decref(problem);
}
