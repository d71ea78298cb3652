/* Where the figures of all threads are to be had. */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"

/* `text` lives for the call; it has failed where memory was short, or everything ends. */
typedef void metrics_read_done(void *context, const struct buffer *text);

struct metrics_reader {
    /* In the format of metrics/metrics_text.h. `done` is called once, from the loop, never inside the call.
     * False when memory is short: it is not called then. */
    bool (*read)(void *context, bool as_json, metrics_read_done *done, void *done_context);
    void *context;
};
