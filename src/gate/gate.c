/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/gate.h"

#include <string.h>

#include "base/mem.h"
#include "gate/inner.h"
#include "gate/pattern.h"
#include "wire/path.h"

#define SETTLE_MS  1000 /* retained messages have come by then */
#define OVERLAP_MS 10000
#define DOTTED_MAX 16384U

int mkv_gate_new(const struct mkv_gate_port *port,
                 struct mkv_bytes root,
                 struct mkv_gate **ret_gate)
{
    struct mkv_gate *gate = mkv_mem_alloc(sizeof(*gate));

    if (gate == NULL) {
        return MKV_E_NO_MEMORY;
    }
    gate->port = *port;
    gate->root = root;
    mkv_gate_cells_init(&gate->cells, MKV_GATE_CELLS_MAX);
    mkv_gate_changes_init(&gate->changes);
    mkv_buf_init(&gate->topic, MKV_GATE_FILTER_MAX + MKV_PATH_KEY_MAX);
    mkv_buf_init(&gate->payload, (size_t)4 * MKV_VALUE_MAX);
    *ret_gate = gate;
    return 0;
}

void mkv_gate_free(struct mkv_gate *gate)
{
    if (gate == NULL) {
        return;
    }
    for (unsigned i = 0; i < gate->n_rules; i++) {
        mkv_gate_rule_deinit(&gate->rules[i]->rule);
        mkv_mem_free(gate->rules[i]);
    }
    mkv_buf_deinit(&gate->payload);
    mkv_buf_deinit(&gate->topic);
    mkv_gate_changes_deinit(&gate->changes);
    mkv_gate_cells_deinit(&gate->cells);
    mkv_mem_free(gate);
}

int mkv_gate_add(struct mkv_gate *gate, struct mkv_gate_rule *rule)
{
    struct mkv_gate_live *own;

    if (gate->n_rules == MKV_GATE_RULES_MAX) {
        return MKV_E_TOO_MANY;
    }
    own = mkv_mem_alloc(sizeof(*own));
    if (own == NULL) {
        return MKV_E_NO_MEMORY;
    }
    own->rule = *rule;
    *rule = (struct mkv_gate_rule){0};
    gate->rules[gate->n_rules++] = own;
    return 0;
}

unsigned mkv_gate_count(const struct mkv_gate *gate)
{
    return gate->n_rules;
}

void mkv_gate_report(const struct mkv_gate *gate, unsigned i, struct mkv_gate_report *ret_report)
{
    const struct mkv_gate_live *rule = gate->rules[i];

    *ret_report = (struct mkv_gate_report){.rule = &rule->rule,
                                           .counts = rule->counts,
                                           .problem = rule->problem.text,
                                           .where = rule->where,
                                           .problem_ms = rule->problem_ms};
}

void mkv_gate_blame(
    struct mkv_gate *gate, unsigned i, int64_t now_ms, struct mkv_bytes where, const char *problem)
{
    struct mkv_gate_live *rule = gate->rules[i];
    size_t n = mkv_problem_cut(where, sizeof(rule->where) - 1);

    rule->counts.errors++;
    if (problem != rule->problem.text) {
        (void)mkv_problem_set(&rule->problem, MKV_E_BAD_STATE, "%s", problem);
    }
    if (n > 0) {
        memcpy(rule->where, where.at, n);
    }
    rule->where[n] = '\0';
    rule->problem_ms = now_ms;
}

bool mkv_gate_is_own(const struct mkv_gate *gate, struct mkv_bytes topic)
{
    return gate->root.len > 0 && mkv_bytes_starts_with(topic, gate->root) &&
           (topic.len == gate->root.len || topic.at[gate->root.len] == '/');
}

void mkv_gate_blame_cell(struct mkv_gate *gate,
                         const struct mkv_gate_cell *cell,
                         int64_t now_ms,
                         const char *problem)
{
    struct mkv_buf path;

    mkv_buf_init(&path, DOTTED_MAX);
    if (mkv_path_to_dotted(mkv_buf_bytes(&cell->key), &path) != 0) {
        mkv_buf_clear(&path);
    }
    mkv_gate_blame(gate, cell->rule, now_ms, mkv_buf_bytes(&path), problem);
    mkv_buf_deinit(&path);
}

