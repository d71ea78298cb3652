#include "front/permit.h"

#include <stdio.h>
#include <string.h>

#include "access/audit.h"
#include "base/clock.h"
#include "front/batch_name.h"
#include "front/cors.h"
#include "front/exchange.h"
#include "front/front_state.h"
#include "front/stream_handoff.h"

/* --- what the request carries --- */

static bool is_stream(const struct exchange *exchange)
{
    enum endpoint endpoint = exchange->route.endpoint;
    return endpoint == ENDPOINT_EVENTS || endpoint == ENDPOINT_BATCH_STREAM ||
           endpoint == ENDPOINT_GROUP_EVENTS;
}

/* What a page of another origin may not cause, be it that it cannot read the answer. */
static bool has_effects(const struct exchange *exchange)
{
    enum request_method method = exchange->request.method;
    return (method != METHOD_GET && method != METHOD_HEAD) ||
           exchange->route.endpoint == ENDPOINT_GROUP_EVENTS;
}

/*
 * Browsers name the origin in every request that another page causes, but for plain GETs (Fetch, "Origin
 * header"); of those the newer ones say where they come from (Fetch Metadata).
 */
static enum access_origin judge_origin(const struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    struct text origin = request->headers[HEADER_ORIGIN];
    struct text site = request->headers[HEADER_SEC_FETCH_SITE];
    if (origin.bytes)
        return cors_is_same_origin(origin, request->headers[HEADER_HOST]) ||
                       cors_judge(exchange->front->options.cors_origins, origin) == CORS_ECHO
                   ? ACCESS_ORIGIN_ALLOWED
                   : ACCESS_ORIGIN_FOREIGN;
    if (site.bytes)
        return text_is(site, "same-origin")                      ? ACCESS_ORIGIN_ALLOWED
               : text_is(site, "none") && !has_effects(exchange) ? ACCESS_ORIGIN_NONE
                                                                 : ACCESS_ORIGIN_FOREIGN;
    return has_effects(exchange) ? ACCESS_ORIGIN_FOREIGN : ACCESS_ORIGIN_NONE;
}

static struct access_credentials credentials_of(const struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    return (struct access_credentials){
        .authorization = request->headers[HEADER_AUTHORIZATION],
        .cookie = request->headers[HEADER_COOKIE],
        .ticket = is_stream(exchange) ? request_parameter(request, "ticket") : (struct text){ 0 },
        .origin = judge_origin(exchange),
    };
}

/* --- refusing --- */

static struct audit_text audit_of(struct text text)
{
    return (struct audit_text){ .bytes = text.bytes, .length = text.length };
}

static void tell_audit(const struct exchange *exchange, enum access_action action,
                       const struct access_decision *decision, const struct access_topic *topic)
{
    char peer[IP_ADDRESS_TEXT_MAX];
    const char *peer_text = ip_address_format(&exchange->client.address, peer);
    const struct request *request = &exchange->request;
    struct text subject = decision->grant ? grant_subject(decision->grant) : exchange_subject(exchange);
    const struct audit_entry entry = {
        .subject = audit_of(subject),
        .topic =
            topic ? audit_of(topic->name)
                  : (struct audit_text){ *decision->topic ? decision->topic : NULL, strlen(decision->topic) },
        .path = audit_of(request->path),
        .peer = { .bytes = peer_text, .length = peer_text ? strlen(peer_text) : 0 },
        .action = access_action_name(action),
        .method = request_method_name(request->method),
        .detail = decision->detail,
    };
    audit_refusal(exchange->front->services.audit, decision->reason, &entry);
}

void permit_tell_limited(const struct exchange *exchange, enum access_action action, const char *limit)
{
    char peer[IP_ADDRESS_TEXT_MAX];
    const char *peer_text = ip_address_format(&exchange->client.address, peer);
    const struct audit_entry entry = {
        .subject = audit_of(exchange_subject(exchange)),
        .path = audit_of(exchange->request.path),
        .peer = { .bytes = peer_text, .length = strlen(peer_text) },
        .action = access_action_name(action),
        .method = request_method_name(exchange->request.method),
        .detail = limit,
    };
    audit_refusal(exchange->front->services.audit, REFUSAL_LIMITED, &entry);
}

