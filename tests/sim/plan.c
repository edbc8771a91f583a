/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

static enum fault draw_step(struct prng *prng, const struct fault_rates *rates, unsigned total)
{
    uint64_t left = prng_below(prng, total);

    for (unsigned i = 0; i < FAULTS_N; i++) {
        unsigned rate = fault_kind((enum fault)i) == FAULT_STEP ? rates->of[i] : 0;

        if (left < rate) {
            return (enum fault)i;
        }
        left -= rate;
    }
    return FAULT_WRITE;
}

/* Bursts, pauses, and now and then a long silence, in which horizons pass. */
static int64_t draw_gap_ms(struct prng *prng)
{
    switch (prng_below(prng, 20)) {
    case 0:
        return (int64_t)prng_below(prng, 60000);
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
        return (int64_t)prng_below(prng, 10000);
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
    case 11:
        return (int64_t)prng_below(prng, 10);
    default:
        return (int64_t)prng_below(prng, 1500);
    }
}

void plan_draw(struct plan *plan, struct prng *prng, const struct fault_rates *rates)
{
    unsigned total = 0;
    int64_t at_ms = 0;

    *plan = (struct plan){.n = 30 + (unsigned)prng_below(prng, 1 + prng_below(prng, 370))};
    for (unsigned i = 0; i < FAULTS_N; i++) {
        total += fault_kind((enum fault)i) == FAULT_STEP ? rates->of[i] : 0;
    }
    plan->n = total > 0 ? plan->n : 0;
    for (unsigned i = 0; i < plan->n; i++) {
        at_ms += draw_gap_ms(prng);
        plan->at[i] = (struct step){
            .at_ms = at_ms,
            .what = draw_step(prng, rates, total),
            .random = prng_next(prng),
        };
    }
    plan->storm_ms = at_ms + 1000;
}
