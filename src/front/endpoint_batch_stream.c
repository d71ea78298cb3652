/* GET /batches/<id>/stream: a batch's progress until it is complete. */
#include "front/batch_name.h"
#include "front/endpoint.h"
#include "front/front_state.h"
#include "front/stream_handoff.h"
#include "front/stream_start.h"

void endpoint_batch_stream(struct exchange *exchange)
{
    struct text id = exchange->route.name;
    if (!batch_name_check(exchange, id))
        return;

    char channel[sizeof(BATCH_CHANNEL) + BATCH_NAME_MAX];
    memcpy(channel, BATCH_CHANNEL, strlen(BATCH_CHANNEL));
    memcpy(channel + strlen(BATCH_CHANNEL), id.bytes, id.length);
    struct topic_name topic = { .kind = TOPIC_CHANNEL,
                                .name = channel,
                                .length = strlen(BATCH_CHANNEL) + id.length };
    struct stream_request stream = { .format = STREAM_BATCH, .topics = &topic, .topic_count = 1 };
    stream_start_behind(stream_last_event_id(&exchange->request), &topic, &stream);
    if (stream.resume == RESUME_CURSOR && stream.cursor.complete) {
        /* It has seen the end; 204 keeps an EventSource from coming again. */
        exchange->response.status = 204;
        response_add_header(&exchange->response, "Cache-Control", "no-store");
        exchange_answer(exchange);
        return;
    }
    stream_open(exchange, &stream);
}
