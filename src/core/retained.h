/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker that retains the values (docs/retained.md): what it keeps is to be what the tree has.
 *
 * Whatever the broker says of a path is compared with the tree.  Something else is amended: by the
 * server that comes first for that path, at once, and by others if that does not happen.
 *
 *     connected, ready -> LOADING: it says all that it retains
 *                      -> LOOKING: it is asked for each value that it did not say, one by one, since
 *                                  brokers drop what goes beyond their limits, and do not tell
 *                      -> SAYING:  what it does not have then, it is told, as fast as it is heard
 *                                  to take it; over and over until it has everything
 *                      -> KEPT
 */
#ifndef MKV_CORE_RETAINED_H
#define MKV_CORE_RETAINED_H

#include "base/buf.h"
#include "core/amends.h"
#include "core/now.h"
#include "wire/update.h"

#define MKV_RETAINED_HEARD_MAX (1U << 24) /* values; of more the broker is told once more */
#define MKV_RETAINED_LOOKS     200U       /* asked for at a time */
#define MKV_RETAINED_SAID      1000U      /* told and not heard yet, at most ... */
#define MKV_RETAINED_SAID_SIZE (4U << 20) /* ... and so many bytes */

enum mkv_retained_phase {
    MKV_RETAINED_AWAY, /* no broker, or not ready to serve */
    MKV_RETAINED_LOADING,
    MKV_RETAINED_LOOKING,
    MKV_RETAINED_SAYING,
    MKV_RETAINED_KEPT,
};

struct mkv_retained {
    enum mkv_retained_phase phase;
    struct mkv_map heard; /* of a path: which entry the broker has, if it is that of the tree */
    struct mkv_amends amends;
    struct mkv_buf place; /* LOOKING, SAYING: how far this turn has come; a key */
    uint32_t n_looks;     /* asked for, not answered yet */
    uint32_t n_said;      /* told in this turn, and not heard yet */
    size_t said_size;
    uint64_t n_missing; /* found in this turn */
    uint64_t n_told;    /* since the broker is there */
    int64_t heard_ms;   /* the last message on d/ */
    int64_t looked_ms;  /* the last answer to a look */
    int64_t turn_ms;    /* not before this */
    int64_t stuck_ms;   /* by then something has to have happened */
    int64_t rest_ms;    /* between two turns of SAYING */
};

struct mkv_server;

void mkv_retained_init(struct mkv_retained *retained);
void mkv_retained_deinit(struct mkv_retained *retained);

/* The broker has gone, or what was stored has not: all begins anew. */
void mkv_retained_reset(struct mkv_server *server, struct mkv_now now);

/*
 * An update has been heard, and dealt with; or (NULL) something that is none, on the topic of @key.
 * @was_held: it was what the tree had before.  NO_MEMORY.
 */
int mkv_retained_heard(struct mkv_server *server,
                       struct mkv_now now,
                       struct mkv_bytes key,
                       const struct mkv_update *update,
                       bool was_held) MKV_MUST_CHECK;

/* Does what is due.  NO_MEMORY, errors of the store. */
int mkv_retained_time(struct mkv_server *server, struct mkv_now now) MKV_MUST_CHECK;

/* What the tree has at @key now was learnt by another way than the broker's, or is being published.  NO_MEMORY. */
int mkv_retained_learnt(struct mkv_server *server,
                        struct mkv_now now,
                        struct mkv_bytes key) MKV_MUST_CHECK;

#endif
