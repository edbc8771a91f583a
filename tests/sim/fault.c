/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

static const struct {
    const char *name;
    enum fault_kind kind;
    unsigned rate_max;
} faults[FAULTS_N] = {
#define FAULT_ROW(id, name, kind, rate) {#name, FAULT_##kind, rate},
    FAULTS(FAULT_ROW)
#undef FAULT_ROW
};

enum fault fault_named(const char *name)
{
    unsigned i = 0;

    while (i < FAULTS_N && strcmp(faults[i].name, name) != 0) {
        i++;
    }
    return (enum fault)i;
}

const char *fault_name(enum fault fault)
{
    return faults[fault].name;
}

enum fault_kind fault_kind(enum fault fault)
{
    return faults[fault].kind;
}

struct fault_rates fault_draw(struct prng *prng)
{
    struct fault_rates rates = {{0}};
    unsigned odds = 2 + (unsigned)prng_below(prng, 3); /* some runs are calm */

    for (unsigned i = 0; i < FAULTS_N; i++) {
        unsigned rate = 1 + (unsigned)prng_below(prng, faults[i].rate_max);
        bool off = prng_below(prng, odds) != 0;

        if (faults[i].kind == FAULT_RUN) {
            off = prng_below(prng, 4) != 0;
        }
        if (!off) {
            rates.of[i] = rate;
        }
    }
    if (rates.of[FAULT_RUDE] == 0 || rates.of[FAULT_WRITE] > 0) {
        rates.of[FAULT_WRITE] = 100; /* something must be written */
    }
    return rates;
}
