/*
 * How many entries a group has not been given.
 *
 * Redis counts `entries-added` of the stream and `entries-read` of the group and calls the difference `lag`.
 * But when trimming overtakes a group, the entries that it lost stay in the difference for ever (before Redis
 * 7.2.6 and 7.4), and when one was deleted behind the group's position Redis itself says null. The ends of
 * the stream can be told without counting; in between the counts are believed only if they fit the stream.
 */
#include "consumers/stream_report.h"

bool stream_report_lag(const struct stream_lag_source *source, uint64_t *ret_lag)
{
    if (source->length == 0 || entry_id_compare(source->last_delivered, source->last_generated) >= 0) {
        *ret_lag = 0;
        return true;
    }
    if (entry_id_compare(source->last_delivered, source->first) < 0) {
        *ret_lag = source->length;
        return true;
    }
    if (!source->has_counts || source->entries_added < source->length)
        return false;
    /* The last one delivered is not before the first that is left, so all that were removed come before it,
     * unless it was deleted itself. */
    static const struct entry_id none = { 0 };
    bool has_deleted = entry_id_compare(source->max_deleted, none) > 0;
    uint64_t removed = source->entries_added - source->length;
    uint64_t read_min = removed + (has_deleted ? 0 : 1);
    if (source->entries_read < read_min || source->lag > source->length)
        return false;
    *ret_lag = source->lag;
    return true;
}
