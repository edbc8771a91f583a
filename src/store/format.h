/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The version of what is on the disk, and the way from one version to the next.
 *
 * The meta row "format" of the store holds the version as 4 bytes, big-endian; that row stays as
 * it is in every version.  A store of an older version is brought up step by step when it is
 * opened, each step in one transaction with the new version number; it may use what is set aside
 * for making room.
 */
#ifndef MKV_STORE_FORMAT_H
#define MKV_STORE_FORMAT_H

#include "store/log.h"
#include "store/store.h"

/* Changes what the log holds, within its open transaction.  Errors as in store/log.h. */
typedef int mkv_format_step(struct mkv_log *log);

struct mkv_format {
    uint32_t version;              /* that this program reads and writes */
    uint32_t oldest;               /* that it can bring up to date */
    mkv_format_step *const *steps; /* steps[i] leads from version oldest + i to the next */
};

/*
 * Version 1: the first there is.
 * Version 2: a row may say that its path is gone; the identity is without a digest key.
 */
extern const struct mkv_format mkv_format_now;

/* The version of what is in the log.  NOT_FOUND (the log is new), CORRUPT, IO. */
int mkv_format_read(struct mkv_log *log, uint32_t *ret_version) MKV_MUST_CHECK;

/* In the log's open transaction.  Errors as in store/log.h. */
int mkv_format_write(struct mkv_log *log, uint32_t version) MKV_MUST_CHECK;

/*
 * Brings a log of @version up to date.  FORMAT if there is no way; @detail then names both
 * versions and @where.  Otherwise errors as in store/log.h; the steps done before stay done.
 */
int mkv_format_upgrade(struct mkv_log *log,
                       const struct mkv_format *format,
                       uint32_t version,
                       const char *where,
                       char detail[MKV_DETAIL_MAX]) MKV_MUST_CHECK;

#endif
