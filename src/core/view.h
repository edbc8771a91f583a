/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a watcher has seen: the heads of the entries at and below a path, merged by K from all
 * sources (docs/protocol.md, section 8), with the sums that tell whether it is what the server has.
 *
 * The index is a core/tree.h.  Beside the head, the ticks of an entry are kept if there are more
 * than the dot, so that an overwrite of it can name all of them; the tree's `position` says where.
 * Values are not kept.
 */
#ifndef MKV_CORE_VIEW_H
#define MKV_CORE_VIEW_H

#include "base/bytes.h"
#include "base/error.h"
#include "core/tree.h"
#include "wire/update.h"

struct mkv_view {
    struct mkv_tree tree;
    struct mkv_buf *ticks; /* owned: encoded tick lists; number 0 is not used */
    size_t n_ticks;
    size_t ticks_cap;
    size_t ticks_free;  /* a free one, that holds the next one's number; 0: none */
    uint64_t n_changes; /* counts puts and removals, to see whether it stood still */
    uint64_t floor;     /* deletions up to this tock have been forgotten */
};

/* What merging an update came to. */
enum mkv_view_verdict {
    MKV_VIEW_OLD,     /* as held, or less: nothing changed */
    MKV_VIEW_NEW,     /* taken, and there is something to tell */
    MKV_VIEW_NOTHING, /* taken: a deletion of what was not there */
};

/* Allocates nothing. */
void mkv_view_init(struct mkv_view *view, const uint8_t digest_key[MKV_DIGEST_KEY_LEN]);
void mkv_view_deinit(struct mkv_view *view);

/* Merges an update that has a tock.  NO_MEMORY: unchanged. */
int mkv_view_merge(struct mkv_view *view,
                   struct mkv_bytes key,
                   const struct mkv_update *update,
                   enum mkv_view_verdict *ret_verdict) MKV_MUST_CHECK;

/* Forgets an entry, if it is there. */
void mkv_view_remove(struct mkv_view *view, struct mkv_bytes key);

/*
 * Forgets deletions as the server has, up to tock @floor; from now on none up to it is taken.
 * NO_MEMORY: some are left.
 */
int mkv_view_forget(struct mkv_view *view, uint64_t floor) MKV_MUST_CHECK;

/*
 * The ticks of the entry at @key, its dot first; false if there is none.  Names are borrowed,
 * valid until the view next changes.
 */
bool mkv_view_ticks(const struct mkv_view *view, struct mkv_bytes key, struct mkv_ticks *ret_ticks);

/* Computes all digests anew, with another key.  NO_MEMORY: unchanged. */
int mkv_view_rekey(struct mkv_view *view,
                   const uint8_t digest_key[MKV_DIGEST_KEY_LEN]) MKV_MUST_CHECK;

/*
 * Whether the view has this number of entries with this digest, apart from deletions up to @floor.
 */
bool mkv_view_equals(const struct mkv_view *view,
                     uint64_t floor,
                     uint64_t count,
                     const uint8_t digest[16]);

#endif
