/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What core/client.h wants done.
 *
 * The functions are declared here and have their body in src/node, which encodes at once and queues
 * the result: nothing borrowed has to live on.  Effects are carried out in the order of the calls.
 *
 * Where a function returns nothing, a failure (memory) breaks the connection it was for: the sink
 * reports that as an event after the step, and everything goes on as after any other loss.
 */
#ifndef MKV_CORE_CLIENT_EFFECT_H
#define MKV_CORE_CLIENT_EFFECT_H

#include "base/bytes.h"
#include "base/error.h"
#include "wire/child.h"
#include "wire/conflict.h"
#include "wire/frame.h"

struct mkv_client_effects;

/* The link: one at a time.  Connecting drops the former; closing lets queued frames go out. */
void mkv_client_effect_link_connect(struct mkv_client_effects *out, struct mkv_bytes address);
void mkv_client_effect_link_send(struct mkv_client_effects *out, const struct mkv_frame *frame);
void mkv_client_effect_link_close(struct mkv_client_effects *out);

/*
 * Has the next message of a login by password made, by whoever knows the password: @mechanism begins it, empty
 * it goes on with what the server sent.  The event LINK_PROOF tells what came of it.
 */
void mkv_client_effect_link_prove(struct mkv_client_effects *out,
                                  struct mkv_bytes mechanism,
                                  struct mkv_bytes message);

/* A broker and who we are there. */
struct mkv_client_broker {
    struct mkv_bytes address;
    struct mkv_bytes client_id;
    bool has_user;
    bool has_password;
    struct mkv_bytes user;
    struct mkv_bytes password;
};

struct mkv_client_publication {
    struct mkv_bytes topic;
    struct mkv_bytes payload;
    uint32_t qos;
    uint64_t cookie;
};

/*
 * The connection to the broker: one at a time, connecting drops the former.  It reconnects by
 * itself, to the same address until it is redirected.  Requests are answered by their cookie.
 */
void mkv_client_effect_mqtt_connect(struct mkv_client_effects *out,
                                    const struct mkv_client_broker *broker);
void mkv_client_effect_mqtt_redirect(struct mkv_client_effects *out, struct mkv_bytes address);
void mkv_client_effect_mqtt_disconnect(struct mkv_client_effects *out);
int mkv_client_effect_mqtt_subscribe(struct mkv_client_effects *out,
                                     struct mkv_bytes filter,
                                     uint32_t qos,
                                     uint64_t cookie) MKV_MUST_CHECK;
void mkv_client_effect_mqtt_unsubscribe(struct mkv_client_effects *out, struct mkv_bytes filter);
int mkv_client_effect_mqtt_publish(struct mkv_client_effects *out,
                                   const struct mkv_client_publication *publication) MKV_MUST_CHECK;

enum mkv_client_watch_kind {
    MKV_CLIENT_WATCH_STATE = 1,
    MKV_CLIENT_WATCH_SYNCED = 2, /* without an entry */
    MKV_CLIENT_WATCH_CHANGE = 3,
    MKV_CLIENT_WATCH_WITHDRAWN = 4,
};

enum mkv_client_notice_kind {
    MKV_CLIENT_CONNECTED = 1,
    MKV_CLIENT_DISCONNECTED = 2,
    MKV_CLIENT_FAILED = 3,
    MKV_CLIENT_READY = 4,
    MKV_CLIENT_CONFLICT = 5,
    MKV_CLIENT_STORING = 6,
    MKV_CLIENT_ROOM = 7,
    MKV_CLIENT_REPAIRED = 8,
};

struct mkv_client_notice {
    enum mkv_client_notice_kind kind;
    int code;                        /* an error; of a conflict its class */
    struct mkv_bytes text;           /* may be empty */
    uint64_t n;                      /* REPAIRED: entries that were missed or are ahead; CONFLICT:
                                        those before that were not told */
    struct mkv_bytes key;            /* CONFLICT */
    const struct mkv_update *loser;  /* CONFLICT */
    const struct mkv_update *winner; /* CONFLICT */
};

/* To the application.  Where an error is returned, nothing was told. */
int mkv_client_effect_row(struct mkv_client_effects *out,
                          uint64_t id,
                          struct mkv_bytes key,
                          const struct mkv_update *entry) MKV_MUST_CHECK;
int mkv_client_effect_child(struct mkv_client_effects *out,
                            uint64_t id,
                            struct mkv_bytes key,
                            const struct mkv_child *child) MKV_MUST_CHECK;
/* A CBOR map with text keys, one of several. */
int mkv_client_effect_fact(struct mkv_client_effects *out,
                           uint64_t id,
                           struct mkv_bytes map) MKV_MUST_CHECK;
/* A conflict at @key; @row NULL: all that there were have been told. */
int mkv_client_effect_lost(struct mkv_client_effects *out,
                           uint64_t id,
                           struct mkv_bytes key,
                           const struct mkv_conflict_row *row) MKV_MUST_CHECK;
/* @entry is NULL for SYNCED. */
int mkv_client_effect_watch(struct mkv_client_effects *out,
                            uint64_t id,
                            enum mkv_client_watch_kind kind,
                            struct mkv_bytes key,
                            const struct mkv_update *entry) MKV_MUST_CHECK;
void mkv_client_effect_notice(struct mkv_client_effects *out,
                              const struct mkv_client_notice *notice);

/*
 * Completes an operation; this never fails, but without memory the entry or report is left out
 * and a read gets NO_MEMORY.  @entry may be NULL.
 */
void mkv_client_effect_done(struct mkv_client_effects *out,
                            uint64_t id,
                            int status,
                            struct mkv_bytes key,
                            const struct mkv_update *entry);
void mkv_client_effect_report(struct mkv_client_effects *out, uint64_t id, struct mkv_bytes report);

#endif
