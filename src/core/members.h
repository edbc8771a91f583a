/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The persistent servers of the cluster: those whose store counts when deletions are forgotten
 * (docs/protocol.md, 12).  They are entries like others, so that they travel, and are agreed upon,
 * like others:
 *
 *     [null, "servers", <uuid>] = {"name": "attic", "state": "active", "cluster": <uuid>}
 *
 * or "evicted".  The cluster is named by the uuid of the server that founded it, by vouching for
 * the first other one.  When two clusters meet, entries of the other one are no members here: what
 * those servers have accepted nobody here has waited for.
 *
 * This is a copy of them, made anew when the digest of that subtree has changed.
 */
#ifndef MKV_CORE_MEMBERS_H
#define MKV_CORE_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/limits.h"
#include "core/order.h"
#include "core/store.h"

#define MKV_UUID_LEN    16U
#define MKV_MEMBERS_MAX 1024U /* more: nothing is forgotten any more, and the log says so */

struct mkv_member {
    uint8_t uuid[MKV_UUID_LEN];
    uint8_t cluster[MKV_UUID_LEN];
    bool active;   /* false: evicted */
    uint64_t tock; /* of its entry */
    char name[MKV_NAME_MAX + 1];
};

/* Zeroed is empty and will be read at the first refresh. */
struct mkv_members {
    struct mkv_member *at; /* owned; in the order of their uuids; all of our cluster */
    uint32_t n;
    bool read;
    bool too_many;
    uint32_t n_versions; /* how often they have changed */
    uint8_t own_cluster[MKV_UUID_LEN];
    uint64_t own_tock;        /* of our own entry, whatever it says; 0: there is none */
    struct mkv_digest digest; /* of the subtree that it was made from */
};

void mkv_members_deinit(struct mkv_members *members);

/* Looks whether the entries have changed.  NO_MEMORY, errors of the store. */
int mkv_members_refresh(struct mkv_members *members, struct mkv_store *store) MKV_MUST_CHECK;

/* The cluster that our own entry names, active or evicted; without one, we are one of our own. */
const uint8_t *mkv_members_cluster(const struct mkv_members *members);

/* NULL: it is none, active or evicted. */
const struct mkv_member *mkv_members_find(const struct mkv_members *members,
                                          const uint8_t uuid[MKV_UUID_LEN]);

/* The tock of the server's entry; 0: it is none, active or evicted. */
uint64_t mkv_members_tock(const struct mkv_members *members, const uint8_t uuid[MKV_UUID_LEN]);

/* Whether the server is one, and active; and under that name. */
bool mkv_members_active(const struct mkv_members *members, const uint8_t uuid[MKV_UUID_LEN]);
bool mkv_members_active_as(const struct mkv_members *members,
                           const uint8_t uuid[MKV_UUID_LEN],
                           struct mkv_bytes name);

/* Appends the bounds of all keys of entries: @from <= key < @to. */
int mkv_members_range(struct mkv_buf *from, struct mkv_buf *to) MKV_MUST_CHECK;

/* Whether @key is that of such an entry, or lies at or below where they are: only servers write there. */
bool mkv_members_are_at(struct mkv_bytes key);

/* Appends the key of a server's entry, and the value that the entry is to have. */
int mkv_member_key(const uint8_t uuid[MKV_UUID_LEN], struct mkv_buf *key) MKV_MUST_CHECK;
int mkv_member_value(const struct mkv_member *member, struct mkv_buf *value) MKV_MUST_CHECK;

#endif
