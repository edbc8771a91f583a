/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client, as a function: an event with its time goes in, effects come out
 * (core/client_effect.h).
 *
 *     link   OFF -> CONNECTING -> GREETING -> AUTH -> UP        one address after the other, dial.h
 *     mqtt   OFF    FINDING (asks a broker for servers)    SESSION (as the session frame says)
 *
 * Reading needs the link; watching and writing need the broker as well, which is connected when
 * they are first asked for.  After each event one round of mkv_client_*_pump() compares what there
 * is with what there should be and does the next thing, so that no order of events is special.
 *
 *     client.c          the link: dialling, opening, keeping alive      client_mqtt.c   the broker
 *     client_request.c  requests over the link                          client_write.c  updates
 *     client_answer.c   what the server answers                         client_detail.c words
 *     client_watch.c    views and their repair                          client_tock.c   the clock
 *     client_conflicts.c  what lost
 */
#ifndef MKV_CORE_CLIENT_H
#define MKV_CORE_CLIENT_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "core/client_effect.h"
#include "core/client_session.h"
#include "core/dial.h"
#include "core/pending.h"
#include "core/told.h"
#include "wire/frame.h"

#define MKV_CLIENT_ORDERS_MAX  1000U     /* operations that wait; more: QUEUE_FULL */
#define MKV_CLIENT_WATCHES_MAX 64U       /* more: TOO_MANY */
#define MKV_CLIENT_FOLLOWS_MAX 4U        /* of conflicts; more: TOO_MANY */
#define MKV_CLIENT_NEVER       INT64_MAX /* as a deadline: none */
#define MKV_QUERY_ID_LEN       16U

/* All is copied. */
struct mkv_client_config {
    struct mkv_addresses servers;
    struct mkv_bytes broker;   /* may be empty */
    struct mkv_bytes root;     /* for asking @broker */
    struct mkv_bytes software; /* our name in the hello */
    struct mkv_bytes host;     /* this machine's name; may be empty */
    uint64_t seed;             /* random */
    bool has_login;            /* a user and a password, known outside: see core/client_effect.h */
    struct mkv_bytes login_server; /* the only address where these are used; empty: everywhere */
};

/* What the application asks for. */
enum mkv_client_order_kind {
    MKV_CLIENT_GET,
    MKV_CLIENT_READ,
    MKV_CLIENT_LIST,
    MKV_CLIENT_STATUS,
    MKV_CLIENT_PING,
    MKV_CLIENT_SERVERS,
    MKV_CLIENT_EVICT,
    MKV_CLIENT_PASSWD,
    MKV_CLIENT_CONFLICTS,
    MKV_CLIENT_WATCH,
    MKV_CLIENT_WRITE,
};

/* A new password, as the server will keep it. */
struct mkv_client_password {
    size_t user_len;
    char user[MKV_SCRAM_USER_MAX];
    uint32_t iterations;
    size_t salt_len;
    uint8_t salt[MKV_SCRAM_SALT_MAX];
    uint8_t stored_key[MKV_SCRAM_KEY_LEN];
    uint8_t server_key[MKV_SCRAM_KEY_LEN];
};

struct mkv_client_order {
    enum mkv_client_order_kind kind;
    uint64_t id;          /* 1 .. 2^61-1; not in use */
    struct mkv_bytes key; /* a valid path; not of STATUS, PING, SERVERS, EVICT */
    uint32_t depth_min;   /* READ */
    uint32_t depth_max;
    uint32_t flags;                      /* MKV_READ_TOMBSTONES, _KEYS_ONLY; MKV_CONFLICTS_FOLLOW */
    bool present;                        /* WRITE: false to delete */
    bool blind;                          /* WRITE: do not look what is there */
    struct mkv_bytes value;              /* WRITE: checked here */
    const struct mkv_ticks *known;       /* WRITE: of what is replaced; NULL: look */
    uint8_t uuid[MKV_STORE_ID_LEN];      /* EVICT */
    struct mkv_client_password password; /* PASSWD */
};

enum mkv_client_event_kind {
    MKV_CLIENT_ON_TICK, /* the deadline has come, or nothing in particular */
    MKV_CLIENT_ON_LINK_OPENED,
    MKV_CLIENT_ON_LINK_FRAME,
    MKV_CLIENT_ON_LINK_BROKEN, /* what the server sent cannot be read; the link is still there */
    MKV_CLIENT_ON_LINK_CLOSED,
    MKV_CLIENT_ON_LINK_PROOF, /* what came of mkv_client_effect_link_prove() */
    MKV_CLIENT_ON_MQTT_CONNECTED,
    MKV_CLIENT_ON_MQTT_DISCONNECTED, /* or an attempt failed */
    MKV_CLIENT_ON_MQTT_GONE,         /* it could not even be tried; nothing follows by itself */
    MKV_CLIENT_ON_MQTT_ANSWERED,
    MKV_CLIENT_ON_MQTT_DRAINED,
    MKV_CLIENT_ON_MQTT_UPDATE,
    MKV_CLIENT_ON_MQTT_REPLY,
    MKV_CLIENT_ON_ORDER,
    MKV_CLIENT_ON_CANCEL,
    MKV_CLIENT_ON_CLOSE, /* says goodbye; then only mkv_client_deinit() */
};

