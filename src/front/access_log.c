#include "front/access_log.h"

#include "front/connection.h"
#include "front/exchange.h"
#include "front/front_state.h"

void access_log_write(const struct exchange *exchange, double seconds)
{
    struct log *log = exchange->front->services.log;
    if (!exchange->front->options.access_log || !log_enabled(log, LOG_LEVEL_INFO))
        return;
    char client[IP_ADDRESS_TEXT_MAX], proxy[IP_ADDRESS_TEXT_MAX];
    const struct ip_address *peer = &exchange->connection->peer;
    bool is_direct = ip_address_equal(peer, &exchange->client.address);
    const struct request *request = &exchange->request;
    /* What the gate refused has no parsed path. */
    struct text path = request->storage ? request->path : text_of(exchange->uri, strcspn(exchange->uri, "?"));
    LOG_INFO(log, "request",
             LOG_TEXT("method", request->storage ? request_method_name(request->method) : NULL),
             LOG_BYTES("path", path.bytes, path.length), LOG_NUMBER("status", exchange->response.status),
             LOG_SECONDS("seconds", seconds),
             LOG_TEXT("peer", ip_address_format(&exchange->client.address, client)),
             LOG_TEXT("proxy", is_direct ? NULL : ip_address_format(peer, proxy)));
}
