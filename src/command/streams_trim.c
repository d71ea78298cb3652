/* `sluice streams trim STREAM --maxlen N | --minid ID`: exactly, for somebody has said it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "command/streams_state.h"
#include "wire/entry_id.h"

static bool check_arguments(const struct streams_arguments *arguments, size_t word_count)
{
    uint64_t maxlen;
    struct entry_id minid;
    if (word_count != 1 || !arguments->maxlen == !arguments->minid) {
        fputs("usage: sluice streams trim STREAM --maxlen N | --minid ID\n"
              "for example: sluice streams trim orders --maxlen 10000\n",
              stderr);
        return false;
    }
    if (arguments->maxlen && !parse_unsigned(arguments->maxlen, strlen(arguments->maxlen), &maxlen)) {
        fprintf(stderr, "sluice: --maxlen %s is no number of entries\n", arguments->maxlen);
        return false;
    }
    if (arguments->minid && !entry_id_parse(arguments->minid, strlen(arguments->minid), &minid)) {
        fprintf(stderr, "sluice: --minid %s is no id of an entry, such as 1517574547834-0\n",
                arguments->minid);
        return false;
    }
    return true;
}

static void take_type(void *context, const struct reply *reply)
{
    bool *is_there = context;
    *is_there =
        !(reply->kind == REPLY_TEXT && reply->text_length == 4 && memcmp(reply->text, "none", 4) == 0);
}

static void take_counts(void *context, const struct reply *replies)
{
    const char *stream = context;
    struct reply removed = reply_element(replies, 0), left = reply_element(replies, 1);
    printf("%s: %" PRId64 " entries removed, %" PRId64 " left\n", stream, removed.integer, left.integer);
}

enum exit_code streams_trim(struct streams *streams, const char *const *words, size_t word_count)
{
    const struct streams_arguments *arguments = &streams->arguments;
    if (!check_arguments(arguments, word_count))
        return EXIT_CODE_USAGE;
    if (!(streams->redis = streams_redis_open(streams->settings)))
        return EXIT_CODE_FAILED;
    bool is_there = false;
    const char *const type[] = { "TYPE", words[0], NULL };
    if (!streams_redis_try(streams->redis, type, take_type, &is_there))
        return EXIT_CODE_FAILED;
    if (!is_there) {
        fprintf(stderr, "sluice: there is no stream %s\n", words[0]);
        return EXIT_CODE_FAILED;
    }
    const char *const trim[] = { "XTRIM",
                                 words[0],
                                 arguments->maxlen ? "MAXLEN" : "MINID",
                                 "=",
                                 arguments->maxlen ? arguments->maxlen : arguments->minid,
                                 NULL };
    const char *const length[] = { "XLEN", words[0], NULL };
    const char *const *const commands[] = { trim, length };
    bool is_done = streams_redis_call(streams->redis, commands, 2, take_counts, (void *)words[0]);
    return is_done ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}
