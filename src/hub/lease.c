#include "hub/lease.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct lease *lease_create(const struct lease_terms *terms)
{
    if (terms->subject_length > UINT16_MAX || terms->stream_length > UINT16_MAX)
        return NULL;
    struct lease *lease = malloc(sizeof *lease + terms->subject_length + terms->stream_length);
    if (!lease)
        return NULL;
    *lease = (struct lease){ .expires_ms = terms->expires_ms,
                             .known_ms = terms->known_ms ? terms->known_ms : clock_now_ms(),
                             .credential = terms->credential,
                             .subject_length = (uint16_t)terms->subject_length,
                             .stream_length = (uint16_t)terms->stream_length };
    if (terms->subject_length)
        memcpy(lease->text, terms->subject, terms->subject_length);
    if (terms->stream_length)
        memcpy(lease->text + terms->subject_length, terms->stream, terms->stream_length);
    return lease;
}

void lease_destroy(struct lease *lease)
{
    if (!lease)
        return;
    list_remove(&lease->node);
    free(lease);
}