/* --- Messages --------------------------------------------------------------------------------------- */

/* What the tree has, or will have when all that is on its way has come. */
static struct mkv_gate_print target_of(const struct mkv_gate_cell *cell)
{
    struct mkv_bytes value = mkv_buf_bytes(&cell->wanted);

    if (cell->wants) {
        return mkv_gate_print(cell->wants_deletion ? NULL : &value);
    }
    return cell->writing ? cell->sent : cell->tree;
}

static int wish(struct mkv_gate_live *rule,
                struct mkv_gate_cell *cell,
                const struct mkv_bytes *value)
{
    int error = 0;

    rule->counts.replaced += cell->wants;
    mkv_buf_clear(&cell->wanted);
    if (value != NULL) {
        error = mkv_buf_append(&cell->wanted, *value);
    }
    cell->wants = error == 0;
    cell->wants_deletion = value == NULL;
    return error;
}

/* Another rule has just given the same entry another value. */
static void look_for_overlap(struct mkv_gate *gate,
                             const struct mkv_gate_cell *cell,
                             int64_t now_ms)
{
    for (unsigned i = 0; i < gate->n_rules && gate->n_rules > 1; i++) {
        const struct mkv_gate_cell *other =
            i == cell->rule ? NULL
                            : mkv_gate_cells_find(&gate->cells, i, mkv_buf_bytes(&cell->key));
        struct mkv_problem problem;

        if (other != NULL && mkv_gate_rule_reads(&gate->rules[i]->rule) &&
            other->seen.kind != MKV_GATE_UNKNOWN && other->write_free_ms + OVERLAP_MS > now_ms &&
            !mkv_gate_same(&other->seen, &cell->seen)) {
            (void)mkv_problem_set(&problem, MKV_E_CONFLICT,
                                  "the rule '%s' gives this entry another value",
                                  gate->rules[i]->rule.name);
            mkv_gate_blame_cell(gate, cell, now_ms, problem.text);
        }
    }
}

/* Whether the value that was heard is ours, or was replaced by ours. */
static bool is_echo(struct mkv_gate_live *rule,
                    struct mkv_gate_cell *cell,
                    const struct mkv_gate_print *heard)
{
    if (!mkv_gate_rule_echoes(&rule->rule)) {
        return false;
    }
    if (mkv_gate_same(heard, &cell->seen)) {
        cell->publishing = false;
        return true;
    }
    return cell->publishing;
}

static void hear_value(struct mkv_gate *gate,
                       struct mkv_gate_cell *cell,
                       int64_t now_ms,
                       const struct mkv_bytes *value,
                       bool retained)
{
    struct mkv_gate_live *rule = gate->rules[cell->rule];
    struct mkv_gate_print heard = mkv_gate_print(value);
    struct mkv_gate_print target = target_of(cell);
    bool first = cell->seen.kind == MKV_GATE_UNKNOWN;

    if (is_echo(rule, cell, &heard)) {
        rule->counts.same++;
        mkv_gate_step(gate, cell, now_ms);
        return;
    }
    cell->seen = heard;
    cell->told = heard;
    if (mkv_gate_same(&heard, &target) || (value == NULL && target.kind == MKV_GATE_UNKNOWN)) {
        rule->counts.same++;
    } else if (retained && first && mkv_gate_rule_echoes(&rule->rule) &&
               cell->tree.kind != MKV_GATE_UNKNOWN) {
        rule->counts.same++; /* the tree is right, and says so */
    } else if (wish(rule, cell, value) != 0) {
        mkv_gate_blame_cell(gate, cell, now_ms, mkv_error_text(MKV_E_NO_MEMORY));
    } else {
        look_for_overlap(gate, cell, now_ms);
    }
    mkv_gate_step(gate, cell, now_ms);
}

