/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tock: a Lamport counter that a server raises to wall-clock time while its clock is trusted
 * (docs/protocol.md, section 5; a hybrid logical clock, Kulkarni et al. 2014).
 *
 *     wall tock = milliseconds since 2020-01-01T00:00:00Z << 12
 *
 * The counter must never fall, not over a crash either; so a mark ahead of it is kept in the
 * store, and after a restart it starts there.
 */
#ifndef MKV_CORE_TOCK_H
#define MKV_CORE_TOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/now.h"

#define MKV_TOCK_MS_SHIFT  12U                 /* tocks per millisecond: 2^12 */
#define MKV_TOCK_AHEAD_MAX (UINT64_C(1) << 32) /* J: accepted into the future, ~17 min */
#define MKV_TOCK_SLACK     (UINT64_C(1) << 28) /* always accepted above our own, ~1 min */
#define MKV_TOCK_MARK_STEP (UINT64_C(1) << 26) /* how far ahead the mark is kept, ~16 s */
#define MKV_TOCK_MAX       (UINT64_C(1) << 62) /* never accepted above: room for our own */
#define MKV_TOCK_HELD_MAX  (MKV_TOCK_MAX + MKV_TOCK_MAX / 2) /* nor held: what servers stamped */

struct mkv_tock {
    uint64_t high; /* the highest tock seen, given or told; below 2^63 */
    uint64_t mark; /* on disk: no tock that was stored passes it */
};

/* What happens to a tock that comes from outside. */
enum mkv_tock_verdict {
    MKV_TOCK_FINE,
    MKV_TOCK_FUTURE,
};

/* @wall_ms: milliseconds since 2020, 0 if the clock is not trusted. */
uint64_t mkv_tock_now(const struct mkv_tock *tock, uint64_t wall_ms);

/*
 * The same, to be told to a client: it will go on from there, so the counter has been there, too,
 * even if the clock is lost or set back before the client writes.
 */
uint64_t mkv_tock_tell(struct mkv_tock *tock, uint64_t wall_ms);

/* A new tock, greater than every one seen. */
uint64_t mkv_tock_next(struct mkv_tock *tock, uint64_t wall_ms);

/* Takes note of one from outside that was accepted. */
void mkv_tock_see(struct mkv_tock *tock, uint64_t seen);

/* Judges one from outside. */
enum mkv_tock_verdict mkv_tock_judge(const struct mkv_tock *tock,
                                     struct mkv_now now,
                                     uint64_t seen);

/* Whether the mark must be moved (to *ret_mark, and be committed together with what raised it). */
bool mkv_tock_mark_due(const struct mkv_tock *tock, uint64_t *ret_mark);

#endif
