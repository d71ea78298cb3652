#include "gateway/settings_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1024) * KIB)
#define GIB (UINT64_C(1024) * MIB)
#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

static const char *const log_levels[] = { "debug", "info", "warn", "error", NULL };
static const char *const log_formats[] = { "text", "json", NULL };
static const char *const forwarded_headers[] = { "x-forwarded-for", "forwarded", NULL };
static const char *const slow_policies[] = { "disconnect", "latest", NULL };

#define LIMIT_MAX UINT64_C(1000000000)

#define FIELD(field) .offset = offsetof(struct settings, field)
#define TEXT(key, value, field) .name = key, .kind = SETTING_TEXT, .fallback = value, FIELD(field)
#define LIST(key, value, field) .name = key, .kind = SETTING_LIST, .fallback = value, FIELD(field)
#define SWITCH(key, value, field) .name = key, .kind = SETTING_SWITCH, .fallback = value, FIELD(field)
#define CHOICE(key, value, field, list)                                                                      \
    .name = key, .kind = SETTING_CHOICE, .fallback = value, FIELD(field), .choices = list
#define NUMBER(which, key, value, field, least, most)                                                        \
    .name = key, .kind = which, .fallback = value, FIELD(field), .minimum = least, .maximum = most
#define COUNT(key, value, field, least, most) NUMBER(SETTING_COUNT, key, value, field, least, most)
#define DURATION(key, value, field, least, most) NUMBER(SETTING_DURATION, key, value, field, least, most)
#define SIZE(key, value, field, least, most) NUMBER(SETTING_SIZE, key, value, field, least, most)
#define RECORDS(key, field, type, most)                                                                      \
    .name = key, .kind = SETTING_RECORDS, .fallback = "", FIELD(field), .record = &(type), .maximum = most