static void hear(struct mkv_gate *gate,
                 unsigned i,
                 int64_t now_ms,
                 struct mkv_bytes key,
                 const struct mkv_bytes *value,
                 bool retained)
{
    struct mkv_gate_cell *cell;
    int error = mkv_gate_cells_get(&gate->cells, i, key, &cell);

    if (error == 0) {
        hear_value(gate, cell, now_ms, value, retained);
    } else {
        mkv_gate_blame(gate, i, now_ms, (struct mkv_bytes){0},
                       error == MKV_E_TOO_MANY ? "more than 100,000 entries: passed over"
                                               : mkv_error_text(error));
    }
}

/* An empty message: with fields, all of them go. */
static void hear_clearing(struct mkv_gate *gate, unsigned i, int64_t now_ms, bool retained)
{
    struct mkv_bytes base = mkv_buf_bytes(&gate->changes.key);

    if (!gate->rules[i]->rule.has_fields) {
        hear(gate, i, now_ms, base, NULL, retained);
        return;
    }
    for (uint32_t n = 0; n < mkv_gate_cells_count(&gate->cells); n++) {
        struct mkv_gate_cell *cell = mkv_gate_cells_at(&gate->cells, n);

        if (cell->rule == i && cell->tree.kind == MKV_GATE_VALUE &&
            mkv_bytes_starts_with(mkv_buf_bytes(&cell->key), base)) {
            hear_value(gate, cell, now_ms, NULL, retained);
        }
    }
}

static void take_message(struct mkv_gate *gate,
                         unsigned i,
                         int64_t now_ms,
                         struct mkv_bytes topic,
                         struct mkv_bytes payload,
                         bool retained)
{
    struct mkv_gate_live *rule = gate->rules[i];
    struct mkv_gate_changes changes;
    struct mkv_problem problem;

    rule->counts.received++;
    if (mkv_gate_read(&rule->rule, topic, payload, &gate->changes, &problem) != 0) {
        mkv_gate_blame(gate, i, now_ms, topic, problem.text);
        return;
    }
    if (gate->changes.clears) {
        hear_clearing(gate, i, now_ms, retained);
        return;
    }
    changes = gate->changes; /* what is sent meanwhile is read into others, see echo_of() */
    mkv_gate_changes_init(&gate->changes);
    for (size_t n = 0; n < mkv_gate_changes_count(&changes); n++) {
        struct mkv_bytes key;
        struct mkv_bytes value;

        mkv_gate_changes_at(&changes, n, &key, &value);
        hear(gate, i, now_ms, key, &value, retained);
    }
    mkv_gate_changes_deinit(&gate->changes);
    gate->changes = changes;
}

void mkv_gate_message(struct mkv_gate *gate,
                      int64_t now_ms,
                      struct mkv_bytes topic,
                      struct mkv_bytes payload,
                      bool retained)
{
    if (mkv_gate_is_own(gate, topic)) {
        return;
    }
    mkv_gate_births(gate, now_ms, topic, payload);
    for (unsigned i = 0; i < gate->n_rules; i++) {
        const struct mkv_gate_rule *rule = &gate->rules[i]->rule;

        if (mkv_gate_rule_reads(rule) && mkv_gate_topic_matches(rule->topic, topic)) {
            take_message(gate, i, now_ms, topic, payload, retained);
        }
    }
}

/* --- The tree ----------------------------------------------------------------------------------------- */

static int note_tree(struct mkv_gate_cell *cell,
                     bool keep,
                     const struct mkv_bytes *value,
                     uint64_t tock)
{
    int error = 0;

    mkv_buf_clear(&cell->value);
    if (keep && value != NULL) {
        error = mkv_buf_append(&cell->value, *value);
    }
    cell->tree = error == 0 ? mkv_gate_print(value) : (struct mkv_gate_print){0};
    cell->tock = tock;
    return error;
}

