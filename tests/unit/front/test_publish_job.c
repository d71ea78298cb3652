#include "front/publish_job.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "fake_commands.h"
#include "front_text.h"

struct fixture {
    struct event_base *base;
    struct commands commands;
    struct metrics *metrics;
    unsigned done_count;
    /* Of the last job. */
    size_t count;
    unsigned statuses[4];
    struct publish_receipt receipts[4];
};

static void set_up(struct fixture *fixture)
{
    *fixture = (struct fixture){ .base = event_base_new(), .metrics = metrics_create() };
}

static void tear_down(struct fixture *fixture)
{
    fake_commands_clear(&fixture->commands);
    metrics_destroy(fixture->metrics);
    event_base_free(fixture->base);
}

static void on_done(void *context, const struct publish_body *body, const struct publish_receipt *receipts)
{
    struct fixture *fixture = context;
    fixture->done_count++;
    fixture->count = body->count;
    for (size_t i = 0; i < body->count && i < 4; i++) {
        fixture->statuses[i] = body->items[i].problem.status;
        fixture->receipts[i] = receipts[i];
    }
}

static struct publish_job *start(struct fixture *fixture, const char *json)
{
    const struct publish_limits limits = { .items_max = 4, .maxlen_default = 100 };
    const struct publish_job_options options = { .base = fixture->base,
                                                 .commands = &fixture->commands,
                                                 .metrics = fixture->metrics,
                                                 .idempotency_window_ms = 600000 };
    struct publish_body body;
    struct problem problem;
    cr_assert(publish_body_parse(PUBLISH_BODY_JSON, text_of(json, strlen(json)), (struct text){ 0 }, &limits,
                                 &body, &problem),
              "%s", problem.detail);
    struct publish_job *job = publish_job_start(&options, &body, on_done, fixture);
    cr_assert_not_null(job);
    return job;
}

static void answer(struct fixture *fixture, size_t index, enum commands_status status, struct reply reply)
{
    struct fake_request *request = &fixture->commands.requests[index];
    request->done(request->context, status, &reply);
}

static void answer_error(struct fixture *fixture, size_t index, const char *text)
{
    answer(fixture, index, COMMANDS_ERROR,
           (struct reply){ .kind = REPLY_ERROR, .text = text, .text_length = strlen(text) });
}

static struct reply text_reply(const char *text)
{
    return (struct reply){ .kind = REPLY_TEXT, .text = text, .text_length = strlen(text) };
}

static struct reply number_reply(int64_t number)
{
    return (struct reply){ .kind = REPLY_INTEGER, .integer = number };
}

static void answer_published(struct fixture *fixture, size_t index, int64_t receivers, const char *id)
{
    const struct reply elements[] = { number_reply(0), number_reply(receivers), text_reply(id) };
    answer(fixture, index, COMMANDS_OK,
           (struct reply){ .kind = REPLY_ARRAY, .count = 3, .elements = elements });
}

static void answer_receipt(struct fixture *fixture, size_t index, const char *receipt)
{
    const struct reply elements[] = { number_reply(1), text_reply(receipt) };
    answer(fixture, index, COMMANDS_OK,
           (struct reply){ .kind = REPLY_ARRAY, .count = 2, .elements = elements });
}

static void check_arguments(const struct fake_request *request, const char *const *expected, int count)
{
    cr_assert_eq(request->count, count);
    for (int i = 0; i < count; i++)
        if (expected[i])
            cr_assert_str_eq(request->arguments[i], expected[i], "argument %d", i);
}
#define CHECK_ARGUMENTS(request, ...)                                                                        \
    do {                                                                                                     \
        const char *const expected[] = { __VA_ARGS__ };                                                      \
        check_arguments((request), expected, (int)(sizeof(expected) / sizeof(expected[0])));                 \
    } while (0)

Test(publish_job, a_channel_is_a_plain_publish)
{
    struct fixture fixture;
    set_up(&fixture);
    start(&fixture, "{\"channel\":\"a\",\"payload\":{\"n\": 1}}");
    cr_assert(!fixture.commands.requests[0].is_script);
    CHECK_ARGUMENTS(&fixture.commands.requests[0], "PUBLISH", "a", "{\"n\":1}");
    cr_assert_eq(fixture.done_count, 0);
    answer(&fixture, 0, COMMANDS_OK, number_reply(3));
    cr_assert_eq(fixture.done_count, 1);
    cr_assert_eq(fixture.statuses[0], 0);
    cr_assert_eq(fixture.receipts[0].receivers, 3);
    cr_assert_eq(fixture.metrics->events_published, 1);
    tear_down(&fixture);
}

