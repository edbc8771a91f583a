/* SPDX-License-Identifier: Apache-2.0 */
/* What one cell does: to the tree, and to the topic. */
#include "base/limits.h"
#include "gate/inner.h"

#define PACE_MS      100  /* between two of a cell in one direction ... */
#define BURST_MS     1900 /* ... after the first 20 */
#define ECHO_MS      5000 /* a message of ours that has not come back by then never will */
#define SEEN_MS      30000 /* a write that is stored and not seen in the tree by then never will be */
#define TURNS_MAX    8U
#define TURN_REST_MS 10000
#define FLIP_MS      1000
#define HOLD_MS      1000
#define HOLD_SHIFTS  6U

/* --- To the tree ----------------------------------------------------------------------------------- */

/* Twenty at once, then ten a second. */
static bool may_go(int64_t now_ms, int64_t free_ms)
{
    return free_ms <= now_ms + BURST_MS;
}

static void went(int64_t now_ms, int64_t *free_ms)
{
    *free_ms = (*free_ms > now_ms ? *free_ms : now_ms) + PACE_MS;
}

void mkv_gate_let_be(struct mkv_gate_cell *cell)
{
    cell->told = cell->tree;
}

void mkv_gate_doubt(const struct mkv_gate *gate, struct mkv_gate_cell *cell)
{
    static const struct mkv_gate_print something = {.kind = MKV_GATE_VALUE};
    bool blind = !mkv_gate_rule_reads(&gate->rules[cell->rule]->rule);

    cell->told =
        blind && cell->tree.kind == MKV_GATE_ABSENT ? something : (struct mkv_gate_print){0};
}

static void forget_wish(struct mkv_gate_cell *cell)
{
    cell->wants = false;
    mkv_buf_deinit(&cell->wanted); /* gives its memory back */
    mkv_buf_init(&cell->wanted, MKV_VALUE_MAX);
}

/* A birth message was heard: what the tree has is said again when its turn comes. */
static void finish_again(const struct mkv_gate *gate, struct mkv_gate_cell *cell, int64_t now_ms)
{
    if (cell->again_ms == 0 || (gate->connected && now_ms < cell->again_ms)) {
        return;
    }
    cell->again_ms = 0;
    if (gate->connected && cell->tree.kind == MKV_GATE_VALUE) {
        cell->told.kind = MKV_GATE_UNKNOWN;
    }
}

/* Whether what was written can be seen in the tree, or something later. */
static void finish_write(struct mkv_gate_cell *cell, int64_t now_ms)
{
    if (cell->writing && cell->stored &&
        (cell->tock >= cell->stored_tock || now_ms - cell->stored_ms >= SEEN_MS)) {
        cell->writing = false;
    }
}

static void try_write(struct mkv_gate *gate, struct mkv_gate_cell *cell, int64_t now_ms)
{
    struct mkv_bytes value = mkv_buf_bytes(&cell->wanted);
    const struct mkv_bytes *wanted = cell->wants_deletion ? NULL : &value;
    struct mkv_gate_print print = mkv_gate_print(wanted);
    int error;

    if (mkv_gate_same(&print, &cell->tree)) {
        forget_wish(cell);
        return;
    }
    if (!may_go(now_ms, cell->write_free_ms)) {
        return;
    }
    error = gate->port.write(gate->port.context, cell->number, mkv_buf_bytes(&cell->key), wanted);
    if (error == MKV_E_QUEUE_FULL) {
        return;
    }
    went(now_ms, &cell->write_free_ms);
    forget_wish(cell);
    if (error != 0) {
        mkv_gate_let_be(cell);
        mkv_gate_blame_cell(gate, cell, now_ms, mkv_error_text(error));
        return;
    }
    cell->writing = true;
    cell->stored = false;
    cell->sent = print;
    cell->came_in = true;
}

/* --- To the topic ---------------------------------------------------------------------------------- */

/*
 * Counts a change of direction, and a quick change back to the value before, which is how two values
 * that chase each other through others look from here.  False: it has been to and fro too often.
 */
static bool may_turn(struct mkv_gate_live *rule, struct mkv_gate_cell *cell, int64_t now_ms)
{
    bool back = mkv_gate_same(&cell->tree, &cell->before) && now_ms - cell->last_ms < FLIP_MS;
    unsigned over;

    if (!mkv_gate_rule_reads(&rule->rule) || (!cell->came_in && !back)) {
        return true;
    }
    if (now_ms - cell->turn_ms >= TURN_REST_MS && now_ms - cell->held_until_ms >= TURN_REST_MS) {
        cell->turns = 0;
    }
    cell->came_in = false;
    cell->turn_ms = now_ms;
    cell->turns++;
    if (cell->turns <= TURNS_MAX) {
        return true;
    }
    over = cell->turns - TURNS_MAX - 1;
    cell->held_until_ms = now_ms + ((int64_t)HOLD_MS << (over < HOLD_SHIFTS ? over : HOLD_SHIFTS));
    rule->counts.damped++;
    return false;
}

