/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which address to try next, and when.
 *
 * The addresses are those configured, in their order, and behind them those that servers have told
 * us over the broker.  One round tries each once, beginning with the one that worked last, since
 * only there a session can be resumed.  A round that failed is followed by a pause that doubles
 * from round to round, with jitter so that the clients of a restarted server do not come at once.
 *
 *     mkv_dial_next() -> connecting -> mkv_dial_failed() ... or mkv_dial_settled()
 */
#ifndef MKV_CORE_DIAL_H
#define MKV_CORE_DIAL_H

#include "base/bytes.h"
#include "base/error.h"
#include "wire/svc.h"

#define MKV_DIAL_WHY_MAX   240U /* bytes of a reason; longer ones are cut off */
#define MKV_DIAL_PAUSE_MIN 500
#define MKV_DIAL_PAUSE_MAX 30000

/* What failed, and why; error 0: nothing did. */
struct mkv_fault {
    int error;
    uint32_t len;
    char why[MKV_DIAL_WHY_MAX];
};

void mkv_fault_set(struct mkv_fault *fault, int error, struct mkv_bytes why);

struct mkv_dial_address {
    uint32_t len;
    char text[MKV_ADDRESS_LEN_MAX];
    struct mkv_fault fault; /* of the last attempt */
};

/* Zero-initialised is valid and has no address. */
struct mkv_dial {
    struct mkv_dial_address at[2 * MKV_ADDRESSES_MAX]; /* configured, then learned */
    uint32_t n_configured;
    uint32_t n;
    uint32_t first;    /* index that a round begins with */
    uint32_t tried;    /* attempts of the present round */
    uint32_t n_rounds; /* that failed since the last success */
    int64_t next_ms;   /* not before */
};

/* Adds a configured address; all must be added before anything else.  TOO_MANY, TOO_LARGE. */
int mkv_dial_add(struct mkv_dial *dial, struct mkv_bytes address) MKV_MUST_CHECK;

/*
 * Replaces the learned addresses by those of @addresses that are not configured, and begins a new
 * round with them.  Too many or too long ones are left out.
 */
void mkv_dial_learn(struct mkv_dial *dial, const struct mkv_addresses *addresses, int64_t now_ms);

/* The address whose turn it is; n must not be 0. */
struct mkv_bytes mkv_dial_next(const struct mkv_dial *dial);

/* Whether that one was learned. */
bool mkv_dial_is_learned(const struct mkv_dial *dial);

/* The attempt with mkv_dial_next() failed; @jitter is any random number. */
void mkv_dial_failed(struct mkv_dial *dial,
                     int64_t now_ms,
                     const struct mkv_fault *fault,
                     uint64_t jitter);

/* It has worked, for long enough to begin the next round with it, and at once. */
void mkv_dial_settled(struct mkv_dial *dial);

#endif
