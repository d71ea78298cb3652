/* What the records of each list hold. */
#include "consumers/sink_options.h"
#include "gateway/settings_table.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MINUTE_MS UINT64_C(60000)

#define FIELD(field) .offset = offsetof(struct stream_settings, field)
static const struct setting stream_fields[] = {
    { .name = "name", .kind = SETTING_TEXT, .fallback = "", FIELD(name), .required = true },
    { .name = "maxlen", .kind = SETTING_COUNT, .fallback = "0", FIELD(maxlen), .maximum = 1000000000 },
    { .name = "groups", .kind = SETTING_LIST, .fallback = "", FIELD(groups), .check = settings_check_names },
};
#undef FIELD

static const char *const starts[] = { [GROUP_START_NEW] = "new", [GROUP_START_ALL] = "all", NULL };

#define FIELD(field) .offset = offsetof(struct sink_settings, field)
#define TEXT(key) .name = #key, .kind = SETTING_TEXT, .fallback = "", FIELD(key)
#define NUMBER(which, key, value, field, least, most)                                                        \
    .name = key, .kind = which, .fallback = value, FIELD(field), .minimum = least, .maximum = most
#define COUNT(key, value, least, most) NUMBER(SETTING_COUNT, #key, value, key, least, most)
#define DURATION(key, value, least, most) NUMBER(SETTING_DURATION, #key, value, key##_ms, least, most)
/* clang-format off */
static const struct setting sink_fields[] = {
    { TEXT(name), .required = true, .check = settings_check_sink_name },
    { TEXT(stream), .check = settings_check_sink_topic },
    { TEXT(channel), .check = settings_check_sink_topic },
    { TEXT(url), .required = true, .check = settings_check_sink_url, .secret_path = true },
    { TEXT(group), .check = settings_check_sink_topic },
    { .name = "start", .kind = SETTING_CHOICE, .fallback = "new", FIELD(start), .choices = starts },
    { .name = "headers", .kind = SETTING_PAIRS, .fallback = "", FIELD(headers),
      .check = settings_check_sink_headers, .secret = true },
    { TEXT(secret), .check = settings_check_sink_secret, .secret = true },
    { TEXT(secret_file), .check = settings_check_sink_secret_file },
    { DURATION(timeout, "10s", 10, 10 * MINUTE_MS) },
    { COUNT(retries, "5", 0, SINK_RETRIES_MAX) },
    { DURATION(backoff, "1s", 10, 10 * MINUTE_MS) },
    { DURATION(backoff_max, "60s", 10, 60 * MINUTE_MS) },
    { COUNT(concurrency, "4", 1, SINK_CONCURRENCY_MAX) },
    { COUNT(max_deliveries, "5", 1, GROUP_DELIVERIES_MAX) },
    { DURATION(idle, "60s", SINK_IDLE_MS_MIN, GROUP_IDLE_MS_MAX) },
    { COUNT(queue, "1000", 1, SINK_QUEUE_MAX) },
};
/* clang-format on */
#undef FIELD

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
