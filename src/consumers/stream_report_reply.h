/* The replies that a stream report is made of, in the order of the script's answer; for stream_report*.c. */
#pragma once

enum stream_reply {
    STREAM_REPLY_TIME,
    STREAM_REPLY_INFO,
    STREAM_REPLY_LAST,
    STREAM_REPLY_MEMORY,
};
