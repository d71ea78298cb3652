/*
 * Webhook sinks: made from the settings, and given the messages of their channels, which stay subscribed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consumers/sinks.h"
#include "gateway/gateway_state.h"
#include "gateway/settings_sinks.h"

#define ASK_AGAIN_S 5

struct gateway_sinks {
    struct sinks *sinks;
    struct event *ask_again; /* pending: Redis refused a channel, which its ACL may allow by then */
    char *instance;
    size_t count;
    struct sink_options *options;
    struct sink_keys **keys;
    char **groups; /* the names that the settings leave to us */
};

/*
 * The same after a restart, so that a gateway goes on with what it had; different from others'. The system
 * chooses the port 0, so many on one machine may have it.
 */
static char *instance_name(const struct settings *settings)
{
    char host[256] = "";
    char *name = NULL;
    size_t length = strlen(settings->listen);
    bool has_port = length < 2 || strcmp(settings->listen + length - 2, ":0") != 0;
    (void)gethostname(host, sizeof(host) - 1);
    int written = has_port ? asprintf(&name, "%s/%s", host, settings->listen)
                           : asprintf(&name, "%s/%s/%ld", host, settings->listen, (long)getpid());
    return written < 0 ? NULL : name;
}

/* False with a problem, or without when memory is short. */
static bool fill_options(struct gateway_sinks *all, size_t index, const struct sink_settings *sink,
                         char **ret_problem)
{
    struct buffer why = { 0 };
    if (!settings_sink_keys(sink, &all->keys[index], &why)) {
        if (asprintf(ret_problem, "the secret of the sink %s: %.*s", sink->name, (int)why.size,
                     why.data ? why.data : "out of memory") < 0)
            *ret_problem = NULL;
        buffer_free(&why);
        return false;
    }
    if (!*sink->group && asprintf(&all->groups[index], SINK_GROUP_PREFIX "%s", sink->name) < 0) {
        all->groups[index] = NULL;
        return false;
    }
    all->options[index] = (struct sink_options){
        .kind = *sink->stream ? SINK_STREAM : SINK_CHANNEL,
        .name = sink->name,
        .topic = *sink->stream ? sink->stream : sink->channel,
        .url = sink->url,
        .headers = sink->headers,
        .keys = all->keys[index],
        .instance = all->instance,
        .timeout_ms = sink->timeout_ms,
        .retries = sink->retries,
        .wait_first_ms = sink->backoff_ms,
        .wait_last_ms = sink->backoff_max_ms,
        .concurrency = sink->concurrency,
        .group = *sink->group ? sink->group : all->groups[index],
        .start = sink->start,
        .max_deliveries = sink->max_deliveries,
        .idle_ms = sink->idle_ms,
        .queue_max = sink->queue,
    };
    return true;
}

/* Clients that were refused come again by themselves; sinks have nobody else. */
static void on_ask_again(evutil_socket_t descriptor, short events, void *context)
{
    (void)descriptor;
    (void)events;
    struct gateway *gateway = context;
    if (feed_is_up(gateway->feed))
        gateway_sinks_feed_up(gateway);
}

bool gateway_build_sinks(struct gateway *gateway, char **ret_problem)
{
    const struct setting_records *records = &gateway->settings->sinks;
    const struct sink_settings *settings = records->items;
    if (records->count == 0)
        return true;
    struct gateway_sinks *all = gateway->sinks = calloc(1, sizeof(*all));
    if (!all)
        return false;
    all->ask_again = evtimer_new(gateway->base, on_ask_again, gateway);
    all->instance = instance_name(gateway->settings);
    all->options = calloc(records->count, sizeof(*all->options));
    all->keys = calloc(records->count, sizeof(struct sink_keys *));
    all->groups = calloc(records->count, sizeof(char *));
    all->count = records->count;
    if (!all->ask_again || !all->instance || !all->options || !all->keys || !all->groups)
        return false;
    for (size_t i = 0; i < records->count; i++)
        if (!fill_options(all, i, &settings[i], ret_problem))
            return false;
    const struct sinks_services services = {
        .base = gateway->base,
        .groups = gateway->groups,
        .commands = gateway->commands,
        .metrics = gateway->metrics,
        .log = gateway->log,
    };
    all->sinks = sinks_create(&services, all->options, all->count);
    return all->sinks != NULL;
}

/* ---- channels ---- */

void gateway_sinks_feed_up(struct gateway *gateway)
{
    size_t cursor = 0;
    const char *channel;
    if (!gateway->sinks || !gateway->sinks->sinks)
        return;
    while ((channel = sinks_next_channel(gateway->sinks->sinks, &cursor)) != NULL) {
        const struct dispatcher_wish wish = { .kind = TOPIC_CHANNEL,
                                              .interest = INTEREST_HUB,
                                              .name = channel,
                                              .length = strlen(channel),
                                              .generation = dispatcher_generation(gateway->dispatcher) };
        /* Nobody else would ask for it; once the link is made anew we are called again. */
        if (!dispatcher_want(gateway->dispatcher, gateway->port, &wish))
            feed_reset(gateway->feed, "memory is short");
    }
}

void gateway_sinks_commands_up(struct gateway *gateway)
{
    if (gateway->sinks && gateway->sinks->sinks)
        sinks_redis_up(gateway->sinks->sinks);
}

void gateway_sinks_message(struct gateway *gateway, enum feed_kind kind, const char *name, size_t length,
                           const char *payload, size_t payload_length)
{
    if (kind == FEED_CHANNEL && gateway->sinks && gateway->sinks->sinks)
        sinks_message(gateway->sinks->sinks, name, length, payload, payload_length);
}

void gateway_sinks_refused(struct gateway *gateway, enum feed_kind kind, const char *name, size_t length,
                           const char *problem)
{
    const struct timeval wait = { .tv_sec = ASK_AGAIN_S };
    if (kind != FEED_CHANNEL || !gateway->sinks || !gateway->sinks->sinks ||
        !sinks_want_channel(gateway->sinks->sinks, name, length))
        return;
    LOG_WARN(gateway->log, "redis refuses the channel of a sink", LOG_BYTES("channel", name, length),
             LOG_TEXT("problem", problem));
    if (evtimer_add(gateway->sinks->ask_again, &wait) != 0)
        feed_reset(gateway->feed, "memory is short");
}

/* ---- the end ---- */

void gateway_sinks_drain(struct gateway *gateway)
{
    if (gateway->sinks)
        sinks_drain(gateway->sinks->sinks);
}

size_t gateway_sinks_held(const struct gateway *gateway)
{
    return gateway->sinks ? sinks_held(gateway->sinks->sinks) : 0;
}

void gateway_sinks_stop(struct gateway *gateway)
{
    if (!gateway->sinks)
        return;
    sinks_stop(gateway->sinks->sinks);
    if (gateway->sinks->ask_again)
        event_del(gateway->sinks->ask_again);
}

void gateway_sinks_destroy(struct gateway *gateway)
{
    struct gateway_sinks *all = gateway->sinks;
    if (!all)
        return;
    sinks_destroy(all->sinks);
    if (all->ask_again)
        event_free(all->ask_again);
    for (size_t i = 0; i < all->count; i++) {
        if (all->keys)
            sink_keys_destroy(all->keys[i]);
        if (all->groups)
            free(all->groups[i]);
    }
    free(all->keys);
    free(all->groups);
    free(all->options);
    free(all->instance);
    free(all);
    gateway->sinks = NULL;
}
