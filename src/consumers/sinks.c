#include "consumers/sinks.h"

#include <stdlib.h>
#include <string.h>

#include "consumers/sink_channel.h"
#include "consumers/sink_series.h"
#include "consumers/sink_stream.h"

struct sink {
    const struct sink_options *options;
    struct sink_stream *stream; /* one of the two */
    struct sink_channel *channel;
    struct sink_figures figures;
};

struct sinks {
    struct sink_series series;
    size_t count;
    struct sink items[];
};

static bool create_sink(struct sink *sink, const struct sinks_services *services)
{
    if (sink->options->kind == SINK_STREAM)
        sink->stream = sink_stream_create(services->base, sink->options, services->groups, &sink->figures,
                                          services->log);
    else
        sink->channel = sink_channel_create(services->base, sink->options, services->commands, &sink->figures,
                                            services->log);
    return sink->stream || sink->channel;
}

struct sinks *sinks_create(const struct sinks_services *services, const struct sink_options *options,
                           size_t count)
{
    struct sinks *sinks = calloc(1, sizeof(*sinks) + count * sizeof(sinks->items[0]));
    if (!sinks)
        return NULL;
    bool is_complete = sink_series_create(&sinks->series, services->metrics, count);
    for (; is_complete && sinks->count < count; sinks->count++) {
        struct sink *sink = &sinks->items[sinks->count];
        sink->options = &options[sinks->count];
        is_complete = create_sink(sink, services);
        sink_series_add(&sinks->series, sink->options->name, &sink->figures);
    }
    if (is_complete)
        return sinks;
    sinks_stop(sinks);
    sinks_destroy(sinks);
    return NULL;
}

void sinks_redis_up(struct sinks *sinks)
{
    for (size_t i = 0; i < sinks->count; i++)
        if (sinks->items[i].channel)
            sink_channel_redis_up(sinks->items[i].channel);
}

/* ---- channels ---- */

const char *sinks_next_channel(const struct sinks *sinks, size_t *cursor)
{
    while (*cursor < sinks->count) {
        const struct sink *sink = &sinks->items[(*cursor)++];
        if (sink->channel)
            return sink->options->topic;
    }
    return NULL;
}

static bool is_of_channel(const struct sink *sink, const char *channel, size_t length)
{
    return sink->channel && strlen(sink->options->topic) == length &&
           memcmp(sink->options->topic, channel, length) == 0;
}

bool sinks_want_channel(const struct sinks *sinks, const char *channel, size_t length)
{
    for (size_t i = 0; i < sinks->count; i++)
        if (is_of_channel(&sinks->items[i], channel, length))
            return true;
    return false;
}

void sinks_message(struct sinks *sinks, const char *channel, size_t length, const char *payload,
                   size_t payload_length)
{
    for (size_t i = 0; i < sinks->count; i++)
        if (is_of_channel(&sinks->items[i], channel, length))
            sink_channel_message(sinks->items[i].channel, payload, payload_length);
}

/* ---- the end ---- */

void sinks_drain(struct sinks *sinks)
{
    for (size_t i = 0; i < sinks->count; i++) {
        if (sinks->items[i].stream)
            sink_stream_drain(sinks->items[i].stream);
        if (sinks->items[i].channel)
            sink_channel_drain(sinks->items[i].channel);
    }
}

size_t sinks_held(const struct sinks *sinks)
{
    size_t held = 0;
    for (size_t i = 0; i < sinks->count; i++)
        held += sinks->items[i].figures.held;
    return held;
}

void sinks_stop(struct sinks *sinks)
{
    if (!sinks)
        return;
    for (size_t i = 0; i < sinks->count; i++) {
        if (sinks->items[i].stream)
            sink_stream_stop(sinks->items[i].stream);
        if (sinks->items[i].channel)
            sink_channel_stop(sinks->items[i].channel);
    }
}

void sinks_destroy(struct sinks *sinks)
{
    if (!sinks)
        return;
    sink_series_clear(&sinks->series);
    for (size_t i = 0; i < sinks->count; i++) {
        sink_stream_destroy(sinks->items[i].stream);
        sink_channel_destroy(sinks->items[i].channel);
    }
    free(sinks);
}
