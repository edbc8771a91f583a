/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subscription filters of MQTT, as far as the guard must know them.
 */
#ifndef MKV_GUARD_FILTER_H
#define MKV_GUARD_FILTER_H

#include <stdbool.h>

#include "base/bytes.h"

/* Removes "$share/<group>/" from the start of @filter; false if it is not a shared subscription. */
bool mkv_filter_unshare(struct mkv_bytes *filter);

/* Whether it matches any topic at or below @root, which has no wildcard. */
bool mkv_filter_reaches(struct mkv_bytes filter, struct mkv_bytes root);

#endif
