#include "redis/stream_progress.h"

static void count_from(struct stream_progress *progress, const struct stream_info *info)
{
    progress->has_mark = false;
    /* A stream that does not exist yet starts to count from 0. */
    progress->is_counted = info->has_entries_added || !info->exists;
    progress->counted = info->entries_added;
}

void stream_progress_start(struct stream_progress *progress, const struct stream_info *info)
{
    progress->position = info->last;
    count_from(progress, info);
}

/* All entries up to here have been taken, and Redis has counted `added`. True: some never came. Fewer than
 * ours is a stream that was deleted and began again: nobody knows what it had that was not read yet. */
static bool compare_counts(struct stream_progress *progress, uint64_t added)
{
    bool is_lossy = progress->is_counted && added != progress->counted;
    progress->is_counted = true;
    progress->counted = added;
    progress->has_mark = false;
    return is_lossy;
}

bool stream_progress_take(struct stream_progress *progress, struct entry_id id, bool *ret_is_lossy)
{
    *ret_is_lossy = false;
    if (entry_id_compare(id, progress->position) <= 0)
        return false;
    int past_mark = progress->has_mark ? entry_id_compare(id, progress->mark) : -1;
    if (past_mark > 0)
        *ret_is_lossy = compare_counts(progress, progress->counted_at_mark);
    progress->position = id;
    progress->counted++;
    if (past_mark == 0)
        *ret_is_lossy = compare_counts(progress, progress->counted_at_mark);
    return true;
}

/* Deleted: what it had that was not read yet, if anything, nobody knows. New entries may have any ids. */
static enum stream_verdict check_missing(struct stream_progress *progress, const struct stream_info *info)
{
    bool is_reset = entry_id_compare(progress->position, info->last) > 0;
    if (is_reset)
        progress->position = info->last;
    count_from(progress, info);
    return is_reset ? STREAM_RESET : STREAM_INTACT;
}

/* The entry at our position is gone, so the count alone can say that nothing else is. All there is lies
 * behind the position. */
static enum stream_verdict check_unseen(struct stream_progress *progress, const struct stream_info *info)
{
    bool is_counted = progress->is_counted && info->has_entries_added;
    uint64_t counted = progress->counted;
    progress->is_counted = info->has_entries_added && info->entries_added >= info->length;
    progress->counted = info->entries_added - info->length;
    if (is_counted && info->entries_added < counted)
        return STREAM_RESET;
    return is_counted && info->entries_added - counted == info->length ? STREAM_INTACT : STREAM_TRIMMED;
}

enum stream_verdict stream_progress_check(struct stream_progress *progress, const struct stream_info *info,
                                          bool was_away)
{
    if (!info->exists)
        return check_missing(progress, info);
    int ahead = entry_id_compare(info->last, progress->position);
    if (ahead < 0) {
        stream_progress_start(progress, info);
        return STREAM_RESET;
    }
    if (was_away) {
        progress->has_mark = false;
        bool sees_position = info->length > 0 && entry_id_compare(info->first, progress->position) <= 0;
        if (ahead > 0 && !sees_position)
            return check_unseen(progress, info);
    }
    if (!info->has_entries_added)
        return STREAM_INTACT;
    if (ahead == 0 || info->length == 0)
        return compare_counts(progress, info->entries_added) ? STREAM_TRIMMED : STREAM_INTACT;
    /* A mark stays until it is reached. */
    if (!progress->has_mark) {
        progress->has_mark = true;
        progress->mark = info->last;
        progress->counted_at_mark = info->entries_added;
    }
    return STREAM_INTACT;
}
