#include "front/front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "front/connection.h"
#include "front/exchange.h"
#include "front/front_state.h"

/* Turns that answers of the last moment get to leave in. */
#define LAST_RUNS 8

/* How long those who have connected are waited for when it drains: longer than handing a port over takes. */
#define NEWCOMER_PATIENCE_MS 1500

/* --- connections
 * ------------------------------------------------------------------------------------------------- */

static void on_deadline(void *context, struct deadline *deadline, enum deadline_phase phase)
{
    struct front *front = context;
    struct connection *connection = LIST_OWNER(deadline, struct connection, deadline);
    if (phase != DEADLINE_IDLE)
        front->services.metrics->http_timeouts++;
    /* The library sees the end of the connection and closes it. */
    shutdown(connection->descriptor, SHUT_RDWR);
}

static void open_connection(struct front *front, struct MHD_Connection *mhd, void **slot)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *connection = calloc(1, sizeof(*connection));
    *slot = connection;
    front->connection_count++;
    front->services.metrics->http_connections = front->connection_count;
    if (!connection) {
        /* Its requests will find no connection and be dropped. */
        shutdown(info->connect_fd, SHUT_RDWR);
        return;
    }
    connection->descriptor = info->connect_fd;
    connection->is_admin = front_take_admin_socket(front, info->connect_fd);
    const union MHD_ConnectionInfo *peer = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    connection->peer = ip_address_of_socket(peer ? peer->client_addr : NULL);
    connection->lingers = true;
    connection->is_newcomer = true;
    front->newcomer_count++;
    deadline_arm(front->deadlines, &connection->deadline, DEADLINE_HEAD, clock_now_ms());
}

static void close_connection(struct front *front, struct connection *connection)
{
    if (connection) {
        exchange_forget(connection);
        deadline_disarm(&connection->deadline);
        if (connection->lingers)
            lingering_take(front->lingering, connection->descriptor);
        front->newcomer_count -= connection->is_newcomer;
        free(connection);
    }
    front->connection_count--;
    front->services.metrics->http_connections = front->connection_count;
    front_resume_listening(front);
}

static void on_connection(void *context, struct MHD_Connection *mhd, void **slot,
                          enum MHD_ConnectionNotificationCode code)
{
    struct front *front = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        open_connection(front, mhd, slot);
    } else {
        close_connection(front, *slot);
        *slot = NULL;
    }
}

/* --- life
 * -------------------------------------------------------------------------------------------------------- */

static void apply_durations(struct front *front)
{
    const struct front_options *options = &front->options;
    deadlines_set_duration(front->deadlines, DEADLINE_HEAD, options->head_timeout_ms);
    deadlines_set_duration(front->deadlines, DEADLINE_BODY, options->body_timeout_ms);
    deadlines_set_duration(front->deadlines, DEADLINE_RESPONSE, options->body_timeout_ms);
    deadlines_set_duration(front->deadlines, DEADLINE_IDLE, options->keepalive_timeout_ms);
}

/* What is said of clients by proxies. The setting has been checked: without memory, whom we trusted stays. */
static void apply_client_rules(struct front *front)
{
    const struct front_options *options = &front->options;
    struct ip_networks trusted;
    const char *problem;
    front->client_rules.header = options->forwarded_header;
    front->client_rules.identity_header = options->identity_header;
    if (!ip_networks_parse(options->trusted_proxies, strlen(options->trusted_proxies), &trusted, &problem))
        return;
    ip_networks_clear(&front->client_rules.trusted);
    front->client_rules.trusted = trusted;
}

struct front *front_create(const struct front_options *options, const struct front_services *services,
                           const struct front *first, char **ret_problem)
{
    *ret_problem = NULL;
    struct front *front = calloc(1, sizeof(*front));
    if (front) {
        front->options = *options;
        front->services = *services;
        list_init(&front->exchanges);
        list_init(&front->admin_sockets);
        const struct server_handlers handlers = {
            .on_request_line = exchange_on_request_line,
            .on_request = exchange_on_request,
            .on_completed = exchange_on_completed,
            .on_connection = on_connection,
            .context = front,
        };
        front->deadlines = deadlines_create(services->base, on_deadline, front);
        front->lingering = lingering_create(services->base);
        front->server = server_create(services->base, &handlers, services->log);
    }
    if (front && front->deadlines && front->lingering && front->server) {
        apply_durations(front);
        apply_client_rules(front);
        if (front_listen(front, first, ret_problem))
            return front;
    }
    front_destroy(front);
    if (!*ret_problem)
        *ret_problem = strdup("the HTTP server cannot start: memory or descriptors are short");
    return NULL;
}

void front_destroy(struct front *front)
{
    if (!front)
        return;
    front_drain(front);
    for (struct list *node = front->exchanges.next; node != &front->exchanges; node = node->next)
        exchange_call_off(LIST_OWNER(node, struct exchange, node));
    for (int i = 0; front->server && front->exchange_count > 0 && i < LAST_RUNS; i++)
        server_run(front->server);
    front_end_intake(front);
    server_destroy(front->server);
    ip_networks_clear(&front->client_rules.trusted);
    deadlines_destroy(front->deadlines);
    lingering_destroy(front->lingering);
    free(front);
}

void front_set_options(struct front *front, const struct front_options *options)
{
    const char *listen = front->options.listen, *admin_listen = front->options.admin_listen;
    front->options = *options;
    front->options.listen = listen;
    front->options.admin_listen = admin_listen;
    apply_durations(front);
    apply_client_rules(front);
    front_resume_listening(front);
}

void front_drain(struct front *front)
{
    if (front->draining)
        return;
    front->draining = true;
    front->drain_start_ms = clock_now_ms();
    front_leave(front);
}

/* While it drains, what was accepted in the last moment has its request on the way. */
size_t front_request_count(const struct front *front)
{
    size_t count = front->exchange_count;
    if (front->draining && clock_now_ms() < front->drain_start_ms + NEWCOMER_PATIENCE_MS)
        count += front->newcomer_count;
    return count + (front->draining && !front_has_left(front));
}

uint16_t front_port(const struct front *front)
{
    return front->listener ? listener_port(front->listener) : 0;
}

uint16_t front_admin_port(const struct front *front)
{
    return front->admin_listener ? listener_port(front->admin_listener) : 0;
}
