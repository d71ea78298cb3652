/* What the records of each list hold. */
#include "consumers/sink_options.h"
#include "gateway/settings_table.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* clang-format off: a table reads as a table */
#define FIELD(field) .offset = offsetof(struct stream_settings, field)
static const struct setting stream_fields[] = {
    { .name = "name", .kind = SETTING_TEXT, .fallback = "", FIELD(name), .required = true },
    { .name = "maxlen", .kind = SETTING_COUNT, .fallback = "0", FIELD(maxlen), .maximum = 1000000000 },
    { .name = "groups", .kind = SETTING_LIST, .fallback = "", FIELD(groups), .check = settings_check_names },
};
#undef FIELD

static const char *const starts[] = { [GROUP_START_NEW] = "new", [GROUP_START_ALL] = "all", NULL };

#define FIELD(field) .offset = offsetof(struct sink_settings, field)
static const struct setting sink_fields[] = {
    { .name = "name", .kind = SETTING_TEXT, .fallback = "", FIELD(name), .required = true, .check = settings_check_sink_name },
    { .name = "stream", .kind = SETTING_TEXT, .fallback = "", FIELD(stream), .check = settings_check_sink_topic },
    { .name = "channel", .kind = SETTING_TEXT, .fallback = "", FIELD(channel), .check = settings_check_sink_topic },
    { .name = "url", .kind = SETTING_TEXT, .fallback = "", FIELD(url), .required = true, .check = settings_check_sink_url, .secret_path = true },
    { .name = "group", .kind = SETTING_TEXT, .fallback = "", FIELD(group), .check = settings_check_sink_topic },
    { .name = "start", .kind = SETTING_CHOICE, .fallback = "new", FIELD(start), .choices = starts },
    { .name = "headers", .kind = SETTING_PAIRS, .fallback = "", FIELD(headers), .check = settings_check_sink_headers, .secret = true },
    { .name = "secret", .kind = SETTING_TEXT, .fallback = "", FIELD(secret), .check = settings_check_sink_secret, .secret = true },
    { .name = "secret_file", .kind = SETTING_TEXT, .fallback = "", FIELD(secret_file), .check = settings_check_sink_secret_file },
    { .name = "timeout", .kind = SETTING_DURATION, .fallback = "10s", FIELD(timeout_ms), .minimum = 10, .maximum = 600000 },
    { .name = "retries", .kind = SETTING_COUNT, .fallback = "5", FIELD(retries), .maximum = SINK_RETRIES_MAX },
    { .name = "backoff", .kind = SETTING_DURATION, .fallback = "1s", FIELD(backoff_ms), .minimum = 10, .maximum = 600000 },
    { .name = "backoff_max", .kind = SETTING_DURATION, .fallback = "60s", FIELD(backoff_max_ms), .minimum = 10, .maximum = 3600000 },
    { .name = "concurrency", .kind = SETTING_COUNT, .fallback = "4", FIELD(concurrency), .minimum = 1, .maximum = SINK_CONCURRENCY_MAX },
    { .name = "max_deliveries", .kind = SETTING_COUNT, .fallback = "5", FIELD(max_deliveries), .minimum = 1, .maximum = GROUP_DELIVERIES_MAX },
    { .name = "idle", .kind = SETTING_DURATION, .fallback = "60s", FIELD(idle_ms), .minimum = SINK_IDLE_MS_MIN, .maximum = GROUP_IDLE_MS_MAX },
    { .name = "queue", .kind = SETTING_COUNT, .fallback = "1000", FIELD(queue), .minimum = 1, .maximum = SINK_QUEUE_MAX },
};
#undef FIELD
/* clang-format on */

const struct setting_record settings_stream_record = {
    .fields = stream_fields,
    .field_count = COUNT_OF(stream_fields),
    .size = sizeof(struct stream_settings),
    .first_alone = true,
    .first_unique = true,
};

const struct setting_record settings_sink_record = {
    .fields = sink_fields,
    .field_count = COUNT_OF(sink_fields),
    .size = sizeof(struct sink_settings),
    .first_unique = true,
    .check = settings_check_sink,
};
