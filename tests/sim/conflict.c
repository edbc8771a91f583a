/* SPDX-License-Identifier: Apache-2.0 */
#include "conflict.h"

#include "base/assert.h"
#include "core/conflicts.h"
#include "sim.h"

#define PAST_STREAMS_MAX 64U
#define KNEW_DEPTH       8U /* so many steps back; beyond, nothing is certain */

/* Who knew whom. */

static const struct write *write_of(struct oracle *oracle, struct dot dot)
{
    for (size_t i = *oracle_slot(oracle, dot); i != SIZE_MAX; i = oracle->writes[i].next_dot) {
        if (oracle->writes[i].dots[0].stream == dot.stream &&
            oracle->writes[i].dots[0].counter == dot.counter) {
            return &oracle->writes[i];
        }
    }
    return NULL;
}

/* Whether who wrote @dot knew @old, directly or by way of what he knew; @doubt: hard to tell. */
static bool knew(struct oracle *oracle, struct dot dot, struct dot old, unsigned depth, bool *doubt)
{
    const struct write *write = write_of(oracle, dot);

    if (write == NULL || write->doubtful || depth == 0) {
        *doubt = true;
        return false;
    }
    for (unsigned i = 0; i < write->n_dots; i++) {
        if (write->dots[i].stream == old.stream && write->dots[i].counter >= old.counter) {
            return true;
        }
    }
    for (unsigned i = 1; i < write->n_dots; i++) {
        if (knew(oracle, write->dots[i], old, depth - 1, doubt)) {
            return true;
        }
    }
    return false;
}

/*
 * Whether some greater update of the path did not know this one, as far as one can tell.  What
 * @machine has given a tock (it had none, or came too late) wins before that has been published.
 */
static bool may_conflict(struct oracle *oracle,
                         const struct machine *machine,
                         const struct write *loser)
{
    for (size_t i = oracle->newest[loser->key]; i != SIZE_MAX; i = oracle->writes[i].next) {
        const struct write *write = &oracle->writes[i];
        bool stamped = !write->has_tock || write->known.head.tock <= machine->ping.horizon;
        bool doubt = loser->doubtful || stamped;

        if ((known_less(&loser->known, &write->known) || stamped) &&
            (!knew(oracle, write->dots[0], loser->dots[0], KNEW_DEPTH, &doubt) || doubt)) {
            return true;
        }
    }
    return false;
}

/* What is said. */

void conflict_told(struct sim *sim, const struct machine *machine, const struct mkv_frame *frame)
{
    struct oracle *oracle = &sim->oracle;
    const struct mkv_tick *tick = &frame->conflict.loser.ticks.at[0];
    struct dot dot = oracle_dot(tick);
    bool may = frame->conflict.class_ != 0;

    for (size_t i = *oracle_slot(oracle, dot); i != SIZE_MAX; i = oracle->writes[i].next_dot) {
        const struct write *write = &oracle->writes[i];

        may =
            may || (write->dots[0].stream == dot.stream && write->dots[0].counter == dot.counter &&
                    may_conflict(oracle, machine, write));
    }
    if (!may) {
        sim_fail(sim, "I11", "%s tells of a conflict, but all that wins over %llu/%llu knew it",
                 machine->name, (unsigned long long)tick->seq, (unsigned long long)tick->counter);
    }
}

/* What is not said. */

/* Up to where somebody knew each stream. */
struct past {
    unsigned n;
    struct dot at[PAST_STREAMS_MAX];
    bool doubt;
};

static bool past_has(const struct past *past, struct dot dot)
{
    for (unsigned i = 0; i < past->n; i++) {
        if (past->at[i].stream == dot.stream) {
            return past->at[i].counter >= dot.counter;
        }
    }
    return false;
}

static void past_add(struct past *past, struct dot dot)
{
    unsigned i = 0;

    while (i < past->n && past->at[i].stream != dot.stream) {
        i++;
    }
    if (i == PAST_STREAMS_MAX) {
        past->doubt = true;
        return;
    }
    if (i == past->n) {
        past->at[past->n++] = dot;
    } else if (past->at[i].counter < dot.counter) {
        past->at[i] = dot;
    }
}

