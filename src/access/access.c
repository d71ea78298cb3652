#include "access/access.h"

#include <stdlib.h>

struct access {
    bool open;
};

struct access *access_create(struct event_base *base, const struct access_options *options,
                             const struct access_bindings *bindings, struct metrics *metrics, struct log *log,
                             char **ret_problem)
{
    (void)base;
    (void)bindings;
    (void)metrics;
    (void)log;
    *ret_problem = NULL;
    struct access *access = calloc(1, sizeof(*access));
    if (access)
        access->open = options->open;
    return access;
}

void access_destroy(struct access *access)
{
    free(access);
}

bool access_is_open(const struct access *access)
{
    return access->open;
}
