/*
 * How connections come in:
 *
 *   listener ──────▶ on_accepted ──┬─ of a trusted proxy, with proxy_protocol ──▶ greeting ─┐
 *                                  └────────────────────────────────────────────────────────┴─▶ library
 *   admin listener ▶ on_admin_accepted ── remembered by its descriptor ───────────────────────▶ library
 *
 * The library takes a connection in one of its next turns (on_connection in front.c), and knows nothing of
 * ours about it but the descriptor.
 */
#include <stdlib.h>
#include <unistd.h>

#include "front/front_state.h"

struct admin_socket {
    struct list node;
    int descriptor;
};

bool front_take_admin_socket(struct front *front, int descriptor)
{
    for (struct list *node = front->admin_sockets.next; node != &front->admin_sockets; node = node->next) {
        struct admin_socket *socket = LIST_OWNER(node, struct admin_socket, node);
        if (socket->descriptor != descriptor)
            continue;
        list_remove(node);
        free(socket);
        return true;
    }
    return false;
}

static bool has_room(const struct front *front)
{
    return front->connection_count + proxy_greetings_count(front->greetings) < front->options.connections_max;
}

void front_resume_listening(struct front *front)
{
    if (!front->listener || !has_room(front))
        return;
    listener_resume(front->listener);
    if (front->admin_listener)
        listener_resume(front->admin_listener);
}

/* A number that was remembered for a connection which the library never took is somebody else's now. */
static void hand_to_library(struct front *front, int descriptor, const struct sockaddr *address,
                            socklen_t length, bool is_admin)
{
    front_take_admin_socket(front, descriptor);
    if (is_admin) {
        struct admin_socket *socket = calloc(1, sizeof(*socket));
        if (!socket) {
            close(descriptor);
            return;
        }
        socket->descriptor = descriptor;
        list_append(&front->admin_sockets, &socket->node);
    }
    server_add(front->server, descriptor, address, length);
}

static bool on_accepted(void *context, int descriptor, const struct sockaddr *address, socklen_t length)
{
    struct front *front = context;
    struct ip_address peer = ip_address_of_socket(address);
    if (front->options.proxy_protocol && client_peer_is_trusted(&front->client_rules, &peer))
        proxy_greetings_take(front->greetings, descriptor, &peer, front->options.head_timeout_ms);
    else
        hand_to_library(front, descriptor, address, length, false);
    return has_room(front);
}

static bool on_admin_accepted(void *context, int descriptor, const struct sockaddr *address, socklen_t length)
{
    struct front *front = context;
    hand_to_library(front, descriptor, address, length, true);
    return has_room(front);
}

static void on_greeted(void *context, int descriptor, const struct ip_address *address, uint16_t port)
{
    struct sockaddr_storage socket;
    socklen_t length = ip_address_to_socket(address, port, &socket);
    hand_to_library(context, descriptor, (struct sockaddr *)&socket, length, false);
}

static void on_ungreeted(void *context)
{
    struct front *front = context;
    front->services.metrics->http_rejected++;
    front_resume_listening(front);
}

bool front_listen(struct front *front, const struct front *first, char **ret_problem)
{
    const struct front_services *services = &front->services;
    const struct front_options *options = &front->options;
    front->greetings = proxy_greetings_create(services->base, on_greeted, on_ungreeted, front);
    if (!front->greetings)
        return false;
    struct listener_options here = { .address = options->listen,
                                     .siblings = options->listeners,
                                     .first = first ? first->listener : NULL,
                                     .reuse_port = options->reuse_port };
    front->listener = listener_create(services->base, &here, on_accepted, front, services->metrics,
                                      services->log, ret_problem);
    here.address = options->admin_listen;
    here.first = first ? first->admin_listener : NULL;
    if (front->listener && *options->admin_listen)
        front->admin_listener = listener_create(services->base, &here, on_admin_accepted, front,
                                                services->metrics, services->log, ret_problem);
    return front->listener && (front->admin_listener || !*options->admin_listen);
}

void front_leave(struct front *front)
{
    if (front->listener)
        listener_leave(front->listener);
    if (front->admin_listener)
        listener_leave(front->admin_listener);
}

bool front_has_left(const struct front *front)
{
    return (!front->listener || listener_has_left(front->listener)) &&
           (!front->admin_listener || listener_has_left(front->admin_listener));
}

/* Those that have not said yet whose connections they are go, too. */
void front_end_intake(struct front *front)
{
    listener_destroy(front->listener);
    listener_destroy(front->admin_listener);
    front->listener = front->admin_listener = NULL;
    proxy_greetings_destroy(front->greetings);
    front->greetings = NULL;
    for (struct list *node; (node = list_first(&front->admin_sockets));)
        front_take_admin_socket(front, LIST_OWNER(node, struct admin_socket, node)->descriptor);
}