Test(publish_job, an_event_goes_to_its_live_channel)
{
    struct fixture fixture;
    set_up(&fixture);
    start(&fixture, "{\"event\":\"e\",\"payload\":1}");
    CHECK_ARGUMENTS(&fixture.commands.requests[0], "PUBLISH", "live:e", "1");
    answer(&fixture, 0, COMMANDS_OK, number_reply(0));
    cr_assert_eq(fixture.done_count, 1);
    tear_down(&fixture);
}

Test(publish_job, a_stream_is_a_script_with_a_token_as_its_key)
{
    struct fixture fixture;
    set_up(&fixture);
    start(&fixture, "{\"stream\":\"s\",\"channel\":\"c\",\"payload\":{\"a\":\"x\",\"b\":2}}");
    const struct fake_request *request = &fixture.commands.requests[0];
    cr_assert(request->is_script);
    cr_assert_eq(request->key_count, 2);
    CHECK_ARGUMENTS(request, NULL, "s", "60000", NULL, "100", "0", "2", "a", "x", "b", "2", "c", "0",
                    "{\"a\":\"x\",\"b\":2}", "");
    cr_assert_eq(strncmp(request->arguments[0], "sluice:idempotency:", 19), 0);
    cr_assert_str_eq(request->arguments[0] + 19, request->arguments[3]);
    answer_published(&fixture, 0, 5, "1-2");
    cr_assert_str_eq(fixture.receipts[0].id, "1-2");
    cr_assert_eq(fixture.receipts[0].receivers, 5);
    cr_assert(!fixture.receipts[0].duplicate);
    tear_down(&fixture);
}

Test(publish_job, a_critical_event_carries_the_entrys_id)
{
    struct fixture fixture;
    set_up(&fixture);
    start(&fixture, "{\"event\":\"e\",\"critical\":true,\"id\":\"k\",\"payload\":{\"a\":1}}");
    CHECK_ARGUMENTS(&fixture.commands.requests[0], "sluice:idempotency:k", "events:e", "600000", NULL, "100",
                    "0", "1", "a", "1", "live:e", "1", "{\"id\":\"", "\",\"a\":1}");
    answer_published(&fixture, 0, 0, "1-0");
    start(&fixture, "{\"event\":\"e\",\"critical\":true,\"payload\":{\"id\":7}}");
    CHECK_ARGUMENTS(&fixture.commands.requests[1], NULL, "events:e", "60000", NULL, "100", "0", "1", "id",
                    "7", "live:e", "1", "{\"entryId\":\"", "\",\"id\":7}");
    answer_published(&fixture, 1, 0, "1-1");
    tear_down(&fixture);
}

Test(publish_job, a_receipt_of_somebody_else_is_a_duplicate)
{
    struct fixture fixture;
    set_up(&fixture);
    start(&fixture, "{\"channel\":\"c\",\"id\":\"k\",\"payload\":1}");
    answer_receipt(&fixture, 0, "0123456789abcdef 4 9-1");
    cr_assert(fixture.receipts[0].duplicate);
    cr_assert_str_eq(fixture.receipts[0].id, "9-1");
    cr_assert_eq(fixture.receipts[0].receivers, 4);
    cr_assert_eq(fixture.metrics->events_duplicate, 1);
    cr_assert_eq(fixture.metrics->events_published, 0);
    tear_down(&fixture);
}

Test(publish_job, nonsense_from_redis_is_an_error)
{
    static const char *const receipts[] = { "", "x", "token", "token x 1-0", "token 1" };
    struct fixture fixture;
    set_up(&fixture);
    for (size_t i = 0; i < sizeof(receipts) / sizeof(receipts[0]); i++) {
        start(&fixture, "{\"channel\":\"c\",\"id\":\"k\",\"payload\":1}");
        answer_receipt(&fixture, i, receipts[i]);
        cr_assert_eq(fixture.statuses[0], 503, "%s", receipts[i]);
    }
    tear_down(&fixture);
}