/* What the message will be read as when it comes back. */
static struct mkv_gate_print echo_of(struct mkv_gate *gate,
                                     const struct mkv_gate_rule *rule,
                                     const struct mkv_gate_cell *cell)
{
    struct mkv_gate_print print = {.kind = MKV_GATE_UNKNOWN};
    struct mkv_problem problem;

    if (mkv_gate_read(rule, mkv_buf_bytes(&gate->topic), mkv_buf_bytes(&gate->payload),
                      &gate->changes, &problem) != 0) {
        return print;
    }
    if (gate->changes.clears) {
        return mkv_gate_print(NULL);
    }
    for (size_t i = 0; i < mkv_gate_changes_count(&gate->changes); i++) {
        struct mkv_bytes key;
        struct mkv_bytes value;

        mkv_gate_changes_at(&gate->changes, i, &key, &value);
        if (mkv_bytes_equal(key, mkv_buf_bytes(&cell->key))) {
            print = mkv_gate_print(&value);
        }
    }
    return print;
}

/* Writes topic and payload; false: there is nothing to be sent. */
static bool compose(struct mkv_gate *gate, struct mkv_gate_cell *cell, int64_t now_ms)
{
    struct mkv_gate_live *rule = gate->rules[cell->rule];
    struct mkv_bytes value = mkv_buf_bytes(&cell->value);
    struct mkv_problem problem;
    int error = mkv_gate_write(&rule->rule, mkv_buf_bytes(&cell->key),
                               cell->tree.kind == MKV_GATE_VALUE ? &value : NULL, &gate->topic,
                               &gate->payload, &problem);

    if (error == 0 && mkv_gate_is_own(gate, mkv_buf_bytes(&gate->topic))) {
        error = mkv_problem_set(&problem, MKV_E_BAD_TOPIC, "the topic is one of the cluster's own");
    }
    if (error != 0) {
        mkv_gate_blame_cell(gate, cell, now_ms, problem.text);
    }
    return error == 0 && gate->topic.len > 0;
}

static void note_published(struct mkv_gate *gate, struct mkv_gate_cell *cell, int64_t now_ms)
{
    struct mkv_gate_live *rule = gate->rules[cell->rule];

    rule->counts.published++;
    cell->before = cell->last;
    cell->last = cell->tree;
    cell->last_ms = now_ms;
    mkv_gate_let_be(cell);
    if (mkv_gate_rule_echoes(&rule->rule)) {
        cell->seen = echo_of(gate, &rule->rule, cell);
        cell->publishing = true;
        cell->echo_by_ms = now_ms + ECHO_MS;
    }
}

static void try_publish(struct mkv_gate *gate, struct mkv_gate_cell *cell, int64_t now_ms)
{
    struct mkv_gate_live *rule = gate->rules[cell->rule];
    int error;

    if (!gate->connected && rule->rule.retain) {
        return;
    }
    if (now_ms < cell->held_until_ms || !may_go(now_ms, cell->publish_free_ms) ||
        !may_turn(rule, cell, now_ms)) {
        return;
    }
    went(now_ms, &cell->publish_free_ms);
    if (!compose(gate, cell, now_ms)) {
        mkv_gate_let_be(cell);
        return;
    }
    error =
        gate->connected
            ? gate->port.publish(gate->port.context, cell->number, mkv_buf_bytes(&gate->topic),
                                 mkv_buf_bytes(&gate->payload), rule->rule.qos, rule->rule.retain)
            : MKV_E_NO_CONNECTION;
    if (error == 0) {
        note_published(gate, cell, now_ms);
    } else if (error != MKV_E_QUEUE_FULL && (error != MKV_E_NO_CONNECTION || !rule->rule.retain)) {
        mkv_gate_let_be(cell);
        mkv_gate_blame_cell(gate, cell, now_ms,
                            error == MKV_E_NO_CONNECTION ? "not sent: there was no broker"
                                                         : mkv_error_text(error));
    }
}

static bool differs(const struct mkv_gate *gate, const struct mkv_gate_cell *cell)
{
    if (!mkv_gate_rule_writes(&gate->rules[cell->rule]->rule) ||
        cell->tree.kind == MKV_GATE_UNKNOWN) {
        return false;
    }
    if (cell->tree.kind == MKV_GATE_ABSENT && cell->told.kind == MKV_GATE_UNKNOWN) {
        return false;
    }
    return !mkv_gate_same(&cell->tree, &cell->told);
}

/* The retained message, if there is one, is to be heard first. */
static bool unsettled(const struct mkv_gate *gate, const struct mkv_gate_cell *cell, int64_t now_ms)
{
    return mkv_gate_rule_echoes(&gate->rules[cell->rule]->rule) &&
           cell->seen.kind == MKV_GATE_UNKNOWN && now_ms < gate->settled_ms;
}

void mkv_gate_step(struct mkv_gate *gate, struct mkv_gate_cell *cell, int64_t now_ms)
{
    bool waits;

    finish_write(cell, now_ms);
    finish_again(gate, cell, now_ms);
    if (cell->publishing && now_ms >= cell->echo_by_ms) {
        cell->publishing = false;
    }
    if (cell->wants && !cell->writing) {
        try_write(gate, cell, now_ms);
    }
    if (!cell->wants && !cell->writing && !cell->publishing && differs(gate, cell) &&
        !unsettled(gate, cell, now_ms)) {
        try_publish(gate, cell, now_ms);
    }
    waits = differs(gate, cell) && (gate->connected || !gate->rules[cell->rule]->rule.retain);
    mkv_gate_cells_busy(&gate->cells, cell,
                        cell->wants || (cell->writing && cell->stored) || cell->publishing ||
                            cell->again_ms != 0 || waits);
}
