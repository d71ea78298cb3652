#include "resp.h"

#include <string.h>

struct input {
    const char *at;
    const char *end;
};

/* `<type><digits>\r\n` */
static enum resp_result read_number(struct input *input, char type, size_t *ret_number)
{
    const char *line_end = memchr(input->at, '\n', (size_t)(input->end - input->at));
    if (!line_end)
        return RESP_UNFINISHED;
    if (*input->at != type)
        return RESP_BROKEN;
    size_t number = 0;
    for (const char *digit = input->at + 1; digit < line_end - 1; digit++) {
        if (*digit < '0' || *digit > '9')
            return RESP_BROKEN;
        number = number * 10 + (size_t)(*digit - '0');
    }
    input->at = line_end + 1;
    *ret_number = number;
    return RESP_COMPLETE;
}

static enum resp_result read_bulk(struct input *input, const char **ret_bytes, size_t *ret_length)
{
    enum resp_result result = read_number(input, '$', ret_length);
    if (result != RESP_COMPLETE)
        return result;
    if ((size_t)(input->end - input->at) < *ret_length + 2)
        return RESP_UNFINISHED;
    *ret_bytes = input->at;
    input->at += *ret_length + 2;
    return RESP_COMPLETE;
}

enum resp_result resp_read_push(const char *bytes, size_t length, struct resp_push *ret_push,
                                size_t *ret_consumed)
{
    struct input input = { bytes, bytes + length };
    const char *kind;
    size_t count, kind_length;
    enum resp_result result = read_number(&input, '*', &count);
    if (result == RESP_COMPLETE && count != 3)
        return RESP_BROKEN;
    if (result == RESP_COMPLETE)
        result = read_bulk(&input, &kind, &kind_length);
    if (result == RESP_COMPLETE)
        result = read_bulk(&input, &ret_push->channel, &ret_push->channel_length);
    if (result != RESP_COMPLETE)
        return result;
    if (kind_length == 7 && memcmp(kind, "message", 7) == 0) {
        ret_push->kind = RESP_MESSAGE;
        result = read_bulk(&input, &ret_push->payload, &ret_push->payload_length);
    } else {
        ret_push->kind = kind_length == 9 && memcmp(kind, "subscribe", 9) == 0 ? RESP_SUBSCRIBED : RESP_OTHER;
        result = read_number(&input, ':', &count);
    }
    *ret_consumed = (size_t)(input.at - bytes);
    return result;
}
