/* Consumers of groups: what the tail knows of their streams. */
#include "gateway/gateway_state.h"

static bool watch(void *context, const char *stream, size_t length)
{
    struct gateway *gateway = context;
    return gateway->tail && tail_watch(gateway->tail, stream, length);
}

static void unwatch(void *context, const char *stream, size_t length)
{
    struct gateway *gateway = context;
    if (gateway->tail)
        tail_unwatch(gateway->tail, stream, length);
}

bool gateway_build_groups(struct gateway *gateway)
{
    const struct groups_source source = { .watch = watch, .unwatch = unwatch, .context = gateway };
    gateway->groups =
        groups_create(gateway->base, gateway->commands, &source, gateway->metrics, gateway->log);
    return gateway->groups != NULL;
}
