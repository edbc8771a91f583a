/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The constants of the protocol (docs/protocol.md, "Limits") and what happens at each of them.
 * All members of a cluster share them; changing one is a change of the protocol.
 */
#ifndef MKV_BASE_LIMITS_H
#define MKV_BASE_LIMITS_H

#define MKV_PATH_KEY_MAX    1024U    /* bytes of a path's ordered key; longer: refused */
#define MKV_PATH_LEVELS_MAX 64U      /* elements of a path; more: refused */
#define MKV_TOPIC_MAX       65535U   /* bytes of an MQTT topic */
#define MKV_ROOT_MAX        256U     /* bytes of the configured topic root */
#define MKV_VALUE_MAX       1048576U /* bytes of a raw value; larger: refused */
#define MKV_CBOR_DEPTH_MAX  64U      /* nested arrays, maps and tags; deeper: refused */
#define MKV_CBOR_ITEMS_MAX  65536U   /* data items in one value or message; more: refused */
#define MKV_TICKS_MAX       5U       /* ticks of an update; the oldest are cut off */
#define MKV_NAME_MAX        64U      /* bytes of a server name */
#define MKV_HEADER_KEYS_MAX 32U      /* keys of a header map; more: refused */
#define MKV_UPDATE_MAX      (MKV_VALUE_MAX + 1024U) /* bytes of an update message */
#define MKV_INTEGER_MAX     INT64_MAX               /* largest tock, seq, counter: below 2^63 */

/* Bytes of a link frame: a conflict has two values.  Longer: the link is closed. */
#define MKV_FRAME_MAX (2U * MKV_VALUE_MAX + 65536U)

#define MKV_PAGE_ROWS_MAX 256U   /* rows in one data frame */
#define MKV_PAGE_BYTES    65536U /* a page is closed once it holds this much */

#endif