/* clang-format off: a table reads as a table */
const struct setting settings_table[] = {
    { TEXT("listen", "127.0.0.1:8000", listen), .check = settings_check_listen,
      .help = "where to listen: host:port, [v6]:port, :port for all addresses, or unix:/path" },
    { SWITCH("reuse_port", "off", reuse_port),
      .help = "share the port with a process that is already there and lets it: how a new one takes over" },
    { TEXT("redis_url", "redis://localhost:6379", redis_url), .check = settings_check_redis_url,
      .secret = true,
      .help = "redis://[user][:password]@host[:port][/db], rediss:// for TLS, unix:///path/to.sock?db=0, "
              "redis+sentinel://host,host/master[/db]" },
    { TEXT("redis_tls_ca_file", "", redis_tls_ca_file), .check = settings_check_readable,
      .help = "certificates to trust for rediss://, a PEM file; empty: the system's" },
    { SWITCH("redis_tls_verify", "on", redis_tls_verify),
      .help = "check Redis' certificate and name; off only for tests" },
    { DURATION("redis_timeout", "5s", redis_timeout_ms, 100, 10 * MINUTE),
      .help = "a command without an answer for so long fails and the connection is made anew" },
    { SIZE("redis_reply_bytes_max", "64MiB", redis_reply_bytes_max, 64 * KIB, 1 * GIB),
      .help = "a larger reply or message drops the connection" },
    { COUNT("redis_pending_max", "10000", redis_pending_max, 1, 1000000),
      .help = "commands that may wait for Redis; more are answered 503" },
    { TEXT("access", "", access), .check = settings_check_access,
      .help = "open: everybody who can connect may do everything; to listen beyond loopback it must be said, "
              "or one of the next be set" },
    { TEXT("jwt_secret", "", jwt_secret), .secret = true, .reloadable = true,
      .help = "tokens (JWT) signed with it are known: HS256, HS384, HS512; 32 bytes at least" },
    { TEXT("jwt_key_file", "", jwt_key_file), .check = settings_check_readable, .reloadable = true,
      .help = "public keys of tokens, PEM or a JWKS: RS, PS and ES 256 to 512, EdDSA" },
    { TEXT("jwt_jwks_url", "", jwt_jwks_url), .check = settings_check_url, .secret = true,
      .help = "the same by an address: https://id.example/.well-known/jwks.json" },
    { DURATION("jwks_refresh", "10m", jwks_refresh_ms, 10 * SECOND, 24 * HOUR), .reloadable = true,
      .help = "it is fetched again this often, and at once when a token names a key that is not in it" },
    { LIST("jwt_audience", "", jwt_audience), .reloadable = true,
      .help = "a token must be for one of these (aud); empty: one that says for whom it is, is not for us" },
    { TEXT("jwt_issuer", "", jwt_issuer), .reloadable = true,
      .help = "a token must be of this issuer (iss); empty: whoever has the key" },
    { DURATION("jwt_leeway", "5s", jwt_leeway_ms, 0, 5 * MINUTE), .reloadable = true,
      .help = "clocks may differ by this: exp and nbf" },
    { TEXT("jwt_cookie", "sluice_token", jwt_cookie), .check = settings_check_cookie_name, .reloadable = true,
      .help = "a cookie of this name may carry a token; empty: none may" },
    { TEXT("keys_file", "", keys_file), .check = settings_check_readable, .reloadable = true,
      .help = "hashes of keys for machines, as sluice key new prints them; read again on reload" },
    { LIST("cors_origins", "", cors_origins), .check = settings_check_cors_origins, .reloadable = true,
      .help =
          "web origins whose pages may read and publish: https://app.example,https://*.other.example, or *" },
    { SWITCH("cors_credentials", "on", cors_credentials), .reloadable = true,
      .help = "pages of listed origins may send cookies; never those that only * lets in" },
    { TEXT("admin_listen", "", admin_listen), .check = settings_check_admin_listen,
      .help = "an address of its own for the page, /metrics, /streams and /subscribers, which are then "
              "nowhere else" },
    { DURATION("ticket_ttl", "30s", ticket_ttl_ms, 1 * SECOND, 10 * MINUTE), .reloadable = true,
      .help = "a ticket of POST /tickets opens a stream within this, once" },
    { TEXT("access_authorize_url", "", access_authorize_url), .check = settings_check_url, .secret = true,
      .help = "the application, asked with a caller's cookies and Authorization whether he may: "
              "http://app:3000/internal/may; empty: nobody is asked" },
    { DURATION("access_authorize_timeout", "2s", access_authorize_timeout_ms, 10, 1 * MINUTE),
      .help = "it must have answered after this" },
    { DURATION("access_authorize_ttl", "30s", access_authorize_ttl_ms, 0, 1 * HOUR),
      .help = "its yes is kept so long, unless it says" },
    { DURATION("access_authorize_refusal_ttl", "5s", access_authorize_refusal_ttl_ms, 0, 1 * HOUR),
      .help = "and its no" },
    { DURATION("access_authorize_hold", "1h", access_authorize_hold_ms, 0, 30 * 24 * HOUR),
      .help = "a stream that it allowed ends after this, and the client comes back and it is asked again; 0: "
              "never" },
    { COUNT("access_authorize_concurrency_max", "32", access_authorize_concurrency_max, 1, 10000),
      .help = "requests to it at a time" },
    { COUNT("access_authorize_entries_max", "10000", access_authorize_entries_max, 1, 1000000),
      .help = "answers of it that are kept, and requests that wait for one" },
    { COUNT("audit_lines_per_second", "100", audit_lines_per_second, 0, 100000),
      .help = "refusals that are logged one by one; the others are counted" },
    { LIST("trusted_proxies", "", trusted_proxies), .check = settings_check_networks, .reloadable = true,
      .help = "proxies that are believed about whose requests they pass on: 10.0.0.0/8,2001:db8::1" },
    { CHOICE("forwarded_header", "x-forwarded-for", forwarded_header, forwarded_headers), .reloadable = true,
      .help = "where trusted proxies say whose request it is; make sure that they write this one" },
    { TEXT("identity_header", "", identity_header), .check = settings_check_header_name, .reloadable = true,
      .help = "where trusted proxies say who the caller is, such as X-User-Id; empty: nowhere" },
    { SWITCH("proxy_protocol", "off", proxy_protocol), .reloadable = true,
      .help = "connections of trusted proxies begin with a header of the PROXY protocol, version 1 or 2" },
    { CHOICE("log_level", "info", log_level, log_levels), .reloadable = true,
      .help = "the least important lines that are logged" },
    { CHOICE("log_format", "text", log_format, log_formats),
      .help = "lines for people or for machines, on standard error" },
    { SWITCH("access_log", "on", access_log), .reloadable = true, .help = "log each request" },

    { COUNT("workers", "0", workers, 0, SETTING_WORKERS_MAX),
      .help = "threads that serve clients; 0: as many as there are processors" },
    { COUNT("connections_max", "4096", connections_max, 1, 1000000), .reloadable = true,
      .help = "connections with a request in progress or kept alive; streams are not counted" },
    { SIZE("body_bytes_max", "1MiB", body_bytes_max, 1 * KIB, 64 * MIB), .reloadable = true,
      .help = "a larger request body is answered 413" },
    { DURATION("head_timeout", "10s", head_timeout_ms, 100, 10 * MINUTE), .reloadable = true,
      .help = "a request head must be complete after this" },
    { DURATION("body_timeout", "30s", body_timeout_ms, 100, 10 * MINUTE), .reloadable = true,
      .help = "and its body after this" },
    { DURATION("keepalive_timeout", "60s", keepalive_timeout_ms, 100, 1 * HOUR), .reloadable = true,
      .help = "an idle connection is closed after this" },
    { DURATION("drain_timeout", "10s", drain_timeout_ms, 0, 10 * MINUTE), .reloadable = true,
      .help = "on SIGTERM, time for requests to end and for clients to be let go one after the other" },

    { COUNT("clients_max", "0", clients_max, 0, 10000000), .reloadable = true,
      .help = "open streams; 0: as many as the descriptor limit allows" },
    { COUNT("topics_per_stream_max", "200", topics_per_stream_max, 1, 10000), .reloadable = true,
      .help = "channels and patterns in one stream" },
    { COUNT("streams_per_address_max", "0", streams_per_address_max, 0, LIMIT_MAX), .reloadable = true,
      .help = "open streams of one address; 0: 1000, and any number from this machine itself" },
    { COUNT("streams_per_subject_max", "1000", streams_per_subject_max, 0, LIMIT_MAX), .reloadable = true,
      .help = "open streams of one person or key; 0: any number" },
    { COUNT("stream_rate_max", "20000", stream_rate_max, 0, LIMIT_MAX), .reloadable = true,
      .help = "new streams a second; 0: any number" },
    { COUNT("stream_rate_per_address_max", "0", stream_rate_per_address_max, 0, LIMIT_MAX),
      .reloadable = true,
      .help = "new streams a second of one address; 0: 200, and any number from this machine itself" },
    { COUNT("address_ip6_prefix", "64", address_ip6_prefix, 16, 128), .reloadable = true,
      .help = "so many bits of an IPv6 address are one address for these limits" },
    { COUNT("coalesce_ms", "0", coalesce_ms, 0, 1000), .reloadable = true,
      .help = "milliseconds that messages of a chatty topic may wait to go out together; 0: none waits" },
    { SWITCH("compress", "on", compress), .reloadable = true,
      .help = "event streams of new clients that want gzip are compressed, once for all of them" },
    { SIZE("compress_min_bytes", "1KiB", compress_min_bytes, 0, 64 * MIB), .reloadable = true,
      .help = "what is smaller goes uncompressed in them" },
    { DURATION("heartbeat", "15s", heartbeat_ms, 100, 10 * MINUTE), .reloadable = true,
      .help = "a comment is sent on each stream this often, so that proxies keep it open" },
    { DURATION("retry_min", "1s", retry_min_ms, 10, 10 * MINUTE), .reloadable = true,
      .help = "clients reconnect after a random delay between this" },
    { DURATION("retry_max", "5s", retry_max_ms, 10, 10 * MINUTE), .reloadable = true, .help = "and this" },
    { SIZE("backlog_bytes_max", "1MiB", backlog_bytes_max, 4 * KIB, 1 * GIB), .reloadable = true,
      .help = "what may wait for one slow client" },
    { CHOICE("batch_slow_policy", "latest", batch_slow_policy, slow_policies), .reloadable = true,
      .help = "a batch viewer over its backlog skips to the latest state, or is disconnected" },
    { DURATION("stall_timeout", "60s", stall_timeout_ms, 100, 1 * HOUR), .reloadable = true,
      .help = "a client that takes nothing for so long while something waits is let go" },
    { DURATION("subscription_linger", "5s", subscription_linger_ms, 0, 1 * HOUR), .reloadable = true,
      .help = "a Redis subscription ends this long after its last client has left" },
    { COUNT("replay_messages", "256", replay_messages, 0, 1000000), .reloadable = true,
      .help = "recent messages kept for each topic, for clients that come back" },
    { SIZE("replay_bytes", "256KiB", replay_bytes, 0, 1 * GIB), .reloadable = true,
      .help = "and no more than this for each topic" },

    { DURATION("snapshot_ttl", "10s", snapshot_ttl_ms, 100, 24 * HOUR),
      .help = "how long a snapshot is kept" },
    { DURATION("snapshot_ttl_moving", "5s", snapshot_ttl_moving_ms, 100, 24 * HOUR),
      .help = "while its batch moves" },
    { DURATION("snapshot_ttl_idle", "60s", snapshot_ttl_idle_ms, 100, 24 * HOUR),
      .help = "once its batch has ended, or has not changed for this long" },
    { COUNT("snapshot_entries_max", "10000", snapshot_entries_max, 1, 10000000),
      .help = "snapshots kept; the least recently used go first" },
    { SIZE("snapshot_bytes_max", "64MiB", snapshot_bytes_max, 64 * KIB, 64 * GIB),
      .help = "memory for them" },
    { TEXT("origin_url", "", origin_url), .check = settings_check_origin_url, .secret = true,
      .help = "asked for a snapshot that Redis does not have: http://app:3000/internal/batches/{id}; empty: "
              "nobody" },
    { DURATION("origin_timeout", "5s", origin_timeout_ms, 10, 5 * MINUTE),
      .help = "it must have answered after this" },
    { COUNT("origin_concurrency_max", "32", origin_concurrency_max, 1, 10000),
      .help = "requests to it at a time" },

    { DURATION("idempotency_window", "10m", idempotency_window_ms, 1 * SECOND, 24 * HOUR), .reloadable = true,
      .help = "the same idempotency key publishes once within this" },
    { COUNT("stream_maxlen", "10000", stream_maxlen, 1, 1000000000), .reloadable = true,
      .help = "Redis Streams are trimmed to about this many entries, unless a request says maxlen" },
    { COUNT("publish_array_max", "1000", publish_array_max, 1, 100000), .reloadable = true,
      .help = "events in one publish request" },
    { COUNT("publish_rate_per_subject_max", "10000", publish_rate_per_subject_max, 0, LIMIT_MAX),
      .reloadable = true, .help = "events that one person or key publishes a second; 0: any number" },
    { COUNT("publish_rate_per_address_max", "0", publish_rate_per_address_max, 0, LIMIT_MAX),
      .reloadable = true,
      .help = "the same for an address of callers without a name; 0: 1000, and any number from this machine "
              "itself" },

    { RECORDS("streams", streams, settings_stream_record, 256),
      .help = "Redis Streams to watch and to set up: a,b, or in the file a list of names and mappings" },
    { RECORDS("sinks", sinks, settings_sink_record, 64),
      .help = "webhooks that entries of streams and messages of channels are posted to; only in the file" },
};
/* clang-format on */
const size_t settings_count = sizeof(settings_table) / sizeof(settings_table[0]);

