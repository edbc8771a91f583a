/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which conflicts have been told already, by their ids: after a break, and from another server, all
 * come again.  The ones told first are forgotten when there are too many; a server keeps fewer.
 */
#ifndef MKV_CORE_TOLD_H
#define MKV_CORE_TOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/map.h"

#define MKV_TOLD_MAX 16384U

struct mkv_told_one;

/* `= {0}` is a valid empty one. */
struct mkv_told {
    struct mkv_map by_id;
    struct mkv_told_one *first; /* owned, in the order of being told */
    struct mkv_told_one *last;
};

/*
 * Notes conflict @id with its count.  *ret_news: it is not known, or with a smaller one.  NO_MEMORY:
 * nothing is noted.
 */
int mkv_told_note(struct mkv_told *told, uint64_t id, uint64_t more, bool *ret_news) MKV_MUST_CHECK;
void mkv_told_deinit(struct mkv_told *told);

#endif
