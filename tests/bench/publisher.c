#include "publisher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/list.h"
#include "watch.h"

/* Messages are stamped when they are written here, so not much may wait for Redis. */
#define PENDING_BYTES_MAX 65536
#define TICK_NS_MIN 100000

struct publisher {
    int loop;
    int socket;
    int timer;
    struct watch socket_watch;
    struct watch timer_watch;
    const struct publisher_options *options;
    const struct payload_form *form;
    struct buffer out;
    size_t out_sent;
    uint64_t target; /* published when done */
    uint64_t start_ns;
    uint64_t start_published;
    double rate;
    bool writing; /* waits for room in the socket */
    bool reply_is_error;
    bool reply_is_status; /* of HTTP, in whose bodies no line looks like one */
    bool reply_is_zero;
    bool reply_is_length; /* of an entry's id, which comes on the next line */
    size_t reply_length;  /* bytes of the current reply line seen so far */
    struct publisher_counts counts;
};

/* --- writing
 * ------------------------------------------------------------------------------------------------------- */

static void append_path(struct buffer *out, const char *path, const char *channel)
{
    static const char mark[] = "{channel}";
    const char *at = strstr(path, mark);
    if (at) {
        buffer_append(out, path, (size_t)(at - path));
        buffer_append_text(out, channel);
        path = at + strlen(mark);
    }
    buffer_append_text(out, path);
}

/* All that stands before the payload. */
static void append_head(struct publisher *publisher, const char *channel, size_t length)
{
    struct buffer *out = &publisher->out;
    switch (publisher->options->way) {
    case PUBLISHER_PUBLISH:
        buffer_printf(out, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(channel), channel, length);
        break;
    case PUBLISHER_XADD:
        buffer_printf(out,
                      "*5\r\n$4\r\nXADD\r\n$%zu\r\n%s\r\n$1\r\n*\r\n$1\r\n" PUBLISHER_FIELD "\r\n$%zu\r\n",
                      strlen(channel), channel, length);
        break;
    case PUBLISHER_POST:
        buffer_append_text(out, "POST ");
        append_path(out, publisher->options->path, channel);
        buffer_printf(
            out,
            " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
            length);
        break;
    }
}

static void append_publish(struct publisher *publisher, uint64_t now_ns)
{
    const struct publisher_options *options = publisher->options;
    uint64_t message = publisher->counts.published++;
    struct payload_stamp stamp = { message / options->channels, message % options->channels, now_ns / 1000 };
    char channel[256];
    snprintf(channel, sizeof channel, "%s%llu", options->channel_prefix, (unsigned long long)stamp.channel);
    size_t length = payload_form_length(publisher->form);
    struct buffer *out = &publisher->out;
    append_head(publisher, channel, length);
    if (!buffer_reserve(out, length))
        abort(); /* a measurement that drops messages is worth nothing */
    payload_write(publisher->form, &stamp, out->data + out->size);
    out->size += length;
    if (options->way != PUBLISHER_POST)
        buffer_append_text(out, "\r\n");
}

static void flush(struct publisher *publisher)
{
    struct buffer *out = &publisher->out;
    if (out->size == 0)
        return;
    ssize_t sent = send(publisher->socket, out->data + publisher->out_sent, out->size - publisher->out_sent,
                        MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != ENOTCONN)
        publisher->counts.errors++;
    if (sent > 0)
        publisher->out_sent += (size_t)sent;
    bool complete = publisher->out_sent == out->size;
    if (complete) {
        buffer_reset(out);
        publisher->out_sent = 0;
    }
    bool burst_goes_on = publisher->rate <= 0 && publisher->counts.published < publisher->target;
    bool writing = !complete || burst_goes_on;
    if (writing != publisher->writing)
        watch_modify(publisher->loop, publisher->socket, writing ? EPOLLIN | EPOLLOUT : EPOLLIN,
                     &publisher->socket_watch);
    publisher->writing = writing;
}

static void publish_due(struct publisher *publisher)
{
    uint64_t now_ns = clock_now_ns();
    uint64_t due = publisher->target;
    if (publisher->rate > 0) {
        double elapsed_seconds = (double)(now_ns - publisher->start_ns) / 1e9;
        uint64_t scheduled = publisher->start_published + 1 + (uint64_t)(elapsed_seconds * publisher->rate);
        if (scheduled < due)
            due = scheduled;
        double next_second =
            (double)(publisher->counts.published - publisher->start_published) / publisher->rate;
        double late_us = (elapsed_seconds - next_second) * 1e6;
        if (publisher->counts.published < due && late_us > (double)publisher->counts.late_us_max)
            publisher->counts.late_us_max = (uint64_t)late_us;
    }
    while (publisher->counts.published < due && publisher->out.size - publisher->out_sent < PENDING_BYTES_MAX)
        append_publish(publisher, now_ns);
    flush(publisher);
}

static void stop_timer(struct publisher *publisher)
{
    struct itimerspec off = { 0 };
    timerfd_settime(publisher->timer, 0, &off, NULL);
}