void permit_tell_act(const struct exchange *exchange, const char *act, struct text whose, uint64_t count)
{
    char peer[IP_ADDRESS_TEXT_MAX], detail[GRANT_SUBJECT_MAX + 1];
    const char *peer_text = ip_address_format(&exchange->client.address, peer);
    const struct request *request = &exchange->request;
    struct text subject = exchange_subject(exchange);
    snprintf(detail, sizeof(detail), "%.*s", (int)whose.length, whose.bytes);
    const struct audit_entry entry = {
        .subject = audit_of(subject),
        .path = audit_of(request->path),
        .peer = { .bytes = peer_text, .length = peer_text ? strlen(peer_text) : 0 },
        .action = act,
        .method = request_method_name(request->method),
        .detail = detail,
    };
    audit_act(exchange->front->services.audit, &entry, count);
}

static void refuse(struct exchange *exchange, enum access_action action, struct access_decision *decision,
                   const struct access_topic *topic)
{
    static const unsigned statuses[] = {
        [ACCESS_ALLOWED] = 500, [ACCESS_UNKNOWN] = 401, [ACCESS_DENIED] = 403, [ACCESS_UNAVAILABLE] = 503
    };
    tell_audit(exchange, action, decision, topic);
    grant_release(decision->grant);
    decision->grant = NULL;
    /* A 503 would keep an EventSource from coming back. */
    if (decision->verdict == ACCESS_UNAVAILABLE && is_stream(exchange)) {
        stream_refuse(exchange, "undecided");
        return;
    }
    if (*decision->challenge)
        response_add_header(&exchange->response, "WWW-Authenticate", "%s", decision->challenge);
    exchange_answer_problem(exchange, statuses[decision->verdict], "%s", decision->detail);
}

void permit_refuse(struct exchange *exchange, enum access_action action, struct access_decision *decision)
{
    refuse(exchange, action, decision, NULL);
}

/* --- asking --- */

static void drop_operand(struct permit *permit)
{
    if (permit->drop)
        permit->drop(permit->operand);
    permit->operand = NULL;
    permit->drop = NULL;
}

/* The topic that a refusal is about. */
static const struct access_topic *topic_in_question(const struct access_question *question,
                                                    const struct access_decision *decision)
{
    for (size_t i = 0; i < question->topic_count; i++)
        if (!decision->grant || !grant_covers(decision->grant, question->action, &question->topics[i]))
            return &question->topics[i];
    return NULL;
}

static void act(struct exchange *exchange, struct access_decision *decision,
                const struct access_question *question)
{
    struct permit *permit = &exchange->permit;
    permit->check = NULL;
    if (decision->verdict == ACCESS_ALLOWED) {
        grant_release(exchange->grant);
        exchange->grant = decision->grant;
        permit->drop = NULL;
        permit->granted(exchange);
        return;
    }
    /* The topics may be the operand's. */
    refuse(exchange, question->action, decision, topic_in_question(question, decision));
    drop_operand(permit);
}

static void on_decided(void *context, struct access_decision *decision)
{
    struct exchange *exchange = context;
    const struct access_question nothing = { .action = exchange->permit.action };
    exchange->cancel = NULL;
    act(exchange, decision, &nothing);
}

static void cancel(struct exchange *exchange)
{
    access_cancel(exchange->permit.check);
    exchange->permit.check = NULL;
    drop_operand(&exchange->permit);
}

void permit_ask(struct exchange *exchange, const struct access_question *question, permit_granted *granted,
                void *operand, void (*drop)(void *operand))
{
    struct access *access = exchange->front->services.access;
    struct permit *permit = &exchange->permit;
    struct access_decision decision;
    *permit =
        (struct permit){ .granted = granted, .operand = operand, .drop = drop, .action = question->action };
    if (exchange->grant) {
        access_decide(access, exchange->grant, question, &decision);
        act(exchange, &decision, question);
        return;
    }
    const struct access_credentials credentials = credentials_of(exchange);
    permit->check = access_ask(access, &credentials, question, on_decided, exchange, &decision);
    if (permit->check)
        exchange_wait(exchange, NULL, cancel);
    else
        act(exchange, &decision, question);
}

/* --- what the route names --- */

static void ask_for_one(struct exchange *exchange, enum access_action action, enum access_topic_kind kind,
                        struct text name, permit_granted *endpoint)
{
    const struct access_topic topic = { .kind = kind, .name = name };
    const struct access_question question = { .action = action, .topics = &topic, .topic_count = 1 };
    permit_ask(exchange, &question, endpoint, NULL, NULL);
}