static void take_entry(struct mkv_gate *gate,
                       unsigned i,
                       int64_t now_ms,
                       struct mkv_bytes key,
                       const struct mkv_bytes *value,
                       uint64_t tock,
                       bool is_state)
{
    const struct mkv_gate_rule *rule = &gate->rules[i]->rule;
    struct mkv_gate_cell *cell;
    int error = mkv_gate_cells_get(&gate->cells, i, key, &cell);
    bool adopt;

    if (error != 0) {
        mkv_gate_blame(gate, i, now_ms, (struct mkv_bytes){0},
                       error == MKV_E_TOO_MANY ? "more than 100,000 entries: passed over"
                                               : mkv_error_text(error));
        return;
    }
    adopt = is_state && cell->tree.kind == MKV_GATE_UNKNOWN && (!rule->retain || rule->set.len > 0);
    error = note_tree(cell, mkv_gate_rule_writes(rule), value, tock);
    if (error != 0) {
        mkv_gate_blame_cell(gate, cell, now_ms, mkv_error_text(error));
    }
    if (adopt) {
        mkv_gate_let_be(cell);
    }
    mkv_gate_step(gate, cell, now_ms);
}

void mkv_gate_entry(struct mkv_gate *gate,
                    int64_t now_ms,
                    struct mkv_bytes key,
                    const struct mkv_bytes *value,
                    uint64_t tock,
                    bool is_state)
{
    for (unsigned i = 0; i < gate->n_rules; i++) {
        if (mkv_gate_concerns(&gate->rules[i]->rule, key)) {
            take_entry(gate, i, now_ms, key, value, tock, is_state);
        }
    }
}

/* --- What others tell ----------------------------------------------------------------------------------- */

/* What the broker kept may be gone or have changed: all that is to be retained is compared anew. */
void mkv_gate_connected(struct mkv_gate *gate, int64_t now_ms)
{
    gate->connected = true;
    gate->settled_ms = now_ms + SETTLE_MS;
    for (uint32_t n = 0; n < mkv_gate_cells_count(&gate->cells); n++) {
        struct mkv_gate_cell *cell = mkv_gate_cells_at(&gate->cells, n);
        const struct mkv_gate_rule *rule = &gate->rules[cell->rule]->rule;

        cell->publishing = false;
        if (mkv_gate_rule_writes(rule) && rule->set.len == 0 && rule->retain) {
            mkv_gate_doubt(gate, cell);
            cell->seen.kind = MKV_GATE_UNKNOWN;
        }
        mkv_gate_step(gate, cell, now_ms);
    }
}

void mkv_gate_disconnected(struct mkv_gate *gate)
{
    gate->connected = false;
}

void mkv_gate_written(
    struct mkv_gate *gate, int64_t now_ms, uint32_t cell_number, int error, uint64_t tock)
{
    struct mkv_gate_cell *cell = mkv_gate_cells_at(&gate->cells, cell_number);

    if (cell == NULL || !cell->writing || cell->stored) {
        return;
    }
    if (error == 0) {
        gate->rules[cell->rule]->counts.written++;
        cell->stored = true;
        cell->stored_tock = tock;
        cell->stored_ms = now_ms;
    } else {
        cell->writing = false;
        mkv_gate_let_be(cell);
        mkv_gate_blame_cell(gate, cell, now_ms, mkv_error_text(error));
    }
    mkv_gate_step(gate, cell, now_ms);
}

void mkv_gate_answered(
    struct mkv_gate *gate, int64_t now_ms, uint32_t cell_number, int error, const char *why)
{
    struct mkv_gate_cell *cell = mkv_gate_cells_at(&gate->cells, cell_number);

    if (cell == NULL || error == 0) {
        return;
    }
    cell->publishing = false;
    mkv_gate_blame_cell(gate, cell, now_ms, why);
    mkv_gate_step(gate, cell, now_ms);
}

bool mkv_gate_tick(struct mkv_gate *gate, int64_t now_ms)
{
    struct mkv_gate_cell *cell = gate->cells.busy;

    while (cell != NULL) {
        struct mkv_gate_cell *next = cell->busy_next;

        mkv_gate_step(gate, cell, now_ms);
        cell = next;
    }
    return gate->cells.busy != NULL;
}
