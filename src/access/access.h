/*
 * Who may read and write what.
 *
 *   credential                       → grant (grant.h)                 → decision
 *   ─────────────────────────────────────────────────────────────────────────────────────────────────────
 *   Authorization: Bearer sk_…         machine_keys   at once
 *   Authorization: Bearer <JWT>        token          at once, or when   does the grant cover each topic
 *   Cookie: <jwt_cookie>=<JWT>         token           the JWKS is here   of the question (pattern)?
 *   ?ticket=…                          sources.ticket       asked           yes  ALLOWED, with the grant
 *   anything, or nothing               sources.application  asked           no   403 that names the topic
 *   (none of these)                    ─                                         401 with a challenge
 *
 * The first that is there decides; a bad credential is never overlooked for another one. A cookie counts only
 * from an origin that may use it. When access is open there is no grant, and everything is allowed.
 *
 *   access.{h,c}        the settings, and the choice of the way above
 *   access_check.c      one question: what waits for an answer, and the decision
 *   pattern, grant      what may be done; grant_json: read from and written as JSON
 *   token               a JWT: form, signature, claims; token_cache: those that a public key found to be good
 *   key_ring, jwk       keys that tokens are signed with: a secret, PEM, JWKS; each with its algorithms
 *   signature           is this the signature of these bytes by this key (OpenSSL)
 *   jwks                a JWKS by its address: asked for, kept, asked for again for a key that is not in it
 *   jwks_fetcher        fetches it, once for all threads that ask for it
 *   authorizer          asks the application, once for all threads that ask the same
 *   machine_keys        sk_… keys, of which the file has the hashes
 *   credentials         cookies, and which credential a request carries
 *
 * One struct access a thread, all made from the same settings, and with keys of its own. What is asked of the
 * outside is asked once for the whole gateway: authorizer and jwks_fetcher belong to the main thread, and the
 * sources and `fetch` below carry questions there and answers back. A grant may be held by several threads.
 * Nothing here is on the way of an event to a client.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/grant.h"
#include "base/log.h"
#include "metrics/metrics.h"

struct access;
struct access_check;

/* --- a question and its decision --- */

/* Whether a web page of that origin may use cookies with us; the front knows, by the settings for CORS. */
enum access_origin {
    ACCESS_ORIGIN_NONE,    /* the request names none */
    ACCESS_ORIGIN_ALLOWED, /* our own, or one that is listed by name; `*` names nobody */
    ACCESS_ORIGIN_FOREIGN,
};

/* What a request carries; values of headers, without bytes where there is none. */
struct access_credentials {
    struct text authorization;
    struct text cookie;
    struct text ticket; /* the query parameter */
    enum access_origin origin;
};

struct access_question {
    enum access_action action;
    const struct access_topic *topics; /* each must be covered; none: it is enough to be known */
    size_t topic_count;
};

enum access_verdict {
    ACCESS_ALLOWED,
    ACCESS_UNKNOWN,     /* 401 */
    ACCESS_DENIED,      /* 403 */
    ACCESS_UNAVAILABLE, /* 503: whoever must be asked does not answer */
};

#define ACCESS_DETAIL_MAX 320
#define ACCESS_CHALLENGE_MAX 128
#define ACCESS_TOPIC_MAX 128

struct access_decision {
    enum access_verdict verdict;
    enum refusal_reason reason; /* unless allowed; for figures and the audit log */
    struct grant *grant;        /* allowed: the caller's reference; NULL when access is open. Denied: whose it
                                   was, for the audit log, if it is known */
    char topic[ACCESS_TOPIC_MAX]; /* what it is about, NUL-terminated, cut if need be; empty: no one topic */
    char detail[ACCESS_DETAIL_MAX];       /* a sentence for the problem; never a part of a credential */
    char challenge[ACCESS_CHALLENGE_MAX]; /* 401: the value of WWW-Authenticate (RFC 6750, section 3) */
};