/* A batch is the channel that it is told on. */
static void ask_for_batch(struct exchange *exchange, enum access_action action, permit_granted *endpoint)
{
    char channel[sizeof(BATCH_CHANNEL) + BATCH_NAME_MAX];
    struct text id = exchange->route.name;
    size_t prefix = strlen(BATCH_CHANNEL);
    if (!batch_name_check(exchange, id))
        return;
    memcpy(channel, BATCH_CHANNEL, prefix);
    memcpy(channel + prefix, id.bytes, id.length);
    ask_for_one(exchange, action, ACCESS_CHANNEL, text_of(channel, prefix + id.length), endpoint);
}

static bool topic_of_parameter(const struct request_parameter *parameter, struct access_topic *ret_topic)
{
    ret_topic->name = parameter->value;
    if (text_is(parameter->name, "channel"))
        ret_topic->kind = ACCESS_CHANNEL;
    else if (text_is(parameter->name, "pattern"))
        ret_topic->kind = ACCESS_GLOB;
    else if (text_is(parameter->name, "stream"))
        ret_topic->kind = ACCESS_STREAM;
    else
        return false;
    return true;
}

static void ask_for_query(struct exchange *exchange, permit_granted *endpoint)
{
    const struct request *request = &exchange->request;
    struct access_topic topics[REQUEST_PARAMETERS_MAX];
    struct access_question question = { .action = ACCESS_SUBSCRIBE, .topics = topics };
    for (size_t i = 0; i < request->parameter_count; i++)
        question.topic_count += topic_of_parameter(&request->parameters[i], &topics[question.topic_count]);
    permit_ask(exchange, &question, endpoint, NULL, NULL);
}

static void ask_for_administration(struct exchange *exchange, permit_granted *endpoint)
{
    const struct access_question question = { .action = ACCESS_ADMIN };
    permit_ask(exchange, &question, endpoint, NULL, NULL);
}

/* Whoever is known may have a ticket: for what, is said by his grant. */
static void ask_who(struct exchange *exchange, permit_granted *endpoint)
{
    const struct access_question question = { .action = ACCESS_SUBSCRIBE };
    permit_ask(exchange, &question, endpoint, NULL, NULL);
}

/* What is published stands in the body. Whoever brings nothing to be known by need not have it read. */
static void ask_for_publishing(struct exchange *exchange, permit_granted *endpoint)
{
    struct access *access = exchange->front->services.access;
    const struct access_credentials credentials = credentials_of(exchange);
    const struct access_question question = { .action = ACCESS_PUBLISH };
    if (access_is_anonymous(access, &credentials))
        permit_ask(exchange, &question, endpoint, NULL, NULL);
    else
        endpoint(exchange);
}

void permit_route(struct exchange *exchange, permit_granted *endpoint)
{
    enum request_method method = exchange->request.method;
    bool is_read = method == METHOD_GET || method == METHOD_HEAD;
    if (access_is_open(exchange->front->services.access)) {
        endpoint(exchange);
        return;
    }
    switch (exchange->route.endpoint) {
    case ENDPOINT_HEALTHZ:
    case ENDPOINT_READYZ:
        endpoint(exchange);
        break;
    case ENDPOINT_PUBLISH:
        ask_for_publishing(exchange, endpoint);
        break;
    case ENDPOINT_EVENTS:
        ask_for_query(exchange, endpoint);
        break;
    case ENDPOINT_BATCH:
    case ENDPOINT_BATCH_STREAM:
        ask_for_batch(exchange, is_read ? ACCESS_SUBSCRIBE : ACCESS_PUBLISH, endpoint);
        break;
    case ENDPOINT_GROUP_EVENTS:
    case ENDPOINT_GROUP_ACK:
    case ENDPOINT_GROUP_NACK:
        ask_for_one(exchange, ACCESS_CONSUME, ACCESS_STREAM, exchange->route.name, endpoint);
        break;
    case ENDPOINT_TICKETS:
        ask_who(exchange, endpoint);
        break;
    case ENDPOINT_METRICS:
    case ENDPOINT_PAGE:
    case ENDPOINT_STREAMS:
    case ENDPOINT_STREAM:
    case ENDPOINT_SUBSCRIBERS:
    case ENDPOINTS:
        ask_for_administration(exchange, endpoint);
        break;
    }
}
