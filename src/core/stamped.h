/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which updates that came without a tock have been stamped for servers that were not there: one row
 * for each stream, with the highest counter of it.  A repeat that comes later, perhaps after a
 * restart, must not be stamped again, or an old value would overwrite newer ones.
 *
 * There is a fixed number of rows.  The stream's hash tells which; the stream that had it before is
 * forgotten.
 */
#ifndef MKV_CORE_STAMPED_H
#define MKV_CORE_STAMPED_H

#include <stdbool.h>

#include "base/error.h"
#include "core/store.h"
#include "wire/tick.h"

#define MKV_STAMPED_ROWS 4096U

/* Whether this update, or a later one of its stream, is known to have been stamped. */
int mkv_stamped_has(struct mkv_store *store,
                    const struct mkv_tick *dot,
                    bool *ret_has) MKV_MUST_CHECK;

int mkv_stamped_add(struct mkv_store *store, const struct mkv_tick *dot) MKV_MUST_CHECK;

#endif
