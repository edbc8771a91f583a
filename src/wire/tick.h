/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ticks: who wrote what, and what they knew (docs/protocol.md, section 4).
 */
#ifndef MKV_WIRE_TICK_H
#define MKV_WIRE_TICK_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "wire/cbor.h"

struct mkv_tick {
    struct mkv_bytes name; /* the server's; borrowed; 1..64 bytes of A-Z a-z 0-9 . _ - */
    uint64_t seq;          /* the client's connection to it, below 2^63; 0: the server itself */
    uint64_t counter;      /* 1 .. 2^63-1 */
};

/* at[0] is the update's own tick, its *dot*; no two have the same name and seq. */
struct mkv_ticks {
    uint32_t n; /* 1..5 in a decoded list */
    struct mkv_tick at[MKV_TICKS_MAX];
};

bool mkv_name_valid(struct mkv_bytes name);

/* Whether both are of the same stream: the same name and seq. */
bool mkv_tick_same_stream(const struct mkv_tick *a, const struct mkv_tick *b);

/* Same stream and same counter. */
bool mkv_tick_equal(const struct mkv_tick *a, const struct mkv_tick *b);

/* Names are borrowed from the input.  BAD_TICK, BAD_NAME, BAD_NUMBER and errors of the reader. */
void mkv_ticks_read(struct mkv_cbor_reader *r, struct mkv_ticks *ret_ticks);
void mkv_ticks_write(struct mkv_cbor_writer *w, const struct mkv_ticks *ticks);

#endif
