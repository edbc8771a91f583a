/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold of every path, given its key: each form reads back as the same key.  Said by
 * MKV_ASSERT, so that fuzz targets can ask, too.
 */
#ifndef MKV_TESTS_LIB_PATH_CHECK_H
#define MKV_TESTS_LIB_PATH_CHECK_H

#include "base/bytes.h"

#define CHECK_ROOT "moat/main"

void check_dotted_round_trip(struct mkv_bytes key);
void check_cbor_round_trip(struct mkv_bytes key);

/* Under both profiles; and that the topic holds nothing a broker would refuse. */
void check_topic_round_trip(struct mkv_bytes key);

/* Its elements, decoded and appended to one another. */
void check_element_round_trip(struct mkv_bytes key);

/* All of these, and that the key is valid. */
void check_all_forms(struct mkv_bytes key);

#endif
