/*
 * One question: who is it, and may he?
 *
 *   access_ask ─▶ identify ──┬─ known, or refused ────────────────────────▶ the decision, at once
 *                            └─ WAITS for the JWKS ── on_keys ──┐
 *                               WAITS for a source ── access_know, access_refuse ──▶ done(decision)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/access_state.h"
#include "access/asked.h"
#include "access/credentials.h"
#include "base/clock.h"

#define CHALLENGE "Bearer realm=\"sluice\""
#define NAME_BYTES_SHOWN 120 /* of a topic, in a problem */
#define ENDING "The gateway is ending."

enum check_way {
    CHECK_DECIDED,
    CHECK_TOKEN, /* waits for the JWKS */
    CHECK_TICKET,
    CHECK_APPLICATION,
};

struct access_check {
    struct list node; /* among access->checks */
    struct access *access;
    enum check_way way;
    struct jwks_waiter waiter;
    access_done *done;
    void *context;
    bool asking; /* inside source->ask: the answer waits until that is over */
    bool answered;
    struct access_decision decision;
    struct asked *asked;
};

/* --- decisions --- */

static void refuse(struct access_decision *decision, enum access_verdict verdict, enum refusal_reason reason,
                   const char *detail)
{
    grant_release(decision->grant);
    *decision = (struct access_decision){ .verdict = verdict, .reason = reason };
    snprintf(decision->detail, sizeof(decision->detail), "%s", detail);
    if (verdict == ACCESS_UNKNOWN)
        snprintf(decision->challenge, sizeof(decision->challenge), "%s",
                 reason == REFUSAL_NO_CREDENTIAL ? CHALLENGE : CHALLENGE ", error=\"invalid_token\"");
}

static const char *kind_name(enum access_topic_kind kind)
{
    return kind == ACCESS_STREAM ? "stream" : kind == ACCESS_GLOB ? "pattern" : "channel";
}

static void name_topic(struct access_decision *decision, const struct access_topic *topic)
{
    snprintf(decision->topic, sizeof(decision->topic), "%.*s", (int)topic->name.length, topic->name.bytes);
}

static void deny(struct access_decision *decision, enum access_action action,
                 const struct access_topic *topic)
{
    struct grant *grant = decision->grant; /* kept: the audit log says whose it is */
    *decision =
        (struct access_decision){ .verdict = ACCESS_DENIED, .reason = REFUSAL_NOT_GRANTED, .grant = grant };
    if (action == ACCESS_ADMIN) {
        snprintf(decision->detail, sizeof(decision->detail),
                 "This is for administrators: \"admin\": true in the claim \"sluice\", or of a key.");
        return;
    }
    name_topic(decision, topic);
    int length = topic->name.length < NAME_BYTES_SHOWN ? (int)topic->name.length : NAME_BYTES_SHOWN;
    snprintf(decision->detail, sizeof(decision->detail), "%s is not granted for the %s %.*s.%s",
             action == ACCESS_SUBSCRIBE ? "Subscribing"
             : action == ACCESS_PUBLISH ? "Publishing"
                                        : "Consuming",
             kind_name(topic->kind), length, topic->name.bytes,
             topic->kind == ACCESS_GLOB ? " All that it matches must be." : "");
}

/* Takes the grant. */
static void decide(struct grant *grant, const struct access_question *question,
                   struct access_decision *ret_decision)
{
    uint64_t expires_ms = grant_expires_wall_ms(grant);
    *ret_decision = (struct access_decision){ .verdict = ACCESS_ALLOWED, .grant = grant };
    if (expires_ms && clock_wall_ms() >= expires_ms) {
        refuse(ret_decision, ACCESS_UNKNOWN, REFUSAL_EXPIRED, "What you were known by has expired.");
        return;
    }
    if (question->action == ACCESS_ADMIN && !grant_covers(grant, ACCESS_ADMIN, NULL))
        deny(ret_decision, ACCESS_ADMIN, NULL);
    for (size_t i = 0; i < question->topic_count && question->action != ACCESS_ADMIN; i++)
        if (!grant_covers(grant, question->action, &question->topics[i])) {
            deny(ret_decision, question->action, &question->topics[i]);
            return;
        }
}

