#include "front/client.h"

#include <stdlib.h>

#include "front/percent.h"

bool client_peer_is_trusted(const struct client_rules *rules, const struct ip_address *peer)
{
    return ip_address_is_none(peer) || ip_networks_have(&rules->trusted, peer);
}

/* A second one would be somebody else's than the proxy's. */
static bool find_name(const char *header, const struct gate_head *head, struct text *ret_name,
                      struct problem *ret_problem)
{
    *ret_name = (struct text){ 0 };
    for (size_t i = 0; i < head->header_count; i++) {
        if (!text_is_caseless(head->headers[i].name, header))
            continue;
        if (ret_name->bytes)
            return problem_set(ret_problem, 400, "The header %s is there twice.", header);
        *ret_name = text_trim(head->headers[i].value);
    }
    if (ret_name->length > CLIENT_NAME_BYTES_MAX || !percent_is_clean(*ret_name))
        return problem_set(ret_problem, 400, "The header %s has a name of at most %d bytes in UTF-8.", header,
                           CLIENT_NAME_BYTES_MAX);
    return true;
}

bool client_find(const struct client_rules *rules, const struct ip_address *peer,
                 const struct gate_head *head, struct client *ret_client, struct problem *ret_problem)
{
    struct text name = { 0 };
    *ret_client = (struct client){ .address = *peer };
    if (!client_peer_is_trusted(rules, peer))
        return true;
    if (!forwarded_find_client(head, rules->header, &rules->trusted, *peer, &ret_client->address))
        return problem_set(ret_problem, 400, "The header Forwarded is not well-formed (RFC 7239).");
    if (*rules->identity_header && !find_name(rules->identity_header, head, &name, ret_problem))
        return false;
    if (name.length == 0)
        return true;
    ret_client->name = strndup(name.bytes, name.length);
    return ret_client->name || problem_set(ret_problem, 503, "Memory is short. Try again later.");
}

void client_clear(struct client *client)
{
    free(client->name);
    client->name = NULL;
}
