#include "hub/hub_revoke.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "hub/hub_state.h"
#include "hub/lease.h"

static bool is_of(const struct lease *lease, const char *subject, size_t length)
{
    return lease->subject_length == length && memcmp(lease->text, subject, length) == 0;
}

/* ---- the end ---- */

static void note(struct hub *hub, const char *subject, size_t length)
{
    struct revocation *revocation = &hub->revocations[hub->revocation_count++ % HUB_REVOCATIONS];
    free(revocation->subject);
    *revocation =
        (struct revocation){ .subject = strndup(subject, length), .length = length, .ms = clock_now_ms() };
}

/* One that was forgotten, for there were too many or memory was short, counts as everybody's. */
bool hub_is_revoked(const struct hub *hub, const struct lease *lease)
{
    uint64_t kept = hub->revocation_count < HUB_REVOCATIONS ? hub->revocation_count : HUB_REVOCATIONS;
    for (uint64_t i = 1; i <= kept; i++) {
        const struct revocation *revocation =
            &hub->revocations[(hub->revocation_count - i) % HUB_REVOCATIONS];
        if (revocation->ms < lease->known_ms)
            return false;
        if (!revocation->subject || is_of(lease, revocation->subject, revocation->length))
            return true;
    }
    return hub->revocation_count > HUB_REVOCATIONS;
}

void hub_forget_revocations(struct hub *hub)
{
    for (size_t i = 0; i < HUB_REVOCATIONS; i++)
        free(hub->revocations[i].subject);
}

struct subject {
    const char *bytes;
    size_t length;
};

static bool is_another(void *context, const struct lease *lease, const struct topic_name *topic)
{
    const struct subject *subject = context;
    (void)topic;
    return !is_of(lease, subject->bytes, subject->length);
}

size_t hub_revoke(struct hub *hub, const char *subject, size_t length)
{
    struct subject whose = { subject, length };
    if (length == 0)
        return 0;
    note(hub, subject, length);
    size_t ended = hub_review(hub, is_another, HUB_REVOKED_REASON, &whose);
    hub->metrics->streams_revoked += ended;
    return ended;
}

/* ---- who is there ---- */

struct subject_count {
    const struct lease *lease; /* one of theirs */
    uint64_t streams;
};

static void count_stream(struct map *subjects, const struct lease *lease)
{
    struct subject_count *count = map_get(subjects, lease->text, lease->subject_length);
    if (!count) {
        count = calloc(1, sizeof *count);
        if (!count)
            return;
        count->lease = lease;
        if (!map_put(subjects, lease->text, lease->subject_length, count)) {
            free(count);
            return;
        }
    }
    count->streams++;
}

void hub_append_subjects(const struct hub *hub, size_t subjects_max, struct buffer *out)
{
    struct map *subjects = map_create();
    uint64_t streams = 0, unnamed = 0;
    out->failed |= !subjects;
    for (unsigned number = 0; subjects && number < HEARTBEAT_SLOTS; number++) {
        const struct heartbeat_slot *slot = &hub->heartbeat.slots[number];
        for (uint32_t i = 0; i < slot->count; i++) {
            const struct lease *lease = slot->subscribers[i]->lease;
            streams++;
            if (lease && lease->subject_length > 0)
                count_stream(subjects, lease);
            else
                unnamed++;
        }
    }
    buffer_append_text(out, "{\"streams\":");
    buffer_append_unsigned(out, streams);
    buffer_append_text(out, ",\"unnamed\":");
    buffer_append_unsigned(out, unnamed);
    buffer_append_text(out, ",\"subjects\":{");
    size_t cursor = 0, written = 0;
    struct subject_count *count;
    while (subjects && (count = map_next(subjects, &cursor)) != NULL) {
        if (written++ < subjects_max) {
            buffer_append_text(out, written > 1 ? "," : "");
            buffer_append_json_string(out, count->lease->text, count->lease->subject_length);
            buffer_append_byte(out, ':');
            buffer_append_unsigned(out, count->streams);
        }
        free(count);
    }
    buffer_append_text(out, "}}");
    map_destroy(subjects);
}
