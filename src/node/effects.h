/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of core/effect.h: a queue of encoded outputs, of which a first part may leave and the
 * rest is held back until a commit releases it, or a failed one drops it.
 */
#ifndef MKV_NODE_EFFECTS_H
#define MKV_NODE_EFFECTS_H

#include <stdbool.h>

#include "base/buf.h"
#include "core/effect.h"
#include "node/server.h"
#include "wire/ring.h"
#include "wire/topic.h"

#define MKV_OUTPUTS_MAX  (256U << 20) /* bytes; beyond: the batch fails with QUEUE_FULL */
#define MKV_OUTPUTS_ROOM (8U << 20)   /* no more pages are made while this much waits */
#define MKV_KEEP_BYTES   (4U << 20)   /* so much to be set aside is handed over at once */

struct mkv_effects {
    struct mkv_buf queue;      /* records: head, topic, payload */
    struct mkv_buf quarantine; /* of this batch: rows of a dump file, one after the other */
    size_t taken;              /* bytes of the queue that have left */
    size_t released;           /* bytes of the queue that may leave */
    int error;                 /* the first that occurred in this batch, or 0 */
    struct mkv_bytes root;
    enum mkv_profile profile;
    uint32_t qos; /* of updates and replies */
    bool retain;  /* updates */
    struct mkv_quarantine keeper;
    struct mkv_ring ring;    /* proves our pings; none: they go without */
    struct mkv_ring updates; /* makes the MACs of updates; none: they go without */
};

/* @root must outlive it. */
void mkv_effects_init(struct mkv_effects *effects,
                      struct mkv_bytes root,
                      enum mkv_profile profile,
                      uint32_t qos);
void mkv_effects_deinit(struct mkv_effects *effects);

void mkv_effects_release(struct mkv_effects *effects);
size_t mkv_effects_held(const struct mkv_effects *effects); /* bytes not released */
void mkv_effects_drop(struct mkv_effects *effects); /* what is held back; clears the error */

/*
 * Hands over what this batch sets aside; from time to time that happens by itself.  It must have
 * happened before the batch is committed; should that fail, it is kept twice, which harms nobody.
 */
int mkv_effects_keep(struct mkv_effects *effects) MKV_MUST_CHECK;

/* Takes the next released output; its bytes are valid until the queue is next changed. */
bool mkv_effects_take(struct mkv_effects *effects, struct mkv_output *ret_output);

#endif
