/*
 * Handing a port over to another process without losing a connection.
 *
 * Sockets that listen on one port with SO_REUSEPORT each have a queue of their own, and what is in a queue is
 * reset when its socket is closed. So who leaves goes in steps:
 *
 *     port_steer_away()     new connections go to the other process' sockets …
 *     port_refuse_new()     … and those that come here all the same are not answered: the client asks
 *                           again. Handshakes that have begun still end here, and are accepted.
 *     port_refuse_all()     once they have had time to: nothing more comes into the queue. What is in it
 *                           is accepted, and the socket can be closed.
 *
 * Linux, socket(7): SO_ATTACH_REUSEPORT_CBPF and SO_ATTACH_FILTER. All of it is at best: where the kernel
 * refuses, some client sees a reset, and comes back.
 */
#pragma once

/* `siblings` are the sockets of this process at the port, which came before those of the other. */
void port_steer_away(int descriptor, unsigned siblings);

/* The rest of the port's sockets have connections shared out among them again. */
void port_end_steering(int descriptor);

void port_refuse_new(int descriptor);
void port_refuse_all(int descriptor);

/* What is accepted has inherited the filter of the socket that listens. */
void port_accept_all(int descriptor);
