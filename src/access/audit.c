#include "access/audit.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define FIELDS_MAX 12
/* A path or a topic that is longer says no more about who it was. */
#define TEXT_BYTES_MAX 256

struct audit {
    uint64_t lines_per_second_max;
    struct metrics *metrics;
    struct log *log;
    uint64_t second_start_ns;
    uint64_t lines; /* written in this second */
    uint64_t left_out;
};

struct audit *audit_create(uint64_t lines_per_second_max, struct metrics *metrics, struct log *log)
{
    struct audit *audit = calloc(1, sizeof *audit);
    if (!audit)
        return NULL;
    audit->lines_per_second_max = lines_per_second_max;
    audit->metrics = metrics;
    audit->log = log;
    return audit;
}

void audit_destroy(struct audit *audit)
{
    free(audit);
}

static void report_left_out(struct audit *audit)
{
    if (audit->left_out > 0)
        LOG_WARN(audit->log, "access refusals not logged one by one", LOG_NUMBER("count", audit->left_out));
    audit->left_out = 0;
}

/* A new second gives room for new lines. */
static void turn_second(struct audit *audit)
{
    uint64_t now_ns = clock_now_ns();
    if (audit->second_start_ns != 0 && now_ns < audit->second_start_ns + CLOCK_NS_PER_SECOND)
        return;
    report_left_out(audit);
    audit->second_start_ns = now_ns;
    audit->lines = 0;
}

static struct log_field text_field(const char *name, struct audit_text text)
{
    /* Present but empty is worth seeing: a token with "sub": "". */
    return log_bytes(name, text.bytes, text.length < TEXT_BYTES_MAX ? text.length : TEXT_BYTES_MAX);
}

static size_t fill_fields(struct log_field *fields, const struct audit_entry *entry)
{
    size_t count = 0;
    fields[count++] = text_field("subject", entry->subject);
    fields[count++] = text_field("key", entry->key);
    fields[count++] = log_text("action", entry->action);
    fields[count++] = text_field("topic", entry->topic);
    fields[count++] = log_text("method", entry->method);
    fields[count++] = text_field("path", entry->path);
    fields[count++] = text_field("peer", entry->peer);
    fields[count++] = log_text("detail", entry->detail);
    return count;
}

void audit_refusal(struct audit *audit, enum refusal_reason reason, const struct audit_entry *entry)
{
    audit->metrics->access_refused[reason]++;
    turn_second(audit);
    if (audit->lines >= audit->lines_per_second_max) {
        audit->left_out++;
        audit->metrics->audit_left_out++;
        return;
    }
    audit->lines++;
    struct log_field fields[FIELDS_MAX];
    fields[0] = log_text("reason", refusal_reason_name(reason));
    log_event(audit->log, LOG_LEVEL_WARN, "access refused", fields, 1 + fill_fields(fields + 1, entry));
}

void audit_act(struct audit *audit, const struct audit_entry *entry, uint64_t count)
{
    audit->metrics->admin_acts++;
    struct log_field fields[FIELDS_MAX];
    size_t field_count = fill_fields(fields, entry);
    fields[field_count++] = log_number("count", (int64_t)count);
    log_event(audit->log, LOG_LEVEL_WARN, "admin act", fields, field_count);
}

void audit_sweep(struct audit *audit)
{
    turn_second(audit);
}
