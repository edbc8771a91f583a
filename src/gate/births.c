/* SPDX-License-Identifier: Apache-2.0 */
/* Birth messages: somebody has just come who wants to be told everything. */
#include "gate/inner.h"

#define DEAF_MS 1000 /* what comes again by then is the same birth */
#define LATE_MS                                                                                    \
    3000 /* the first answer comes at any time from then till here, lest all speak at once */
#define GAP_MS 10 /* then that lies between two of a rule's messages */

static bool is_birth(const struct mkv_gate_rule *rule,
                     struct mkv_bytes topic,
                     struct mkv_bytes payload)
{
    return rule->birth_topic.len > 0 && mkv_bytes_equal(topic, rule->birth_topic) &&
           mkv_bytes_equal(payload, rule->birth_payload);
}

/* Any number below @limit that other rules, and other gateways at other times, do not share. */
static int64_t scatter(int64_t now_ms, unsigned rule, int64_t limit)
{
    uint64_t n = (uint64_t)now_ms * 64 + rule;

    n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9U;
    n = (n ^ (n >> 27)) * 0x94d049bb133111ebU;
    return (int64_t)((n ^ (n >> 31)) % (uint64_t)limit);
}

/* Nothing has been said yet while further ones are passed over, so nobody is told too early. */
static void take_birth(struct mkv_gate *gate, unsigned i, int64_t now_ms)
{
    struct mkv_gate_live *rule = gate->rules[i];
    int64_t at_ms = now_ms + DEAF_MS + scatter(now_ms, i, LATE_MS - DEAF_MS);

    rule->counts.births++;
    rule->birth_ms = now_ms;
    for (uint32_t n = 0; n < mkv_gate_cells_count(&gate->cells); n++) {
        struct mkv_gate_cell *cell = mkv_gate_cells_at(&gate->cells, n);

        if (cell->rule == i && cell->tree.kind == MKV_GATE_VALUE) {
            cell->again_ms = at_ms;
            at_ms += GAP_MS;
            mkv_gate_step(gate, cell, now_ms);
        }
    }
}

void mkv_gate_births(struct mkv_gate *gate,
                     int64_t now_ms,
                     struct mkv_bytes topic,
                     struct mkv_bytes payload)
{
    for (unsigned i = 0; i < gate->n_rules; i++) {
        struct mkv_gate_live *rule = gate->rules[i];

        if (is_birth(&rule->rule, topic, payload) &&
            (rule->counts.births == 0 || now_ms - rule->birth_ms >= DEAF_MS)) {
            take_birth(gate, i, now_ms);
        }
    }
}