struct mkv_client_event {
    enum mkv_client_event_kind kind;
    int64_t now_ms; /* monotonic, 1 or more */
    int error;      /* LINK_BROKEN, LINK_CLOSED, MQTT_DISCONNECTED, _GONE, _ANSWERED (0: well) */
    struct mkv_bytes why;
    struct mkv_bytes answer; /* LINK_PROOF: to be sent */
    bool done;               /* LINK_PROOF: the server has proved itself, too */
    union {
        const struct mkv_frame *frame;
        uint64_t cookie; /* MQTT_ANSWERED */
        uint64_t id;     /* CANCEL */
        struct {         /* MQTT_UPDATE: not retained, below the present root */
            struct mkv_bytes key;
            const struct mkv_update *content;
        } update;
        const struct mkv_server_reply *reply;
        const struct mkv_client_order *order;
    };
};

enum mkv_client_phase {
    MKV_CLIENT_OFF,
    MKV_CLIENT_CONNECTING,
    MKV_CLIENT_GREETING, /* waits for the server's hello */
    MKV_CLIENT_AUTH,     /* waits for the session */
    MKV_CLIENT_UP,
};

/* Logging in by password. */
enum mkv_client_login {
    MKV_LOGIN_NONE, /* it goes without */
    MKV_LOGIN_BEGUN,
    MKV_LOGIN_ASKED, /* the server's word is awaited */
    MKV_LOGIN_PROVED,
};

enum mkv_client_mqtt_use {
    MKV_CLIENT_MQTT_OFF,
    MKV_CLIENT_MQTT_FINDING,
    MKV_CLIENT_MQTT_SESSION,
};

struct mkv_client_request; /* core/client_parts.h */
struct mkv_client_watch;
struct mkv_client_write;

/* To be read, not written, from outside. */
struct mkv_client {
    /* of the present step only */
    int64_t now_ms;
    struct mkv_client_effects *out;

    struct mkv_client_config config;
    struct mkv_buf config_store; /* owned: the texts of config */
    uint64_t random;

    /* link */
    struct mkv_dial dial;
    enum mkv_client_phase phase;
    enum mkv_client_login login;
    int64_t phase_ms; /* since when */
    int64_t sent_ms;  /* when something was last sent */
    int64_t heard_ms;
    int64_t ping_ms;  /* of the first ping since something was heard; 0: none */
    uint64_t wire_id; /* last one used */
    struct mkv_client_session session;
    struct mkv_fault refusal; /* the last nack, or answer of a broker, or error of the server */
    struct mkv_fault storing; /* the server cannot store now */
    bool closed;

    /* tock, docs/protocol.md section 5 */
    uint64_t tock_seen;
    uint64_t tock_server; /* as last told ... */
    int64_t tock_server_ms;
    bool clock;

    /* broker */
    enum mkv_client_mqtt_use use;
    bool wants_broker; /* something was written or watched */
    bool mqtt_up;
    bool born; /* the server has seen our birth, so it hears what we publish */
    uint32_t broker_index;
    uint32_t n_misses;   /* brokers in a row that could not be reached */
    uint32_t n_renewals; /* of credentials, in a row, since the broker has taken any */
    int64_t renewal_ms;  /* when others were asked for last */
    int64_t redirect_ms; /* when to try the next one; 0: not yet */
    int64_t connect_ms;  /* no broker is connected before */
    uint32_t n_births;
    int64_t birth_ms; /* when to publish it again */
    struct mkv_fault mqtt_fault;
    bool finding_granted; /* subscribed to where servers answer */
    bool finding_asked;
    uint8_t query_id[MKV_QUERY_ID_LEN];
    uint32_t n_queries;
    int64_t query_ms;

    /* updates */
    struct mkv_client_write *writes; /* owned, in the order of the calls */
    struct mkv_client_write *writes_last;
    size_t n_writes;
    size_t writes_bytes;
    struct mkv_pending pending;
    uint64_t counter;  /* last one used in this session */
    int64_t repeat_ms; /* no update is to be repeated before */
    bool room_wanted;

    struct mkv_told told; /* of conflicts that this client's updates were in */

    struct mkv_client_request *requests; /* owned, in the order of the calls */
    struct mkv_client_request *requests_last;
    size_t n_requests;
    size_t n_sent;

    struct mkv_client_watch *watches; /* owned */
    size_t n_watches;
};

/* TOO_MANY or TOO_LARGE servers, BAD_TOPIC, NO_MEMORY. */
int mkv_client_init(struct mkv_client *client,
                    const struct mkv_client_config *config) MKV_MUST_CHECK;
void mkv_client_deinit(struct mkv_client *client);

/*
 * Takes one event.  Orders and cancels may be refused, and then have no other effect: errors of the
 * path or value, QUEUE_FULL, TOO_MANY, NO_MEMORY, NOT_FOUND, BAD_STATE after ON_CLOSE.  All other
 * events give 0.
 */
int mkv_client_step(struct mkv_client *client,
                    const struct mkv_client_event *event,
                    struct mkv_client_effects *out);

/* When ON_TICK is due; MKV_CLIENT_NEVER if nothing is. */
int64_t mkv_client_deadline_ms(const struct mkv_client *client);

/* The topics that messages of the broker belong to, now. */
struct mkv_pending_where mkv_client_where(const struct mkv_client *client);

/* Whether updates can be published and will be heard. */
bool mkv_client_ready(const struct mkv_client *client);

/* Writes that are neither acknowledged nor refused. */
size_t mkv_client_unacknowledged(const struct mkv_client *client);

/* Appends, in words, what is wrong now, and the mend; nothing if all is well.  TOO_LARGE, NO_MEMORY. */
int mkv_client_detail(const struct mkv_client *client, struct mkv_buf *text) MKV_MUST_CHECK;

#endif
