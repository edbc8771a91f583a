/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conflict as the application sees it.
 */
#ifndef MKV_CLIENT_CONFLICT_H
#define MKV_CLIENT_CONFLICT_H

#include "client/entry.h"
#include "node/client_effects.h"

struct moatkv_conflict {
    uint64_t id;
    uint64_t when;
    uint64_t more;
    bool possible;
    struct moatkv_entry loser;
    struct moatkv_entry winner;
};

/* Fills @conflict for a callback from an output that has one; the path is written to @path. */
void mkv_conflict_present(struct moatkv_conflict *conflict,
                          const struct mkv_client_output *output,
                          struct mkv_buf *path);

#endif