/* All of @write, and of the writes of its path that it knew, which include all before of a stream. */
static void past_of(const struct oracle *oracle, const struct write *write, struct past *ret_past)
{
    bool more = true;

    *ret_past = (struct past){.doubt = write->doubtful};
    for (unsigned i = 0; i < write->n_dots; i++) {
        past_add(ret_past, write->dots[i]);
    }
    while (more && !ret_past->doubt) {
        more = false;
        for (size_t w = oracle->newest[write->key]; w != SIZE_MAX; w = oracle->writes[w].next) {
            const struct write *known = &oracle->writes[w];

            if (!past_has(ret_past, known->dots[0])) {
                continue;
            }
            ret_past->doubt |= known->doubtful;
            for (unsigned i = 1; i < known->n_dots; i++) {
                more |= !past_has(ret_past, known->dots[i]);
                past_add(ret_past, known->dots[i]);
            }
        }
    }
}

/* Neither knew the other, without any doubt. */
static bool are_concurrent(const struct oracle *oracle,
                           const struct write *a,
                           const struct write *b)
{
    struct past of_a;
    struct past of_b;

    past_of(oracle, a, &of_a);
    past_of(oracle, b, &of_b);
    return !of_a.doubt && !of_b.doubt && !past_has(&of_a, b->dots[0]) &&
           !past_has(&of_b, a->dots[0]);
}

static bool is_kept(const struct machine *machine, struct mkv_bytes key)
{
    struct mkv_conflicts conflicts = {0};
    struct mkv_conflicts_walk walk;
    const struct mkv_conflict_kept *kept;
    bool found = false;
    int error = mkv_conflicts_load(&conflicts, mkv_conflict_limits_default, machine->store);

    mkv_conflicts_walk_init(&walk, &conflicts, 0);
    while (error == 0 && !found && (kept = mkv_conflicts_walk_next(&walk)) != NULL) {
        found = mkv_bytes_equal(kept->path->key, key);
    }
    mkv_conflicts_deinit(&conflicts);
    return found || error != 0;
}

/*
 * Whoever merged the winner first knows of it; the others may get it with all that it replaced
 * there.  One that is down, or whose disk went back, cannot be asked.
 */
static bool somebody_keeps(const struct sim *sim, struct mkv_bytes key)
{
    for (unsigned i = 0; i < sim->n_machines; i++) {
        const struct machine *machine = &sim->machines[i];

        if (machine->exists &&
            (machine->node == NULL || machine->forgetful || is_kept(machine, key))) {
            return true;
        }
    }
    return false;
}

/*
 * Of one path some are only counted, but then one is kept.  A deletion may have been forgotten in
 * the same batch, before the winner came.
 */
void conflict_check(struct sim *sim,
                    const struct machine *machine,
                    unsigned key,
                    const struct known *last,
                    const struct known *now)
{
    struct oracle *oracle = &sim->oracle;
    size_t loser = oracle_find(oracle, key, last);
    size_t winner = oracle_find(oracle, key, now);
    char text[2][64];

    if (key >= oracle->n_paths || !known_less(last, now) || !last->head.present ||
        machine->set_aside[key] || sim->rates.of[FAULT_DISK_FLIP] > 0 || loser == SIZE_MAX ||
        winner == SIZE_MAX ||
        !are_concurrent(oracle, &oracle->writes[loser], &oracle->writes[winner])) {
        return;
    }
    reach(&sim->reach, REACH_OVERWRITTEN);
    if (!somebody_keeps(sim, mkv_buf_bytes(&oracle->keys[key]))) {
        sim_fail(sim, "I11", "nobody tells that at path %u of %s %s was lost to %s", key,
                 machine->name, oracle_text(last, text[0]), oracle_text(now, text[1]));
    }
}
