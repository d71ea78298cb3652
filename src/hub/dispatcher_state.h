/*
 * What the dispatcher is made of, for the files that are the dispatcher:
 *
 *   dispatcher.c          ports, wishes, what Redis says
 *   dispatcher_publish.c  one PUBLISH, by however many topics it comes
 *   dispatcher_topics.c   the topics, and their subscriptions
 */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "hub/dispatcher.h"
#include "hub/ring.h"

struct dispatcher_port {
    unsigned number;
    bool has_lost; /* events, for want of memory or of time; those of this turn are nothing to it any more */
    dispatcher_deliver *deliver;
    void *context;
    struct hub_events events; /* of this turn */
};

struct dispatcher_topic {
    enum topic_kind kind;
    bool is_confirmed;
    bool again;                 /* it was subscribed before the feed was lost */
    struct list in_publish;     /* the open PUBLISH has come by it */
    struct entry_id last_entry; /* a stream: the newest the tail has brought */
    struct ring ring;           /* channels and patterns: while there are several ports */
    uint64_t key_floor;         /* a batch's channel: its snapshot's key changed last behind this message */
    uint8_t *interests;         /* of each port: bits of enum dispatcher_interest */
    size_t length;
    char name[]; /* and the interests behind it */
};

struct dispatcher {
    struct dispatcher_options options;
    struct dispatcher_source source;
    struct metrics *metrics;
    struct event *flush; /* ends the turn when nobody else does */
    bool feed_up;
    int64_t client_id;
    uint64_t generation;
    uint64_t sequence;          /* of the newest message of any topic */
    uint64_t up_sequence;       /* where the feed came back */
    _Atomic uint64_t newest;    /* what anybody has been told */
    struct message *publish;    /* the open one: not told yet, for it may come by more topics; or NULL */
    struct list publish_topics; /* by which it has come, in this order */
    struct map *topics[TOPIC_KINDS];
    unsigned port_count;
    unsigned hub_count;                                 /* ports that are told */
    struct dispatcher_port *hubs[DISPATCHER_PORTS_MAX]; /* these */
    struct dispatcher_port ports[DISPATCHER_PORTS_MAX];
};

/* dispatcher_topics.c */
/* Subscribed, and wanted by nobody yet. NULL when the feed is down or memory is short. */
struct dispatcher_topic *dispatcher_add_topic(struct dispatcher *dispatcher,
                                              const struct dispatcher_wish *wish);
void dispatcher_forget_topic(struct dispatcher *dispatcher, struct dispatcher_topic *topic);
void dispatcher_forget_topics(struct dispatcher *dispatcher, enum topic_kind kind);
/* Unsubscribes and forgets a confirmed topic that no port wants; true if so. */
bool dispatcher_drop_if_unwanted(struct dispatcher *dispatcher, struct dispatcher_topic *topic);

/* dispatcher.c */
/* Adds position and generation. Takes over event->kept in any case. */
void dispatcher_tell(struct dispatcher *dispatcher, struct dispatcher_port *port, struct hub_event event);
void dispatcher_tell_those_who_want(struct dispatcher *dispatcher, const struct dispatcher_topic *topic,
                                    struct hub_event *event);

/* dispatcher_publish.c */
/* Gives the open PUBLISH its place and tells it. A no-op if there is none. */
void dispatcher_end_publish(struct dispatcher *dispatcher);
/* More of it is on its way: it comes by another pattern, which is not here yet. */
bool dispatcher_publish_is_in_part(const struct dispatcher *dispatcher);