void access_decide(struct access *access, struct grant *grant, const struct access_question *question,
                   struct access_decision *ret_decision)
{
    *ret_decision = (struct access_decision){ .verdict = ACCESS_ALLOWED };
    if (access->config.open)
        return;
    if (grant)
        decide(grant_hold(grant), question, ret_decision);
    else
        refuse(ret_decision, ACCESS_UNKNOWN, REFUSAL_NO_CREDENTIAL, "Nobody is known here.");
}

/* --- who is it --- */

static void check_key(const struct access *access, struct text key, const struct access_question *question,
                      struct access_decision *ret_decision)
{
    const struct machine_keys *keys = access->config.machine_keys;
    struct grant *grant = keys ? machine_keys_find(keys, key) : NULL;
    if (grant)
        decide(grant_hold(grant), question, ret_decision);
    else
        refuse(ret_decision, ACCESS_UNKNOWN, REFUSAL_BAD_CREDENTIAL, "This key is not known here.");
}

/* Borrowed; NULL: it has to be read. */
static struct grant *find_token(struct access_config *config, struct text token)
{
    uint64_t version = config->jwks ? jwks_version(config->jwks) : 0;
    if (version != config->tokens_version)
        token_cache_clear(config->tokens);
    config->tokens_version = version;
    struct grant *grant = token_cache_find(config->tokens, token);
    uint64_t expires_ms = grant ? grant_expires_wall_ms(grant) : 0;
    return expires_ms && clock_wall_ms() >= expires_ms ? NULL : grant;
}

/* False when newer keys may know it. */
static bool check_token(struct access *access, struct text token, const struct access_question *question,
                        struct access_decision *ret_decision)
{
    struct access_config *config = &access->config;
    struct grant *known = find_token(config, token);
    if (known) {
        decide(grant_hold(known), question, ret_decision);
        return true;
    }
    const struct key_ring *rings[] = { config->keys, config->jwks ? jwks_keys(config->jwks) : NULL };
    char problem[TOKEN_PROBLEM_MAX];
    bool is_worth_keeping;
    struct grant *grant;
    enum token_verdict verdict = token_read(token, rings, config->jwks ? 2 : 1, &config->rules,
                                            clock_wall_ms(), &grant, &is_worth_keeping, problem);
    if (verdict == TOKEN_GOOD) {
        if (is_worth_keeping)
            token_cache_keep(config->tokens, token, grant);
        decide(grant, question, ret_decision);
    } else if (verdict == TOKEN_NO_KEY && config->jwks && key_ring_count(rings[1]) == 0) {
        refuse(ret_decision, ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED,
               "The keys that tokens are signed with cannot be had for the moment. Try again later.");
    } else {
        refuse(ret_decision, ACCESS_UNKNOWN,
               verdict == TOKEN_EXPIRED ? REFUSAL_EXPIRED : REFUSAL_BAD_CREDENTIAL, problem);
    }
    return verdict != TOKEN_NO_KEY || !config->jwks;
}

static enum check_way token_way(struct access *access, struct text token,
                                const struct access_question *question, struct access_decision *ret_decision)
{
    return check_token(access, token, question, ret_decision) ? CHECK_DECIDED : CHECK_TOKEN;
}

static enum check_way authorization_way(struct access *access, struct text authorization,
                                        const struct access_question *question,
                                        struct access_decision *ret_decision)
{
    struct text bearer = credentials_bearer(authorization);
    if (bearer.length > strlen(MACHINE_KEY_PREFIX) &&
        memcmp(bearer.bytes, MACHINE_KEY_PREFIX, strlen(MACHINE_KEY_PREFIX)) == 0) {
        check_key(access, bearer, question, ret_decision);
        return CHECK_DECIDED;
    }
    if (bearer.length && access_takes_tokens(access) && token_looks_like_one(bearer))
        return token_way(access, bearer, question, ret_decision);
    if (access->bindings.application.ask)
        return CHECK_APPLICATION;
    refuse(ret_decision, ACCESS_UNKNOWN, REFUSAL_BAD_CREDENTIAL,
           bearer.length == 0            ? "Send Authorization: Bearer with a token or a key."
           : access_takes_tokens(access) ? "This is neither a token (JWT) nor a key (sk_…)."
                                         : "Tokens are not accepted here, only keys (sk_…).");
    return CHECK_DECIDED;
}

