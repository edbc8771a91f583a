/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of core/client_effect.h: a queue of encoded outputs.
 *
 * Each is one piece of memory with all its bytes, so that it can be handed on and outlive the
 * step.  For each operation of the application that is open there is a spare output, since its
 * completion must get through even without memory.
 */
#ifndef MKV_NODE_CLIENT_EFFECTS_H
#define MKV_NODE_CLIENT_EFFECTS_H

#include "core/client_effect.h"

enum mkv_client_output_kind {
    MKV_CLIENT_LINK_CONNECT,    /* text: the address */
    MKV_CLIENT_LINK_SEND,       /* payload: one frame, length included */
    MKV_CLIENT_LINK_PROVE,      /* text: the mechanism, or empty; payload: the message */
    MKV_CLIENT_LINK_CLOSE,      /* what is queued goes out before */
    MKV_CLIENT_MQTT_CONNECT,    /* broker */
    MKV_CLIENT_MQTT_REDIRECT,   /* text: the address */
    MKV_CLIENT_MQTT_DISCONNECT, /* there may be no connection */
    MKV_CLIENT_MQTT_SUBSCRIBE,  /* text: the filter; qos, cookie */
    MKV_CLIENT_MQTT_UNSUBSCRIBE,
    MKV_CLIENT_MQTT_PUBLISH, /* text: the topic; payload, qos, cookie */
    MKV_CLIENT_ROW,          /* id, key, entry */
    MKV_CLIENT_CHILD,        /* id, key, n, own */
    MKV_CLIENT_LOST,         /* id, key, perhaps entry, winner, conflict */
    MKV_CLIENT_FACT,         /* id, payload: a map */
    MKV_CLIENT_TELL,         /* a watch: id, watch, key, entry */
    MKV_CLIENT_DONE,         /* id, status, perhaps key and entry; a report in payload */
    MKV_CLIENT_NOTICE,       /* notice, status, text, n; of a conflict key, entry, winner */
};

struct mkv_client_output {
    struct mkv_client_output *next;
    enum mkv_client_output_kind kind;
    bool is_static; /* not to be freed */
    bool own;
    bool has_report;
    uint32_t qos;
    int status;
    enum mkv_client_watch_kind watch;
    enum mkv_client_notice_kind notice;
    uint64_t id;
    uint64_t cookie;
    uint64_t n;
    struct mkv_bytes key;
    struct mkv_bytes text;
    struct mkv_bytes payload;
    struct mkv_client_broker broker;
    const struct mkv_update *entry; /* or NULL; of a conflict the loser */
    const struct mkv_update *winner;
    struct { /* of LOST; as in wire/conflict.h */
        uint64_t id;
        uint64_t when;
        uint64_t more;
        uint32_t class_;
    } conflict;
};

struct mkv_client_effects {
    struct mkv_client_output *head; /* owned */
    struct mkv_client_output *tail;
    struct mkv_client_output *spares; /* owned: one for each open operation */
    bool link_failed;                 /* an effect on it was lost: it has to be closed */
    bool mqtt_failed;
    struct mkv_client_output close_link; /* static ones, for when there is no memory */
    struct mkv_client_output drop_mqtt;
};

void mkv_client_effects_init(struct mkv_client_effects *effects);
void mkv_client_effects_deinit(struct mkv_client_effects *effects);

/* Makes sure that one more operation can complete; undone by mkv_client_effects_unspare(). */
int mkv_client_effects_spare(struct mkv_client_effects *effects) MKV_MUST_CHECK;
void mkv_client_effects_unspare(struct mkv_client_effects *effects);

/* Appends one of the static outputs, unless it is in the queue already. */
void mkv_client_effects_append_static(struct mkv_client_effects *effects,
                                      struct mkv_client_output *output);

/* The next output, which is then the caller's; NULL if there is none. */
struct mkv_client_output *mkv_client_effects_take(struct mkv_client_effects *effects);

void mkv_client_output_free(struct mkv_client_output *output);

#endif
