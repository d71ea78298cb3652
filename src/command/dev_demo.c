#include "command/dev_demo.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/random.h"

#define TICK_MS 200
#define BATCHES 4
#define SNAPSHOT_KEPT_MS "3600000"

struct demo_batch {
    const char *id;
    const char *name;
    unsigned total;
    unsigned step_max; /* items done in one tick, at most */
    unsigned done;
    unsigned failed;
    const char *outcome; /* what it will end as; NULL: it rests */
    unsigned rest_ticks; /* until it begins anew */
};

struct dev_demo {
    struct commands *commands;
    struct event *timer;
    struct demo_batch batches[BATCHES];
    uint64_t event_number;
};

/* Nobody waits for the demo's receipts. */
static void on_done(void *context, enum commands_status status, const struct reply *reply)
{
    (void)context;
    (void)status;
    (void)reply;
}

static void append_now(struct buffer *out)
{
    uint64_t now_ms = clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm parts;
    char text[40];
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
    buffer_printf(out, "\"%s.%03uZ\"", text, (unsigned)(now_ms % 1000));
}

/* ---- batches ---- */

static void begin(struct demo_batch *batch)
{
    uint64_t luck = random_between(1, 100);
    batch->outcome = luck <= 75 ? "COMPLETED" : luck <= 90 ? "PARTIAL" : "FAILED";
    batch->done = 0;
    batch->failed = 0;
}

static const char *status_of(const struct demo_batch *batch)
{
    return batch->rest_ticks > 0 ? batch->outcome : "RUNNING";
}

static void append_snapshot(const struct demo_batch *batch, struct buffer *out)
{
    const char *status = status_of(batch);
    unsigned handled = batch->done + batch->failed;
    buffer_printf(out, "{\"batchId\":\"%s\",\"name\":\"%s\",\"status\":\"%s\",\"progress\":%u,", batch->id,
                  batch->name, status, handled * 100 / batch->total);
    buffer_printf(out, "\"counts\":{\"total\":%u,\"done\":%u,\"failed\":%u},", batch->total, batch->done,
                  batch->failed);
    if (strcmp(status, "RUNNING") == 0)
        buffer_printf(out, "\"message\":\"%u of %u\",", handled, batch->total);
    else
        buffer_printf(out, "\"message\":\"%s\",",
                      strcmp(status, "FAILED") == 0 ? "the printer is out of paper" : "finished");
    buffer_append_text(out, "\"updatedAt\":");
    append_now(out);
    buffer_append_byte(out, '}');
}

/* As a worker does it: the snapshot is set and told in one transaction. */
static void publish_snapshot(struct dev_demo *demo, const struct demo_batch *batch)
{
    char key[64], channel[64];
    struct buffer value = { 0 };
    snprintf(key, sizeof(key), "batch:progress:%s", batch->id);
    snprintf(channel, sizeof(channel), "batch:%s", batch->id);
    append_snapshot(batch, &value);
    const char *set[] = { "SET", key, value.data, "PX", SNAPSHOT_KEPT_MS };
    const char *publish[] = { "PUBLISH", channel, value.data };
    size_t set_lengths[] = { 3, strlen(key), value.size, 2, strlen(SNAPSHOT_KEPT_MS) };
    size_t publish_lengths[] = { 7, strlen(channel), value.size };
    struct command commands[] = {
        { .count = 5, .arguments = set, .lengths = set_lengths },
        { .count = 3, .arguments = publish, .lengths = publish_lengths },
    };
    if (!value.failed)
        commands_send(demo->commands, commands, 2, on_done, NULL);
    buffer_free(&value);
}

static void move_on(struct dev_demo *demo, struct demo_batch *batch)
{
    if (batch->rest_ticks > 0) {
        if (--batch->rest_ticks > 0)
            return;
        begin(batch);
        publish_snapshot(demo, batch);
        return;
    }
    if (random_between(0, 2) == 0)
        return; /* workers are not metronomes */
    unsigned left = batch->total - batch->done - batch->failed;
    unsigned step = (unsigned)random_between(1, batch->step_max);
    if (step > left)
        step = left;
    bool goes_well = strcmp(batch->outcome, "COMPLETED") == 0 || random_between(1, 8) > 1;
    *(goes_well ? &batch->done : &batch->failed) += step;
    bool is_broken = strcmp(batch->outcome, "FAILED") == 0 && batch->done > batch->total / 2;
    if (step == left || is_broken) {
        if (strcmp(batch->outcome, "PARTIAL") == 0 && batch->failed == 0)
            batch->outcome = "COMPLETED";
        batch->rest_ticks = (unsigned)random_between(4000, 8000) / TICK_MS;
    }
    publish_snapshot(demo, batch);
}

/* ---- events ---- */

static void publish_event(struct dev_demo *demo)
{
    static const char *const kinds[] = { "order.created", "order.paid", "order.shipped", "stock.low",
                                         "user.joined" };
    struct buffer payload = { 0 };
    uint64_t number = ++demo->event_number;
    buffer_printf(&payload, "{\"number\":%" PRIu64 ",\"kind\":\"%s\",\"amount\":%u.%02u,\"at\":", number,
                  kinds[random_between(0, sizeof(kinds) / sizeof(kinds[0]) - 1)],
                  (unsigned)random_between(1, 400), (unsigned)random_between(0, 99));
    append_now(&payload);
    buffer_append_byte(&payload, '}');
    const char *arguments[] = { "PUBLISH", "demo:events", payload.data };
    size_t lengths[] = { 7, 11, payload.size };
    struct command command = { .count = 3, .arguments = arguments, .lengths = lengths };
    if (!payload.failed)
        commands_send(demo->commands, &command, 1, on_done, NULL);
    buffer_free(&payload);
}

/* ---- time ---- */

static void on_tick(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct dev_demo *demo = context;
    if (!commands_is_up(demo->commands))
        return;
    for (size_t i = 0; i < BATCHES; i++)
        move_on(demo, &demo->batches[i]);
    if (random_between(0, 1) == 0)
        publish_event(demo);
}

struct dev_demo *dev_demo_create(struct event_base *base, struct commands *commands)
{
    static const struct demo_batch batches[BATCHES] = {
        { .id = "demo-1", .name = "Invoices of November", .total = 60, .step_max = 2 },
        { .id = "demo-2", .name = "Thumbnails", .total = 480, .step_max = 12 },
        { .id = "demo-3", .name = "Newsletter", .total = 2500, .step_max = 40 },
        { .id = "demo-4", .name = "Address check", .total = 150, .step_max = 7 },
    };
    struct timeval tick = { .tv_usec = TICK_MS * 1000 };
    struct dev_demo *demo = calloc(1, sizeof(*demo));
    if (!demo)
        return NULL;
    demo->commands = commands;
    memcpy(demo->batches, batches, sizeof(batches));
    for (size_t i = 0; i < BATCHES; i++)
        begin(&demo->batches[i]);
    demo->timer = event_new(base, -1, EV_PERSIST, on_tick, demo);
    if (!demo->timer || event_add(demo->timer, &tick) != 0) {
        dev_demo_destroy(demo);
        return NULL;
    }
    return demo;
}

void dev_demo_destroy(struct dev_demo *demo)
{
    if (!demo)
        return;
    if (demo->timer)
        event_free(demo->timer);
    free(demo);
}