/* Called once, from the loop, never inside access_ask(). The receiver releases decision->grant. */
typedef void access_done(void *context, struct access_decision *decision);

/*
 * Nearly always the answer is there at once: then NULL comes back and *ret_decision is filled in. Otherwise
 * the check waits, has copied what it needs, and `done` follows; access_cancel() calls it off.
 */
struct access_check *access_ask(struct access *access, const struct access_credentials *credentials,
                                const struct access_question *question, access_done *done, void *context,
                                struct access_decision *ret_decision);
void access_cancel(struct access_check *check);

/* Decides for a caller who is known already (a second question of one request). `grant` NULL: access is open.
 */
void access_decide(struct access *access, struct grant *grant, const struct access_question *question,
                   struct access_decision *ret_decision);

/* --- what it needs of others; bound by the gateway --- */

/*
 * Who must be asked about a caller: Redis for a ticket, the application for a session. `ask` begins to find
 * out; later or inside the call exactly one of access_know() and access_refuse() follows, unless `cancel`
 * came. Credentials and question stay valid until then.
 */
struct access_source {
    void (*ask)(void *context, struct access_check *check, const struct access_credentials *credentials,
                const struct access_question *question); /* NULL: there is no such source */
    void (*cancel)(void *context, struct access_check *check);
    void *context;
};

/* It is this caller (takes the reference); whether the grant covers the question is decided here. */
void access_know(struct access_check *check, struct grant *grant);
/* It is nobody, may not, or cannot be found out. `detail` is a sentence. */
void access_refuse(struct access_check *check, enum access_verdict verdict, enum refusal_reason reason,
                   const char *detail);

/*
 * The JWKS at an address, from whoever fetches it for all threads (jwks_fetcher.h). `done` comes later, once,
 * be it that the access is gone: with what was got by a request made at `fetched_ms` (clock_now_ms()), or
 * without bytes, when it cannot be had.
 */
typedef void access_fetched(void *context, struct text jwks, uint64_t fetched_ms);
struct access_bindings {
    bool (*fetch)(void *context, const char *url, access_fetched *done, void *done_context);
    void *fetch_context;
    struct access_source ticket;
    struct access_source application;
};

/* --- life --- */

/* Settings; all borrowed for the call. Texts are "" where not set. */
struct access_options {
    bool open; /* everything is allowed; nothing else is looked at */
    const char *jwt_secret;
    const char *jwt_key_file; /* PEM or JWKS */
    const char *jwt_jwks_url;
    const char *jwt_audience; /* comma-separated: one of them must be meant */
    const char *jwt_issuer;
    const char *jwt_cookie;
    uint64_t jwt_leeway_ms;
    uint64_t jwks_refresh_ms; /* how old a fetched JWKS may get */
    const char *machine_keys_file;
};

/* NULL with *ret_problem a sentence, freed by the caller: a file that is none, keys that will not do. */
struct access *access_create(struct event_base *base, const struct access_options *options,
                             const struct access_bindings *bindings, struct log *log, char **ret_problem);
/* Checks that wait are answered with ACCESS_UNAVAILABLE, and nobody is asked from now on. */
void access_stop(struct access *access);
void access_destroy(struct access *access);

/* On reload, files are read again. False with a sentence, and everything stays as it was. */
bool access_set_options(struct access *access, const struct access_options *options, char **ret_problem);

bool access_is_open(const struct access *access);

/* Nothing in the request says who it is, and nobody could be asked: saves reading the body for a 401. */
bool access_is_anonymous(const struct access *access, const struct access_credentials *credentials);

/*
 * After a reload, for a stream that is open: may it go on? `credential` is that of its grant, 0 unless it
 * came from a machine key; then the key must still be there and cover the topic.
 */
bool access_still_covers(const struct access *access, uint64_t credential, enum access_action action,
                         const struct access_topic *topic);

/* For --check: who may do what, a line each. */
void access_append_summary(const struct access *access, struct buffer *out);
