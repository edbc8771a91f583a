/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the daemon share: daemon.c (beginning and end), pump.c (from the node to the
 * world), links.c, bus.c (MQTT and the embedded broker).  Nobody else includes this.
 */
#ifndef MKV_DAEMON_INNER_H
#define MKV_DAEMON_INNER_H

#include "base/map.h"
#include "daemon/access.h"
#include "daemon/daemon.h"
#include "daemon/quarantine.h"
#include "io/backoff.h"
#include "io/broker.h"
#include "io/door.h"
#include "io/link.h"
#include "io/listener.h"
#include "io/loop.h"
#include "io/mqtt.h"
#include "io/sasl.h"
#include "io/signals.h"
#include "io/tls.h"
#include "node/server.h"
#include "store/store.h"
#include "wire/ring.h"

#define MKV_DAEMON_LINKS_MAX                                                                       \
    (MKV_SERVER_LINKS_MAX + 64U) /* room for those to be told that it is full */

#define MKV_DAEMON_DIALS_MAX 8U /* room for those that we open ourselves */

/* How another server logs in here, by one of the cluster's keys. */
struct kin {
    char user[sizeof(((struct mkv_ring_login *)NULL)->user)];
    struct mkv_scram_secret secret;
};

#define MKV_DAEMON_GUARD_AGAIN_MS 10000 /* a file of rights that could not be written */

struct connection {
    struct daemon *daemon;
    uint64_t number;
    struct mkv_link *link; /* owned */
    struct mkv_sasl *sasl; /* owned; while somebody logs in, here or we there; or NULL */
    bool open;             /* false while it is being dialled */
};

_Static_assert(MKV_DAEMON_LISTEN_MAX <= MKV_ADDRESSES_MAX, "all that we listen on can be told");

struct daemon {
    const struct mkv_daemon_config *config;
    struct mkv_loop *loop;
    struct mkv_signals *signals;
    struct mkv_store *store;
    struct mkv_store_report report; /* of its opening */
    struct mkv_ring ring;           /* the cluster's keys */
    bool founds;                    /* the key is new, and not on the disk yet */
    uint32_t mark;                  /* of our connections to the broker, drawn at the start */
    struct mkv_quarantine_file quarantine;
    uint64_t quarantine_said;  /* rows in it when it was last told of */
    struct mkv_access access;  /* if config->guard */
    uint32_t acl_version;      /* of the rights that the guard has been told, or could not be ... */
    int64_t acl_again_ms;      /* ... and when to try that again; 0: it has them */
    int64_t new_key_ms;        /* when to give credentials by the new key; 0: so it is */
    struct mkv_broker *broker; /* NULL: not embedded */
    struct mkv_mqtt *mqtt;
    struct mkv_listener *listeners[MKV_DAEMON_LISTEN_MAX];
    uint32_t n_listeners;
    struct mkv_tls *tls;     /* owned; NULL: no tls:// address */
    struct mkv_tls *tls_out; /* owned; for those that we dial */
    struct kin kin[MKV_RING_KEYS_MAX];
    uint32_t n_kin;
    struct mkv_map connections; /* by number; owned */
    uint64_t n_connections;     /* numbers given out */
    struct mkv_server_node *node;
    struct mkv_backoff backoff; /* of logins */
    struct mkv_door door;       /* of links */
    uint8_t fake_key[32];       /* of users that there are not */
    struct mkv_timer resubscribe;
    uint32_t asked;          /* bits: our subscriptions on the present connection that are ... */
    uint32_t granted;        /* ... on their way or granted, and those granted */
    uint32_t n_refusals;     /* of this connection, in a row */
    uint32_t n_subscribed;   /* how often we asked on this connection */
    struct mkv_why mqtt_why; /* what was said last about the broker ... */
    int64_t mqtt_say_ms;     /* ... and when it may be said again */
    int64_t ask_clock_ms;    /* when to ask again whether the clock is to be trusted */
    bool clock_trusted;
    bool ready_said;
    bool ending;
    bool broker_ready;
    uint32_t n_broker_waits; /* while its socket or port was in use, at the start */
    bool broker_stopped;
    int error;
    struct mkv_why why;

    /* What the node's configuration borrows. */
    char address_texts[MKV_ADDRESSES_MAX + MKV_DAEMON_BROKERS_MAX][MKV_ADDRESS_TEXT_MAX];
    uint32_t n_address_texts;
    char host[256];
    char quarantine_text[MKV_QUARANTINE_NAME_MAX];
};

/* pump.c */
struct mkv_now mkv_daemon_now(struct daemon *daemon);
void mkv_daemon_pump(struct daemon *daemon);
void mkv_daemon_say(const struct daemon *daemon, enum mkv_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* links.c */
int mkv_daemon_open_listeners(struct daemon *daemon, struct mkv_why *why) MKV_MUST_CHECK;
void mkv_daemon_dial(struct daemon *daemon, uint64_t number, struct mkv_bytes text);
void mkv_daemon_close_links(struct daemon *daemon);

/* login.c */
void mkv_daemon_prepare_logins(struct daemon *daemon);
void mkv_daemon_login(struct daemon *daemon, const struct mkv_output *output);

/* kin.c */
/* After each change of the ring.  NO_MEMORY, and what mkv_tls_client_new() returns. */
int mkv_daemon_prepare_kin(struct daemon *daemon) MKV_MUST_CHECK;
/* Whether somebody with that name wants to be a server ... */
bool mkv_daemon_is_kin(const char *user);
/* ... of ours. */
bool mkv_daemon_find_kin(const struct daemon *daemon,
                         const char *user,
                         struct mkv_scram_secret *ret_secret);
/* MKV_OUTPUT_SASL of a link that we dialled. */
void mkv_daemon_show_kin(struct daemon *daemon,
                         struct connection *connection,
                         const struct mkv_output *output);

/* retained.c */
#define MKV_DAEMON_LOOKED UINT64_MAX /* cookie: the broker was asked for what it retains */
/*
 * Whether all values that the store has can be retained in the codec of the cluster.  UNFIT, with @why; errors of
 * the store.
 */
int mkv_daemon_check_fit(struct daemon *daemon, struct mkv_why *why) MKV_MUST_CHECK;
/* A message from the broker. */
void mkv_daemon_hear(struct daemon *daemon, const struct mkv_mqtt_message *message);
/* MKV_OUTPUT_PUBLISH and MKV_OUTPUT_LOOK. */
void mkv_daemon_publish(struct daemon *daemon, const struct mkv_output *output);
void mkv_daemon_look(struct daemon *daemon, const struct mkv_output *output);
void mkv_daemon_looked(struct daemon *daemon, int error, const struct mkv_why *why);

/* bus.c */
void mkv_daemon_say_ready(struct daemon *daemon);
void mkv_daemon_drain(struct daemon *daemon);
int mkv_daemon_start_broker(struct daemon *daemon, struct mkv_why *why) MKV_MUST_CHECK;
void mkv_daemon_stop_broker(struct daemon *daemon);
void mkv_daemon_use_key(struct daemon *daemon);
int mkv_daemon_open_mqtt(struct daemon *daemon, struct mkv_why *why) MKV_MUST_CHECK;
void mkv_daemon_subscribe(void *context);

#endif
