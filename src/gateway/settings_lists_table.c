/* What the records of each list hold. */
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
/* clang-format on */

const struct setting_record settings_stream_record = {
    .fields = stream_fields,
    .field_count = COUNT_OF(stream_fields),
    .size = sizeof(struct stream_settings),
    .first_alone = true,
    .first_unique = true,
};
