/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Meta rows: small named values, each with a checksum of its name and content.
 *
 * The store's own, the core's and the users' secrets share a table of the log, and are told apart by
 * the first byte of their keys there.
 */
#ifndef MKV_STORE_META_H
#define MKV_STORE_META_H

#include "store/log.h"

#define MKV_META_NAME_MAX 200U

enum mkv_meta_owner {
    MKV_META_CORE = 'c',
    MKV_META_SECRET = 'k', /* of the core, too: what users prove that they are themselves with */
    MKV_META_STORE = 's',
};

/* The value, borrowed as from the log.  NOT_FOUND, CORRUPT, IO. */
int mkv_meta_get(struct mkv_log *log,
                 enum mkv_meta_owner owner,
                 struct mkv_bytes name,
                 struct mkv_bytes *ret_value) MKV_MUST_CHECK;

/* In the log's open transaction; names have 1..200 bytes.  Errors as in store/log.h. */
int mkv_meta_put(struct mkv_log *log,
                 enum mkv_meta_owner owner,
                 struct mkv_bytes name,
                 struct mkv_bytes value) MKV_MUST_CHECK;
int mkv_meta_remove(struct mkv_log *log,
                    enum mkv_meta_owner owner,
                    struct mkv_bytes name) MKV_MUST_CHECK;

/*
 * The first name greater than @after that begins with @prefix, borrowed as from the log.
 * NOT_FOUND, IO.
 */
int mkv_meta_next(struct mkv_log *log,
                  enum mkv_meta_owner owner,
                  struct mkv_bytes prefix,
                  struct mkv_bytes after,
                  struct mkv_bytes *ret_name) MKV_MUST_CHECK;

#endif