/* What has to be asked elsewhere, or CHECK_DECIDED. */
static enum check_way identify(struct access *access, const struct access_credentials *credentials,
                               const struct access_question *question, struct access_decision *ret_decision)
{
    const struct access_source *application = &access->bindings.application;
    bool is_twice = false;
    struct text cookie = { 0 };
    if (credentials->ticket.bytes) {
        if (access->bindings.ticket.ask)
            return CHECK_TICKET;
        refuse(ret_decision, ACCESS_UNKNOWN, REFUSAL_BAD_TICKET, "Tickets are not given out here.");
        return CHECK_DECIDED;
    }
    if (credentials->authorization.bytes)
        return authorization_way(access, credentials->authorization, question, ret_decision);
    if (*access->config.cookie && access_takes_tokens(access))
        cookie = credentials_cookie(credentials->cookie, access->config.cookie, &is_twice);
    /* A browser sends cookies along for pages that are none of ours. */
    if ((cookie.bytes || (credentials->cookie.bytes && application->ask)) &&
        credentials->origin == ACCESS_ORIGIN_FOREIGN) {
        refuse(ret_decision, ACCESS_DENIED, REFUSAL_FOREIGN_ORIGIN,
               "A cookie counts only for pages of this origin and of those that cors_origins lists by name.");
        return CHECK_DECIDED;
    }
    if (is_twice) {
        refuse(ret_decision, ACCESS_UNKNOWN, REFUSAL_BAD_CREDENTIAL,
               "There are two cookies of that name; which one counts?");
        return CHECK_DECIDED;
    }
    if (cookie.bytes)
        return token_way(access, cookie, question, ret_decision);
    if (application->ask)
        return CHECK_APPLICATION;
    refuse(ret_decision, ACCESS_UNKNOWN, REFUSAL_NO_CREDENTIAL,
           "Nobody is known here without a credential: send Authorization: Bearer with a token or a key.");
    return CHECK_DECIDED;
}

bool access_is_anonymous(const struct access *access, const struct access_credentials *credentials)
{
    bool is_twice;
    if (access->config.open || credentials->ticket.bytes || credentials->authorization.bytes ||
        access->bindings.application.ask)
        return false;
    return !credentials_cookie(credentials->cookie, access->config.cookie, &is_twice).bytes;
}

/* --- waiting --- */

/* NULL when memory is short. */
static struct access_check *keep(struct access *access, const struct access_credentials *credentials,
                                 const struct access_question *question)
{
    struct access_check *check = calloc(1, sizeof(*check));
    if (!check)
        return NULL;
    check->access = access;
    check->asked = asked_create(credentials, question);
    if (check->asked)
        return check;
    free(check);
    return NULL;
}

static void let_go(struct access_check *check)
{
    list_remove(&check->waiter.node);
    list_remove(&check->node);
    check->access->check_count--;
    asked_destroy(check->asked);
    free(check);
}

static void finish(struct access_check *check)
{
    check->answered = true;
    if (check->asking)
        return; /* access_ask() hands it out */
    access_done *done = check->done;
    void *context = check->context;
    struct access_decision decision = check->decision;
    let_go(check);
    done(context, &decision);
}

/* Of a check that asks one. */
static const struct access_source *source_of(const struct access_check *check)
{
    const struct access_bindings *bindings = &check->access->bindings;
    return check->way == CHECK_TICKET ? &bindings->ticket : &bindings->application;
}

static void call_source_off(struct access_check *check)
{
    const struct access_source *source = source_of(check);
    if (check->way == CHECK_TICKET || check->way == CHECK_APPLICATION)
        source->cancel(source->context, check);
}