const struct setting *settings_find(const char *name, size_t length)
{
    for (size_t i = 0; i < settings_count; i++)
        if (strlen(settings_table[i].name) == length && memcmp(settings_table[i].name, name, length) == 0)
            return &settings_table[i];
    return NULL;
}

#define NAME_LENGTH_MAX 48

/* Levenshtein distance by one row; names longer than the row are as far as can be. */
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t row[NAME_LENGTH_MAX + 1];
    if (a_length > NAME_LENGTH_MAX || b_length > NAME_LENGTH_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            size_t shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
            diagonal = row[j];
            row[j] = replaced < shorter + 1 ? replaced : shorter + 1;
        }
    }
    return row[b_length];
}

const struct setting *settings_suggest(const char *name, size_t length)
{
    const struct setting *nearest = NULL;
    size_t nearest_distance = length / 2 < 3 ? length / 2 + 1 : 4;
    for (size_t i = 0; i < settings_count; i++) {
        size_t distance = edit_distance(name, length, settings_table[i].name, strlen(settings_table[i].name));
        if (distance < nearest_distance) {
            nearest = &settings_table[i];
            nearest_distance = distance;
        }
    }
    return nearest;
}

void settings_problem(struct settings_problems *problems, const char *origin, const char *format, ...)
{
    char sentence[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    buffer_printf(&problems->text, "%s: %s\n", origin, sentence);
    problems->count++;
}
