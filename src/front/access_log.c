#include "front/access_log.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "front/exchange.h"
#include "front/front_state.h"

#define PEER_MAX (INET6_ADDRSTRLEN + 1)

/* Without the port: it says nothing about who it was. */
static const char *format_peer(struct MHD_Connection *mhd, char ret_text[static PEER_MAX])
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!info || !info->client_addr)
        return NULL;
    const void *address = NULL;
    if (info->client_addr->sa_family == AF_INET)
        address = &((const struct sockaddr_in *)(const void *)info->client_addr)->sin_addr;
    else if (info->client_addr->sa_family == AF_INET6)
        address = &((const struct sockaddr_in6 *)(const void *)info->client_addr)->sin6_addr;
    else
        return "unix";
    return inet_ntop(info->client_addr->sa_family, address, ret_text, PEER_MAX);
}

void access_log_write(const struct exchange *exchange, double seconds)
{
    struct log *log = exchange->front->services.log;
    if (!exchange->front->options.access_log || !log_enabled(log, LOG_LEVEL_INFO))
        return;
    char peer[PEER_MAX];
    const struct request *request = &exchange->request;
    /* What the gate refused has no parsed path. */
    struct text path = request->storage ? request->path : text_of(exchange->uri, strcspn(exchange->uri, "?"));
    LOG_INFO(log, "request",
             LOG_TEXT("method", request->storage ? request_method_name(request->method) : NULL),
             LOG_BYTES("path", path.bytes, path.length), LOG_NUMBER("status", exchange->response.status),
             LOG_SECONDS("seconds", seconds), LOG_TEXT("peer", format_peer(exchange->mhd, peer)));
}
