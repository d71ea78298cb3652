/*
 * Who calls: the address that quotas, the audit and the access log are about, and a name if a proxy of ours
 * says it. Both are taken from headers only when whoever is connected to us is a trusted proxy; from
 * everybody else such headers are nothing.
 */
#pragma once

#include <stdbool.h>

#include "base/ip_address.h"
#include "front/forwarded.h"
#include "front/gate.h"
#include "front/problem.h"

#define CLIENT_NAME_BYTES_MAX 256

struct client_rules {
    struct ip_networks trusted;   /* proxies, by their addresses; those of unix sockets always are */
    enum forwarded_header header; /* where they say who has called them */
    const char *identity_header;  /* where they say the caller's name; "": nowhere. Borrowed */
};

struct client {
    struct ip_address address;
    char *name; /* NULL: nobody said */
};

bool client_peer_is_trusted(const struct client_rules *rules, const struct ip_address *peer);

/* False with the answer in *ret_problem when a trusted proxy says something that cannot be understood. */
bool client_find(const struct client_rules *rules, const struct ip_address *peer,
                 const struct gate_head *head, struct client *ret_client, struct problem *ret_problem);
void client_clear(struct client *client);
