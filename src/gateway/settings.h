/*
 * The settings: one table (settings_table.c) of name, parser, bounds, default and help. A setting
 * `name_like_this` is that key in the YAML file, `--name-like-this` on the command line and
 * `SLUICE_NAME_LIKE_THIS` in the environment; flags win over environment over file over default. `REDIS_URL`
 * (or `REDIS_URL_FILE`) and `PORT` (the port alone) are accepted as everybody writes them. Every text setting
 * can come from a file: `SLUICE_REDIS_URL_FILE=/run/secrets/redis`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/log.h"
#include "front/forwarded.h"
#include "gateway/settings_lists.h"
#include "hub/hub.h"

#define SETTING_WORKERS_MAX 64

struct settings {
    char *listen; /* host:port, [v6]:port, :port or unix:/path */
    bool reuse_port;
    char *redis_url; /* redis://, rediss://, unix://, redis+sentinel:// */
    char *redis_tls_ca_file;
    bool redis_tls_verify;
    uint64_t redis_timeout_ms; /* a command without an answer */
    uint64_t redis_reply_bytes_max;
    uint64_t redis_pending_max; /* commands that wait */
    char *access;               /* "" or "open" */
    char *jwt_secret;           /* this and the next: "" where not set */
    char *jwt_key_file;
    char *jwt_jwks_url;
    uint64_t jwks_refresh_ms;
    char *jwt_audience;
    char *jwt_issuer;
    uint64_t jwt_leeway_ms;
    char *jwt_cookie;
    char *keys_file;
    uint64_t ticket_ttl_ms;
    char *access_authorize_url; /* asked whether a caller may; empty: nobody */
    uint64_t access_authorize_timeout_ms;
    uint64_t access_authorize_ttl_ms;
    uint64_t access_authorize_refusal_ttl_ms;
    uint64_t access_authorize_hold_ms;
    uint64_t access_authorize_concurrency_max;
    uint64_t access_authorize_entries_max;
    uint64_t audit_lines_per_second;
    char *cors_origins; /* list, comma-separated: origins, patterns of them, or * */
    bool cors_credentials;
    char *admin_listen; /* empty: `listen` serves administrators, too */
    /* proxies in front */
    char *trusted_proxies; /* list of networks */
    enum forwarded_header forwarded_header;
    char *identity_header; /* empty: none */
    bool proxy_protocol;
    enum log_level log_level;
    enum log_format log_format;
    bool access_log;
    uint64_t workers; /* threads that serve clients; 0: as many as there are processors */
    /* front door */
    uint64_t connections_max;
    uint64_t body_bytes_max;
    uint64_t head_timeout_ms;
    uint64_t body_timeout_ms;
    uint64_t keepalive_timeout_ms;
    uint64_t drain_timeout_ms;
    /* streams */
    uint64_t clients_max;
    uint64_t topics_per_stream_max;
    uint64_t streams_per_address_max;
    uint64_t streams_per_subject_max;
    uint64_t stream_rate_max;
    uint64_t stream_rate_per_address_max;
    uint64_t address_ip6_prefix;
    uint64_t coalesce_ms;
    bool compress;
    uint64_t compress_min_bytes;
    uint64_t heartbeat_ms;
    uint64_t retry_min_ms;
    uint64_t retry_max_ms;
    uint64_t backlog_bytes_max;
    enum slow_policy batch_slow_policy;
    uint64_t stall_timeout_ms;
    uint64_t subscription_linger_ms;
    uint64_t replay_messages;
    uint64_t replay_bytes;
    /* snapshots */
    uint64_t snapshot_ttl_ms;
    uint64_t snapshot_ttl_moving_ms;
    uint64_t snapshot_ttl_idle_ms;
    uint64_t snapshot_entries_max;
    uint64_t snapshot_bytes_max;
    char *origin_url; /* e.g. http://app:3000/internal/batches/{id}; empty: none */
    uint64_t origin_timeout_ms;
    uint64_t origin_concurrency_max;
    /* publishing */
    uint64_t idempotency_window_ms;
    uint64_t stream_maxlen;
    uint64_t publish_array_max;
    uint64_t publish_rate_per_subject_max;
    uint64_t publish_rate_per_address_max;
    /* lists */
    struct setting_records streams; /* struct stream_settings */
    struct setting_records sinks;   /* struct sink_settings */
    struct buffer secret_files;     /* that were read, each path with its NUL */
    /* For the summary: where each value came from, in the table's order; NULL is the default. */
    char **origins;
};

/* Where problems go: one line each, with file and line where there is one. */
struct settings_problems {
    struct buffer text;
    unsigned count;
};

/*
 * Reads defaults, then the file (NULL: none), then the environment, then flags (`arguments` as they follow
 * the subcommand; --config is already taken out by the caller). Returns NULL with at least one problem.
 */
struct settings *settings_load(const char *file, char *const *environment, int argument_count,
                               char *const *arguments, struct settings_problems *problems);
void settings_destroy(struct settings *settings);

/* Everybody may do everything: it is said, or on loopback nothing else is. */
bool settings_access_is_open(const struct settings *settings);

/* What would run: each setting with its value and where it came from, secrets as ***. For --check. */
void settings_append_summary(const struct settings *settings, struct buffer *out);

/* What is not wrong but should not be, a line each: secrets in files that everybody can read. */
void settings_append_warnings(const struct settings *settings, struct buffer *out);

/* Overwrites secrets among a program's own arguments, which others see in the list of processes. */
void settings_mask_arguments(int argument_count, char **arguments);

/* Every setting with its default, bounds and help. For --help. */
void settings_append_help(struct buffer *out);

/*
 * Takes over from `fresh` what can change while running (marked in the table) by exchanging the values, so
 * the old ones live until `fresh` is destroyed. Appends the names of what changed, and of what differs but
 * needs a restart.
 */
void settings_reload(struct settings *settings, struct settings *fresh, struct buffer *ret_changed,
                     struct buffer *ret_needs_restart);

/* For `serve --dev`, which brings its own Redis. False when the address is not valid or memory is short. */
bool settings_replace_redis_url(struct settings *settings, const char *url, const char *origin);
