#include "front/limits.h"

#include <inttypes.h>
#include <stdlib.h>

#include "access/quota.h"
#include "base/clock.h"
#include "base/random.h"
#include "front/front_state.h"
#include "front/stream_handoff.h"

/* Somebody may have gone by then. */
#define RETRY_SECONDS_MIN 10
#define RETRY_SECONDS_MAX 60

struct stream_place {
    struct hub_companion companion;
    struct quota *quota;
    struct quota_place place;
};

static void give_back(struct hub_companion *companion)
{
    struct stream_place *place = (struct stream_place *)(void *)companion;
    quota_release(place->quota, &place->place, clock_now_ns());
    free(place);
}

static struct quota_caller caller_of(const struct exchange *exchange)
{
    struct text subject = exchange_subject(exchange);
    return (struct quota_caller){ .address = exchange->client.address,
                                  .subject = subject.length > 0 ? subject.bytes : NULL,
                                  .subject_length = subject.length };
}

/* --- refusing --- */

static bool is_event_source(const struct exchange *exchange)
{
    struct text accept = exchange->request.headers[HEADER_ACCEPT];
    struct text range;
    while (text_split(&accept, ',', &range)) {
        struct text type = { 0 };
        text_split(&range, ';', &type);
        if (text_is_caseless(text_trim(type), "text/event-stream"))
            return true;
    }
    return false;
}

static const char *sentence_of(enum limit limit)
{
    static const char *const sentences[LIMITS] = {
        [LIMIT_STREAMS] = "There are as many streams open as this gateway takes.",
        [LIMIT_STREAMS_PER_ADDRESS] = "There are too many streams open from this address.",
        [LIMIT_STREAMS_PER_SUBJECT] = "There are too many streams open for this caller.",
        [LIMIT_STREAM_RATE] = "Too many streams are being opened at once.",
        [LIMIT_STREAM_RATE_PER_ADDRESS] = "Too many streams are being opened at once from this address.",
        [LIMIT_PUBLISH_RATE_PER_ADDRESS] = "Too many events are being published from this address.",
        [LIMIT_PUBLISH_RATE_PER_SUBJECT] = "Too many events are being published by this caller.",
    };
    return sentences[limit];
}

static bool is_of_streams(enum limit limit)
{
    return limit != LIMIT_PUBLISH_RATE_PER_ADDRESS && limit != LIMIT_PUBLISH_RATE_PER_SUBJECT;
}

void limits_refuse(struct exchange *exchange, enum limit limit, uint64_t retry_ms)
{
    exchange->front->services.metrics->limited[limit]++;
    permit_tell_limited(exchange, is_of_streams(limit) ? ACCESS_SUBSCRIBE : ACCESS_PUBLISH,
                        limit_name(limit));
    if (is_of_streams(limit) && is_event_source(exchange)) {
        stream_refuse(exchange, limit == LIMIT_STREAMS ? "full" : limit_name(limit));
        return;
    }
    uint64_t seconds =
        retry_ms > 0 ? (retry_ms + 999) / 1000 : random_between(RETRY_SECONDS_MIN, RETRY_SECONDS_MAX);
    exchange->response.closes = true;
    response_add_header(&exchange->response, "Retry-After", "%" PRIu64, seconds);
    exchange_answer_problem(exchange, 429, "%s Try again after the seconds that Retry-After says.",
                            sentence_of(limit));
}

/* --- streams --- */

/* Most have none: on loopback nothing is counted unless it is said. */
static bool keep_place(struct exchange *exchange, struct quota_place *taken)
{
    struct quota *quota = exchange->front->services.quota;
    if (!taken->is_taken)
        return true;
    struct stream_place *place = malloc(sizeof(*place));
    if (!place) {
        quota_release(quota, taken, clock_now_ns());
        return false;
    }
    *place = (struct stream_place){ .companion.leave = give_back, .quota = quota, .place = *taken };
    exchange->place = place;
    return true;
}

bool limits_take_place(struct exchange *exchange)
{
    const struct quota_caller caller = caller_of(exchange);
    struct quota_excess excess;
    struct quota_place taken;
    switch (quota_take_stream(exchange->front->services.quota, &caller, clock_now_ns(), &taken, &excess)) {
    case QUOTA_TAKEN:
        if (keep_place(exchange, &taken))
            return true;
        break;
    case QUOTA_LIMITED:
        limits_refuse(exchange, excess.limit, excess.retry_ms);
        return false;
    case QUOTA_NO_MEMORY:
        break;
    }
    stream_refuse(exchange, "no-memory");
    return false;
}

void limits_pass_place(struct exchange *exchange, struct subscriber *subscriber)
{
    if (!exchange->place)
        return;
    hub_accompany(subscriber, &exchange->place->companion);
    exchange->place = NULL;
}

void limits_drop_place(struct exchange *exchange)
{
    if (exchange->place)
        give_back(&exchange->place->companion);
    exchange->place = NULL;
}

/* --- publishing --- */

bool limits_take_publish(struct exchange *exchange, uint64_t events)
{
    const struct quota_caller caller = caller_of(exchange);
    struct quota_excess excess;
    switch (quota_take_publish(exchange->front->services.quota, &caller, events, clock_now_ns(), &excess)) {
    case QUOTA_TAKEN:
        return true;
    case QUOTA_LIMITED:
        limits_refuse(exchange, excess.limit, excess.retry_ms);
        return false;
    case QUOTA_NO_MEMORY:
        break;
    }
    exchange_answer_problem(exchange, 503, "Memory is short. Try again later.");
    return false;
}