static void timer_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct publisher *publisher = LIST_OWNER(watch, struct publisher, timer_watch);
    uint64_t expirations;
    if (read(publisher->timer, &expirations, sizeof expirations) < 0)
        return;
    publish_due(publisher);
    if (publisher->counts.published == publisher->target)
        stop_timer(publisher);
}

/* --- replies
 * ------------------------------------------------------------------------------------------------------- */

/* `:<receivers>\r\n`, `$<length>\r\n<id>\r\n` or `-<problem>\r\n`, cut anywhere. */
static void take_redis_byte(struct publisher *publisher, char byte)
{
    if (byte == '\n') {
        publisher->counts.answered += !publisher->reply_is_length;
        publisher->counts.errors += publisher->reply_is_error;
        publisher->counts.without_receiver += publisher->reply_is_zero;
        publisher->reply_length = 0;
        return;
    }
    if (publisher->reply_length == 0) {
        publisher->reply_is_error = byte == '-';
        publisher->reply_is_length = byte == '$';
    }
    if (publisher->reply_length == 1)
        publisher->reply_is_zero = byte == '0' && publisher->options->way == PUBLISHER_PUBLISH;
    publisher->reply_length++;
}

/* `HTTP/1.1 2…`, then lines that are none. */
static void take_http_byte(struct publisher *publisher, char byte)
{
    static const char status[] = "HTTP/1.1 ";
    size_t at = publisher->reply_length++;
    if (byte == '\n')
        publisher->reply_length = 0;
    if (at == 0)
        publisher->reply_is_status = true;
    if (at < strlen(status))
        publisher->reply_is_status &= byte == status[at];
    else if (at == strlen(status) && publisher->reply_is_status) {
        publisher->counts.answered++;
        publisher->counts.errors += byte != '2';
    }
}

static void take_replies(struct publisher *publisher, const char *bytes, size_t length)
{
    bool is_http = publisher->options->way == PUBLISHER_POST;
    for (size_t i = 0; i < length; i++)
        if (is_http)
            take_http_byte(publisher, bytes[i]);
        else
            take_redis_byte(publisher, bytes[i]);
}

static void socket_ready(struct watch *watch, uint32_t events)
{
    struct publisher *publisher = LIST_OWNER(watch, struct publisher, socket_watch);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        char bytes[16384];
        ssize_t count = recv(publisher->socket, bytes, sizeof bytes, MSG_DONTWAIT);
        if (count > 0) {
            take_replies(publisher, bytes, (size_t)count);
        } else if (count == 0 || errno != EAGAIN) {
            publisher->counts.errors++;
            watch_remove(publisher->loop, publisher->socket);
            return;
        }
    }
    if (events & EPOLLOUT)
        publish_due(publisher);
}

/* --- life
 * ----------------------------------------------------------------------------------------------------------
 */

struct publisher *publisher_create(int loop, const struct publisher_options *options,
                                   const struct payload_form *form)
{
    struct publisher *publisher = calloc(1, sizeof *publisher);
    if (!publisher)
        return NULL;
    publisher->loop = loop;
    publisher->options = options;
    publisher->form = form;
    publisher->socket_watch.ready = socket_ready;
    publisher->timer_watch.ready = timer_ready;
    publisher->socket = address_connect(&options->to);
    publisher->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (publisher->socket < 0 || publisher->timer < 0 ||
        !watch_add(loop, publisher->socket, EPOLLIN, &publisher->socket_watch) ||
        !watch_add(loop, publisher->timer, EPOLLIN, &publisher->timer_watch)) {
        publisher_destroy(publisher);
        return NULL;
    }
    return publisher;
}

void publisher_destroy(struct publisher *publisher)
{
    if (!publisher)
        return;
    if (publisher->socket >= 0)
        close(publisher->socket);
    if (publisher->timer >= 0)
        close(publisher->timer);
    buffer_free(&publisher->out);
    free(publisher);
}

bool publisher_start(struct publisher *publisher, uint64_t count, double rate)
{
    publisher->target = publisher->counts.published + count;
    publisher->start_published = publisher->counts.published;
    publisher->start_ns = clock_now_ns();
    publisher->rate = rate;
    publisher->counts.late_us_max = 0;
    if (rate <= 0) {
        publish_due(publisher);
        return true;
    }
    double tick_ns = 1e9 / rate < TICK_NS_MIN ? TICK_NS_MIN : 1e9 / rate;
    struct timespec tick = { (time_t)(tick_ns / 1e9),
                             (long)(tick_ns - (double)(time_t)(tick_ns / 1e9) * 1e9) };
    struct itimerspec schedule = { .it_interval = tick, .it_value = { 0, 1 } };
    return timerfd_settime(publisher->timer, 0, &schedule, NULL) == 0;
}

bool publisher_idle(const struct publisher *publisher)
{
    return publisher->counts.published == publisher->target &&
           publisher->counts.answered == publisher->target;
}

const struct publisher_counts *publisher_counts(const struct publisher *publisher)
{
    return &publisher->counts;
}
