#include "front/port_sharing.h"

#include <linux/filter.h>
#include <stdint.h>
#include <sys/socket.h>

#define LENGTH_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A filter sees the segment from its TCP header on (RFC 9293, section 3.1). */
#define TCP_FLAGS_OFFSET 13
#define TCP_SYN 0x02
#define TCP_ACK 0x10

#define ACCEPT_SEGMENT UINT32_MAX
#define DROP_SEGMENT 0

static void attach(int descriptor, int option, struct sock_filter *code, unsigned short length)
{
    const struct sock_fprog program = { .len = length, .filter = code };
    setsockopt(descriptor, SOL_SOCKET, option, &program, sizeof(program));
}

/*
 * The program answers with a place among the port's sockets, which stand in the order of their coming: one
 * behind ours, and with as many of the other process as we have, any of them. Where there is none, the kernel
 * chooses as if there were no program.
 */
void port_steer_away(int descriptor, unsigned siblings)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM)),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, siblings),
        BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, siblings),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    attach(descriptor, SO_ATTACH_REUSEPORT_CBPF, code, LENGTH_OF(code));
}

void port_end_steering(int descriptor)
{
    const int unused = 0;
    setsockopt(descriptor, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof(unused));
}

void port_refuse_new(int descriptor)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS_OFFSET),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TCP_SYN | TCP_ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TCP_SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, DROP_SEGMENT),
        BPF_STMT(BPF_RET | BPF_K, ACCEPT_SEGMENT),
    };
    attach(descriptor, SO_ATTACH_FILTER, code, LENGTH_OF(code));
}

void port_refuse_all(int descriptor)
{
    struct sock_filter code[] = { BPF_STMT(BPF_RET | BPF_K, DROP_SEGMENT) };
    attach(descriptor, SO_ATTACH_FILTER, code, LENGTH_OF(code));
}

void port_accept_all(int descriptor)
{
    const int unused = 0;
    setsockopt(descriptor, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
}
