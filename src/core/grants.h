/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rights that the entries of a store grant, and what somebody who asks may see by them.
 *
 * The table is a copy of the entries, made anew when the digest of users or rules has changed, whoever
 * has changed them and in whatever way; so it is right also within a batch, and after one that failed.
 */
#ifndef MKV_CORE_GRANTS_H
#define MKV_CORE_GRANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "core/acl.h"
#include "core/effect.h"
#include "core/store.h"
#include "core/tree.h"

/* Zeroed is one that will be read at the first refresh. */
struct mkv_grants {
    struct mkv_acl *acl; /* owned; NULL as long as nothing has been read */
    bool read;
    uint32_t n_versions; /* how often it has been made */
    uint64_t n_unread;   /* entries that stand for nothing, or deny, since nobody can read them */
    struct mkv_digest users;
    struct mkv_digest rules;
};

void mkv_grants_deinit(struct mkv_grants *grants);

/*
 * Looks whether the entries have changed.  What cannot be read, or is too much, is said in the log when
 * that changes.  NO_MEMORY, errors of the store: it has to be asked again before it is used.
 */
int mkv_grants_refresh(struct mkv_grants *grants,
                       struct mkv_store *store,
                       struct mkv_effects *effects) MKV_MUST_CHECK;

/* Whoever asks; zeroed: somebody who may do everything. */
struct mkv_asker {
    const struct mkv_acl *acl; /* NULL with a user: nothing is allowed */
    struct mkv_bytes user;     /* borrowed */
};

bool mkv_asker_may(const struct mkv_asker *asker, struct mkv_bytes key, enum mkv_right right);
enum mkv_acl_extent mkv_asker_below(const struct mkv_asker *asker,
                                    struct mkv_bytes key,
                                    enum mkv_right right);

#define MKV_ASKER_STEPS_MAX 16384U

/*
 * The sums over the entries at and below @key that the asker may read.  Parts where that is all the same are
 * one step each.  TOO_MANY: it would take more steps than allowed.
 */
int mkv_asker_summary(const struct mkv_asker *asker,
                      const struct mkv_store *store,
                      struct mkv_bytes key,
                      struct mkv_summary *ret_sum) MKV_MUST_CHECK;

#endif
