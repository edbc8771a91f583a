/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Somebody who takes servers out of the cluster that do not come back, or so he thinks.
 */
#ifndef MKV_TESTS_SIM_BOSS_H
#define MKV_TESTS_SIM_BOSS_H

#include "net.h"
#include "wire/frame.h"

struct boss {
    unsigned host;
    struct pipe *link; /* NULL: he is not busy */
    uint8_t uuid[MKV_STORE_ID_LEN];
    unsigned evicts; /* the machine */
};

void boss_init(struct sim *sim);

/* Tells machine @asked to evict the store @uuid, which machine @evicts has, or had. */
void boss_evict(struct sim *sim,
                unsigned asked,
                unsigned evicts,
                const uint8_t uuid[MKV_STORE_ID_LEN]);

void boss_arrive(struct sim *sim, const struct pipe *pipe, const struct letter *letter);

#endif
