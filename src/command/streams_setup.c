/* `sluice streams setup`: makes what the settings name and Redis lacks, and says so. Changes nothing that is
 * there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/streams_state.h"

enum made { MADE_NEW, MADE_BEFORE, MADE_NOT };

/* XGROUP CREATE: its errors mean something. */
static void take_group(void *context, const struct reply *reply)
{
    enum made *made = context;
    if (reply->kind != REPLY_ERROR) {
        *made = MADE_NEW;
    } else if (reply_has_prefix(reply, "BUSYGROUP")) {
        *made = MADE_BEFORE;
    } else {
        const char *remedy = reply_error_remedy(reply);
        fprintf(stderr, "sluice: Redis refused: %.*s%s%s\n", (int)reply->text_length, reply->text,
                remedy ? "; " : "", remedy ? remedy : "");
        *made = MADE_NOT;
    }
}

static bool set_up_group(struct streams *streams, const char *stream, const char *group, const char *start)
{
    enum made made = MADE_NOT;
    const char *const words[] = { "XGROUP", "CREATE", stream, group, start, "MKSTREAM", NULL };
    if (!streams_redis_try(streams->redis, words, take_group, &made) || made == MADE_NOT)
        return false;
    if (made == MADE_BEFORE)
        printf("%s: group %s is there\n", stream, group);
    else
        printf("%s: group %s made, begins with %s\n", stream, group,
               strcmp(start, "0") == 0 ? "the first entry" : "what comes from now on");
    return true;
}

/* An empty stream: Redis makes one only for a group, and keeps it when the group goes. */
static bool make_stream(struct streams *streams, const char *name)
{
    static const char passing_group[] = "sluice-setup";
    const char *const create[] = { "XGROUP", "CREATE", name, passing_group, "$", "MKSTREAM", NULL };
    const char *const destroy[] = { "XGROUP", "DESTROY", name, passing_group, NULL };
    const char *const *const commands[] = { create, destroy };
    return streams_redis_call(streams->redis, commands, 2, NULL, NULL);
}

static bool set_up_stream(struct streams *streams, const char *name)
{
    enum stream_report_status status;
    char *problem;
    struct stream_report *report = streams_redis_report(streams->redis, name, &status, &problem);
    bool is_done = report != NULL;
    if (report)
        printf("%s: stream is there, %llu entries\n", name, (unsigned long long)report->length);
    else if (status == STREAM_REPORT_ABSENT && (is_done = make_stream(streams, name)))
        printf("%s: stream made\n", name);
    else if (status == STREAM_REPORT_WRONG_TYPE)
        fprintf(stderr, "sluice: %s holds something else than a stream; rename or delete that key\n", name);
    else if (status != STREAM_REPORT_ABSENT)
        fprintf(stderr, "sluice: %s: %s\n", name, problem ? problem : "Redis did not answer");
    stream_report_destroy(report);
    free(problem);
    return is_done;
}

static bool set_up_groups(struct streams *streams, const struct stream_settings *stream, const char *start)
{
    bool are_done = true;
    char *groups = strdup(stream->groups), *rest = NULL;
    if (!groups) {
        fputs("sluice: out of memory\n", stderr);
        return false;
    }
    for (char *group = strtok_r(groups, ",", &rest); group; group = strtok_r(NULL, ",", &rest))
        are_done &= set_up_group(streams, stream->name, group, start);
    free(groups);
    return are_done;
}

enum exit_code streams_setup(struct streams *streams)
{
    const char *start = streams->arguments.start ? streams->arguments.start : "0";
    size_t count = streams->settings->streams.count;
    if (strcmp(start, "0") != 0 && strcmp(start, "$") != 0) {
        fprintf(stderr, "sluice: --start %s: write 0 (groups get all entries) or $ (only new ones)\n", start);
        return EXIT_CODE_USAGE;
    }
    if (count == 0) {
        fputs("sluice: no stream is configured; set `streams` in the file, or --streams orders,emails\n",
              stderr);
        return EXIT_CODE_USAGE;
    }
    if (!(streams->redis = streams_redis_open(streams->settings)))
        return EXIT_CODE_FAILED;
    bool are_done = true;
    for (size_t i = 0; i < count; i++) {
        const struct stream_settings *stream = streams_configured(streams, i);
        are_done &= set_up_stream(streams, stream->name) && set_up_groups(streams, stream, start);
    }
    return are_done ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}
