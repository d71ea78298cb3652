/* What the load generator is told on its command line. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "clients.h"
#include "publisher.h"

#define SERVER_PROCESSES_MAX 64

struct load_options {
    struct clients_options clients;
    struct publisher_options publisher;
    pid_t server_processes[SERVER_PROCESSES_MAX]; /* ends with 0 */
    const char *headers_file;                     /* NULL: none; main() reads it into `clients` */
    size_t processes;                             /* that have the clients; 1: this one */
    uint64_t messages;
    uint64_t warmup; /* messages before the measured ones */
    uint64_t missed; /* messages before the clients connect, who want them all */
    double rate;     /* a second, over all channels; 0: a burst */
    uint64_t payload_bytes;
    enum payload_filler filler;
    uint64_t settle_ms;   /* rest before figures of idle clients are taken */
    uint64_t leave_ms;    /* rest before figures are taken of a server whose clients have left */
    uint64_t patience_ms; /* without any delivery, before what misses is lost */
    uint64_t join_timeout_ms;
    uint64_t time_limit_s; /* the whole run; SIGALRM ends it */
};

/* False, with a line on stderr, when something is wrong. Strings are borrowed from `arguments`. */
bool load_options_read(int argument_count, char **arguments, struct load_options *ret_options);