Test(publish_job, refusals_are_final)
{
    struct fixture fixture;
    set_up(&fixture);
    start(&fixture, "{\"stream\":\"s\",\"payload\":{\"a\":1}}");
    answer_error(&fixture, 0, "WRONGTYPE Operation against a key holding the wrong kind of value");
    cr_assert_eq(fixture.statuses[0], 422);
    start(&fixture, "{\"channel\":\"c\",\"payload\":1}");
    answer_error(&fixture, 1, "NOPERM no permissions");
    cr_assert_eq(fixture.statuses[0], 503);
    start(&fixture, "{\"channel\":\"c\",\"payload\":1}");
    answer_error(&fixture, 2, "ERR unknown command");
    cr_assert_eq(fixture.statuses[0], 503);
    cr_assert_eq(fixture.metrics->publish_failed, 3);
    cr_assert_eq(fixture.metrics->publish_retries, 0);
    tear_down(&fixture);
}

/* Takes one second: the first repetition's wait. */
Test(publish_job, what_passes_is_tried_again_with_the_same_token)
{
    struct fixture fixture;
    set_up(&fixture);
    start(&fixture, "{\"stream\":\"s\",\"payload\":{\"a\":1}}");
    answer(&fixture, 0, COMMANDS_UNCERTAIN, (struct reply){ .kind = REPLY_NIL });
    cr_assert_eq(fixture.done_count, 0);
    cr_assert_eq(fixture.metrics->publish_retries, 1);
    event_base_dispatch(fixture.base);
    cr_assert_eq(fixture.commands.count, 2);
    const char *token = fixture.commands.requests[1].arguments[3];
    cr_assert_str_eq(token, fixture.commands.requests[0].arguments[3]);
    /* The first attempt had been executed after all: that is no duplicate. */
    char receipt[64];
    snprintf(receipt, sizeof(receipt), "%s 2 5-0", token);
    answer_receipt(&fixture, 1, receipt);
    cr_assert_eq(fixture.statuses[0], 0);
    cr_assert(!fixture.receipts[0].duplicate);
    cr_assert_str_eq(fixture.receipts[0].id, "5-0");
    tear_down(&fixture);
}

Test(publish_job, an_array_ends_when_all_have_ended)
{
    struct fixture fixture;
    set_up(&fixture);
    start(&fixture, "[{\"channel\":\"a\",\"payload\":1},{\"payload\":1},{\"channel\":\"b\",\"payload\":2}]");
    cr_assert_eq(fixture.commands.count, 2);
    cr_assert_str_eq(fixture.commands.requests[0].arguments[1], "a");
    cr_assert_str_eq(fixture.commands.requests[1].arguments[1], "b");
    answer(&fixture, 1, COMMANDS_OK, number_reply(1));
    cr_assert_eq(fixture.done_count, 0);
    answer_error(&fixture, 0, "ERR no");
    cr_assert_eq(fixture.done_count, 1);
    cr_assert_eq(fixture.statuses[0], 503);
    cr_assert_eq(fixture.statuses[1], 400);
    cr_assert_eq(fixture.statuses[2], 0);
    tear_down(&fixture);
}

Test(publish_job, nothing_to_send_ends_from_the_loop)
{
    struct fixture fixture;
    set_up(&fixture);
    start(&fixture, "[]");
    cr_assert_eq(fixture.done_count, 0);
    event_base_loop(fixture.base, EVLOOP_NONBLOCK);
    cr_assert_eq(fixture.done_count, 1);
    cr_assert_eq(fixture.count, 0);
    start(&fixture, "[7]");
    event_base_loop(fixture.base, EVLOOP_NONBLOCK);
    cr_assert_eq(fixture.done_count, 2);
    cr_assert_eq(fixture.statuses[0], 400);
    tear_down(&fixture);
}

Test(publish_job, abandoned_jobs_end_unseen)
{
    struct fixture fixture;
    set_up(&fixture);
    struct publish_job *in_flight = start(&fixture, "{\"channel\":\"c\",\"payload\":1}");
    publish_job_abandon(in_flight);
    answer(&fixture, 0, COMMANDS_OK, number_reply(1));

    struct publish_job *waiting = start(&fixture, "{\"channel\":\"c\",\"payload\":1}");
    answer(&fixture, 1, COMMANDS_UNSENT, (struct reply){ .kind = REPLY_NIL });
    publish_job_abandon(waiting);

    struct publish_job *empty = start(&fixture, "[]");
    publish_job_abandon(empty);

    fixture.commands.refuses = true;
    struct publish_job *unsent = start(&fixture, "{\"channel\":\"c\",\"payload\":1}");
    publish_job_abandon(unsent);

    event_base_loop(fixture.base, EVLOOP_NONBLOCK);
    cr_assert_eq(fixture.done_count, 0);
    tear_down(&fixture);
}