/* A ticket that was got with a key is worth what the key is worth now. */
static void decide_by_key(struct access_check *check, uint64_t credential)
{
    const struct machine_keys *keys = check->access->config.machine_keys;
    struct grant *key = keys ? machine_keys_by_credential(keys, credential) : NULL;
    struct access_decision by_key;
    if (!key) {
        refuse(&check->decision, ACCESS_UNKNOWN, REFUSAL_BAD_CREDENTIAL,
               "The key that this was given out for is gone.");
        return;
    }
    decide(grant_hold(key), &check->asked->question, &by_key);
    if (by_key.verdict == ACCESS_ALLOWED) {
        grant_release(by_key.grant);
        return;
    }
    grant_release(check->decision.grant);
    check->decision = by_key;
}

void access_know(struct access_check *check, struct grant *grant)
{
    uint64_t credential = grant_credential(grant);
    decide(grant, &check->asked->question, &check->decision);
    if (credential && check->decision.verdict == ACCESS_ALLOWED)
        decide_by_key(check, credential);
    finish(check);
}

void access_refuse(struct access_check *check, enum access_verdict verdict, enum refusal_reason reason,
                   const char *detail)
{
    refuse(&check->decision, verdict, reason, detail);
    if (check->asked->question.topic_count > 0)
        name_topic(&check->decision, &check->asked->question.topics[0]);
    finish(check);
}

/* The keys are as new as they can be; whoever is still not known is not. */
static void on_keys(struct jwks_waiter *waiter)
{
    struct access_check *check = LIST_OWNER(waiter, struct access_check, waiter);
    const struct access_credentials *credentials = &check->asked->credentials;
    bool is_twice;
    struct text token =
        credentials->authorization.bytes
            ? credentials_bearer(credentials->authorization)
            : credentials_cookie(credentials->cookie, check->access->config.cookie, &is_twice);
    grant_release(check->decision.grant);
    check_token(check->access, token, &check->asked->question, &check->decision);
    finish(check);
}

/* False when there is nothing to wait for: what was decided so far holds. */
static bool wait_for_answer(struct access_check *check)
{
    struct access *access = check->access;
    list_append(&access->checks, &check->node);
    access->check_count++;
    check->waiter.done = on_keys;
    if (check->way == CHECK_TOKEN)
        return jwks_wait(access->config.jwks, &check->waiter);
    const struct access_source *source = source_of(check);
    check->asking = true;
    source->ask(source->context, check, &check->asked->credentials, &check->asked->question);
    check->asking = false;
    return !check->answered;
}

struct access_check *access_ask(struct access *access, const struct access_credentials *credentials,
                                const struct access_question *question, access_done *done, void *context,
                                struct access_decision *ret_decision)
{
    *ret_decision = (struct access_decision){ .verdict = ACCESS_ALLOWED };
    if (access->config.open)
        return NULL;
    enum check_way way = identify(access, credentials, question, ret_decision);
    if (way == CHECK_DECIDED)
        return NULL;
    if (access->is_ending) {
        refuse(ret_decision, ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, ENDING);
        return NULL;
    }
    struct access_check *check =
        access->check_count < ACCESS_CHECKS_MAX ? keep(access, credentials, question) : NULL;
    if (!check) {
        refuse(ret_decision, ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED,
               "Too many wait already. Try again later.");
        return NULL;
    }
    check->way = way;
    check->done = done;
    check->context = context;
    check->decision = *ret_decision;
    if (wait_for_answer(check))
        return check;
    *ret_decision = check->decision;
    let_go(check);
    return NULL;
}

void access_cancel(struct access_check *check)
{
    call_source_off(check);
    grant_release(check->decision.grant);
    let_go(check);
}

void access_stop(struct access *access)
{
    access->is_ending = true;
    while (!list_empty(&access->checks)) {
        struct access_check *check = LIST_OWNER(list_first(&access->checks), struct access_check, node);
        call_source_off(check);
        refuse(&check->decision, ACCESS_UNAVAILABLE, REFUSAL_UNDECIDED, ENDING);
        finish(check);
    }
}
