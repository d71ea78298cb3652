/* What Redis says of a stream may be anything; the report of it is JSON. Input: length of the name, name,
 * replies. */
#include <stdbool.h>

#include "consumers/stream_report.h"
#include "fuzz.h"
#include "redis/reply_reader.h"
#include "redis/stream_info.h"
#include "redis/stream_progress.h"
#include "wire/payload.h"

#define BYTES_MAX 65536

static void check_report(struct input name, const struct reply *reply)
{
    struct stream_report *report = stream_report_parse(name.bytes, name.length, reply);
    if (!report)
        return;
    REQUIRE(report->listed_count <= STREAM_REPORT_GROUPS_MAX && report->listed_count <= report->group_count);
    for (size_t i = 0; i < report->listed_count; i++)
        REQUIRE(report->groups[i].listed_count <= STREAM_REPORT_CONSUMERS_MAX);
    struct buffer json = { 0 };
    stream_report_append_json(report, true, &json);
    REQUIRE(!json.failed && payload_classify(json.data, json.size) == PAYLOAD_OBJECT);
    buffer_reset(&json);
    stream_report_append_missing_json(name.bytes, name.length, STREAM_REPORT_REFUSED, "no", &json);
    REQUIRE(!json.failed && payload_classify(json.data, json.size) == PAYLOAD_OBJECT);
    buffer_free(&json);
    stream_report_destroy(report);
}

static void check_info(const struct reply *reply)
{
    struct stream_info info;
    if (!stream_info_parse(reply, &info))
        return;
    struct stream_progress progress = { 0 };
    bool is_lossy;
    stream_progress_start(&progress, &info);
    REQUIRE(stream_progress_check(&progress, &info, false) == STREAM_INTACT);
    REQUIRE(!stream_progress_take(&progress, info.last, &is_lossy));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    struct input name = input_take(&input, input_take_byte(&input));
    const struct redisReply *source;
    struct reply_reader *reader = reply_reader_create(BYTES_MAX);
    REQUIRE(reader);
    reply_reader_feed(reader, input.bytes, input.length < BYTES_MAX ? input.length : BYTES_MAX);
    while (!reply_reader_problem(reader) && reply_reader_next(reader, &source)) {
        struct reply reply = reply_view(source);
        check_info(&reply);
        check_report(name, &reply);
    }
    reply_reader_destroy(reader);
    return 0;
}
