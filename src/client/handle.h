/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handle: a client node bound to sockets, a broker and a clock.
 *
 *     io callback, call of the application -> node -> outputs: to io at once,
 *                                                     to the application from moatkv_dispatch()
 */
#ifndef MKV_CLIENT_HANDLE_H
#define MKV_CLIENT_HANDLE_H

#include <moatkv/client.h>

#include "base/map.h"
#include "client/identity.h"
#include "io/link.h"
#include "io/loop.h"
#include "io/mqtt.h"
#include "node/client.h"

/* An operation that is open. */
struct mkv_operation {
    uint64_t id;
    enum mkv_client_order_kind kind;
    moatkv_on_entry on_entry; /* GET, READ, WRITE; this and the others may be NULL */
    moatkv_on_child on_child;
    moatkv_on_conflict on_conflict;
    moatkv_on_watch on_watch;
    moatkv_on_report on_report;
    moatkv_on_done on_done;
    void *user;
};

struct moatkv {
    struct mkv_loop *loop;
    struct mkv_link *link;    /* or NULL */
    struct mkv_link *closing; /* the one before, while its last frames go out; or NULL */
    struct mkv_mqtt *mqtt;    /* or NULL */
    struct mkv_identity identity;
    struct mkv_client_node node;

    struct mkv_client_output *told; /* owned: outputs for the application, in order */
    struct mkv_client_output *told_last;
    struct mkv_map operations; /* id -> struct mkv_operation, owned */
    uint64_t last_id;
    moatkv_on_event on_event;
    void *event_user;

    bool dispatching;
    bool close_wanted;     /* by a callback */
    struct mkv_buf key;    /* scratch: path of a call */
    struct mkv_buf path;   /* scratch: dotted path of an entry in a callback */
    struct mkv_buf detail; /* scratch: text that was handed out */
};

/* handle.c: milliseconds for the node. */
int64_t mkv_handle_now_ms(void);

/* carry.c: carries out what the node wants of the network, and keeps the rest in told. */
void mkv_handle_carry_out(moatkv *kv);

/* deliver.c: calls the application for what it is to be told, until nothing is left. */
void mkv_handle_deliver(moatkv *kv);

/*
 * handle.c: starts an operation; @operation is copied, its id and kind are set.  Errors as
 * mkv_client_node_order().
 */
int mkv_handle_order(moatkv *kv,
                     struct mkv_client_order *order,
                     const struct mkv_operation *operation,
                     uint64_t *ret_id) MKV_MUST_CHECK;

#endif
