/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port through which the server core speaks.  Body: src/node/server.c.
 *
 * Each call copies (encodes) what it is given at once, and holds it back until the store has
 * committed; if the commit fails, everything of the batch is dropped.  So nothing that an effect
 * points to has to outlive the call.  Running out of memory is remembered there and fails the
 * batch; the core need not look.
 */
#ifndef MKV_CORE_EFFECT_H
#define MKV_CORE_EFFECT_H

#include <stdint.h>

#include "base/bytes.h"
#include "wire/act.h"
#include "wire/frame.h"
#include "wire/svc.h"
#include "wire/update.h"

struct mkv_effects;

enum mkv_log_level {
    MKV_LOG_ERROR,   /* the server cannot do its job */
    MKV_LOG_WARNING, /* somebody should look at it */
    MKV_LOG_INFO,
    MKV_LOG_DEBUG,
};

/* Sends @frame over link number @link. */
void mkv_effect_send(struct mkv_effects *effects, uint64_t link, const struct mkv_frame *frame);

/* Closes the link once everything sent before is out. */
void mkv_effect_close(struct mkv_effects *effects, uint64_t link);

/*
 * Has a message of an authentication looked at: @mechanism begins one, empty it goes on with that of this
 * link.  On a link that we dialled, it begins with none, and shows the cluster's key.
 * mkv_server_judged() tells what came of it.
 */
void mkv_effect_sasl(struct mkv_effects *effects,
                     uint64_t link,
                     struct mkv_bytes mechanism,
                     struct mkv_bytes message);

/* Publishes the update on the topic of @key. */
void mkv_effect_publish(struct mkv_effects *effects,
                        struct mkv_bytes key,
                        const struct mkv_update *update);

/*
 * Opens a link to another server: @address is text as servers tell it (docs/protocol.md, 9), @link
 * the number that it will have, MKV_LINK_OUT or more.  mkv_server_dialled() tells how it went.
 */
void mkv_effect_dial(struct mkv_effects *effects, uint64_t link, struct mkv_bytes address);

/*
 * Sets an entry aside that is about to be removed or replaced although nothing newer is known of:
 * it must be safe elsewhere before the batch is committed.
 */
void mkv_effect_quarantine(struct mkv_effects *effects,
                           struct mkv_bytes key,
                           const struct mkv_update *entry);

/* The server cannot go on, and @reason says why and how to mend it.  Only the first one counts. */
void mkv_effect_stop(struct mkv_effects *effects, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Asks a broker that retains for what it has at @key; empty: for everything.  mkv_server_looked() follows when it
 * has been asked, and as a rule has said it.
 */
void mkv_effect_look(struct mkv_effects *effects, struct mkv_bytes key);

/* Publishes on <root>/svc/act, with QoS 0: the next one comes soon. */
void mkv_effect_ping(struct mkv_effects *effects, const struct mkv_ping *ping);

/* Publishes on <root>/svc/server. */
void mkv_effect_reply(struct mkv_effects *effects, const struct mkv_server_reply *reply);

/* Whether more should be made now, or what is held back should go first. */
bool mkv_effect_room(const struct mkv_effects *effects);

/* A line for the log: no values, no secrets. */
void mkv_effect_log(struct mkv_effects *effects, enum mkv_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
