/* GET / and /<file>: the web page, out of the binary. */
#include "front/endpoint.h"
#include "front/etag.h"
#include "front/exchange.h"

/* Nothing but our own files runs or is loaded, and nobody frames the page. */
#define CONTENT_SECURITY_POLICY                                                                              \
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

void endpoint_page(struct exchange *exchange)
{
    const struct asset *asset = exchange->route.asset;
    struct response *response = &exchange->response;
    response_add_header(response, "ETag", "%s", asset->etag);
    response_add_header(response, "Cache-Control", "no-cache");
    response_add_header(response, "Content-Security-Policy", CONTENT_SECURITY_POLICY);
    response_add_header(response, "Referrer-Policy", "no-referrer");
    /* 304 keeps the body for its length; the library does not send it. */
    response->status = etag_matches(exchange->request.headers[HEADER_IF_NONE_MATCH], asset->etag) ? 304 : 200;
    response->content_type = asset->content_type;
    response->static_body = asset->bytes;
    response->static_length = asset->length;
    exchange_answer(exchange);
}
