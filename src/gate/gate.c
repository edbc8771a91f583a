/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/gate.h"

#include <string.h>

#include "base/mem.h"
#include "gate/cells.h"
#include "gate/message.h"
#include "gate/pattern.h"
#include "wire/path.h"

#define PACE_MS      100  /* between two of a cell in one direction ... */
#define BURST_MS     1900 /* ... after the first 20 */
#define SETTLE_MS    1000 /* retained messages have come by then */
#define ECHO_MS      5000 /* a message of ours that has not come back by then never will */
#define SEEN_MS      30000 /* a write that is stored and not seen in the tree by then never will be */
#define TURNS_MAX    8U
#define TURN_REST_MS 10000
#define FLIP_MS      1000
#define HOLD_MS      1000
#define HOLD_SHIFTS  6U
#define OVERLAP_MS   10000
#define DOTTED_MAX   16384U

struct rule {
    struct mkv_gate_rule rule;
    struct mkv_gate_counts counts;
    struct mkv_problem problem;
    char where[MKV_PROBLEM_LEN];
    int64_t problem_ms;
};

struct mkv_gate {
    struct mkv_gate_port port;
    struct mkv_bytes root;
    struct rule *rules[MKV_GATE_RULES_MAX];
    unsigned n_rules;
    struct mkv_gate_cells cells;
    bool connected;
    int64_t settled_ms; /* since when what was retained has come */
    struct mkv_gate_changes changes;
    struct mkv_buf topic;
    struct mkv_buf payload;
};

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
    struct rule *own;

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
    const struct rule *rule = gate->rules[i];

    *ret_report = (struct mkv_gate_report){.rule = &rule->rule,
                                           .counts = rule->counts,
                                           .problem = rule->problem.text,
                                           .where = rule->where,
                                           .problem_ms = rule->problem_ms};
}

void mkv_gate_blame(
    struct mkv_gate *gate, unsigned i, int64_t now_ms, struct mkv_bytes where, const char *problem)
{
    struct rule *rule = gate->rules[i];
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

static void blame_cell(struct mkv_gate *gate,
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

/* --- One cell: to the tree ------------------------------------------------------------------------ */

/* Twenty at once, then ten a second. */
static bool may_go(int64_t now_ms, int64_t free_ms)
{
    return free_ms <= now_ms + BURST_MS;
}

static void went(int64_t now_ms, int64_t *free_ms)
{
    *free_ms = (*free_ms > now_ms ? *free_ms : now_ms) + PACE_MS;
}

/* The two are to be left as they are, though they differ. */
static void let_be(struct mkv_gate_cell *cell)
{
    cell->told = cell->tree;
}

static void forget_wish(struct mkv_gate_cell *cell)
{
    cell->wants = false;
    mkv_buf_deinit(&cell->wanted); /* gives its memory back */
    mkv_buf_init(&cell->wanted, MKV_VALUE_MAX);
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
        let_be(cell);
        blame_cell(gate, cell, now_ms, mkv_error_text(error));
        return;
    }
    cell->writing = true;
    cell->stored = false;
    cell->sent = print;
    cell->came_in = true;
}

/* --- One cell: to the topic ------------------------------------------------------------------------ */

static bool is_own(const struct mkv_gate *gate, struct mkv_bytes topic)
{
    return gate->root.len > 0 && mkv_bytes_starts_with(topic, gate->root) &&
           (topic.len == gate->root.len || topic.at[gate->root.len] == '/');
}

/*
 * Counts a change of direction, and a quick change back to the value before, which is how two values
 * that chase each other through others look from here.  False: it has been to and fro too often.
 */
static bool may_turn(struct rule *rule, struct mkv_gate_cell *cell, int64_t now_ms)
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
    struct rule *rule = gate->rules[cell->rule];
    struct mkv_bytes value = mkv_buf_bytes(&cell->value);
    struct mkv_problem problem;
    int error = mkv_gate_write(&rule->rule, mkv_buf_bytes(&cell->key),
                               cell->tree.kind == MKV_GATE_VALUE ? &value : NULL, &gate->topic,
                               &gate->payload, &problem);

    if (error == 0 && is_own(gate, mkv_buf_bytes(&gate->topic))) {
        error = mkv_problem_set(&problem, MKV_E_BAD_TOPIC, "the topic is one of the cluster's own");
    }
    if (error != 0) {
        blame_cell(gate, cell, now_ms, problem.text);
    }
    return error == 0 && gate->topic.len > 0;
}

static void note_published(struct mkv_gate *gate, struct mkv_gate_cell *cell, int64_t now_ms)
{
    struct rule *rule = gate->rules[cell->rule];

    rule->counts.published++;
    cell->before = cell->last;
    cell->last = cell->tree;
    cell->last_ms = now_ms;
    let_be(cell);
    if (mkv_gate_rule_echoes(&rule->rule)) {
        cell->seen = echo_of(gate, &rule->rule, cell);
        cell->publishing = true;
        cell->echo_by_ms = now_ms + ECHO_MS;
    }
}

static void try_publish(struct mkv_gate *gate, struct mkv_gate_cell *cell, int64_t now_ms)
{
    struct rule *rule = gate->rules[cell->rule];
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
        let_be(cell);
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
        let_be(cell);
        blame_cell(gate, cell, now_ms,
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

/* Does what is to be done with it, as far as that can be done now. */
static void step(struct mkv_gate *gate, struct mkv_gate_cell *cell, int64_t now_ms)
{
    bool waits;

    finish_write(cell, now_ms);
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
                            waits);
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

static int wish(struct rule *rule, struct mkv_gate_cell *cell, const struct mkv_bytes *value)
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
            blame_cell(gate, cell, now_ms, problem.text);
        }
    }
}

/* Whether the value that was heard is ours, or was replaced by ours. */
static bool is_echo(struct rule *rule,
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
    struct rule *rule = gate->rules[cell->rule];
    struct mkv_gate_print heard = mkv_gate_print(value);
    struct mkv_gate_print target = target_of(cell);
    bool first = cell->seen.kind == MKV_GATE_UNKNOWN;

    if (is_echo(rule, cell, &heard)) {
        rule->counts.same++;
        step(gate, cell, now_ms);
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
        blame_cell(gate, cell, now_ms, mkv_error_text(MKV_E_NO_MEMORY));
    } else {
        look_for_overlap(gate, cell, now_ms);
    }
    step(gate, cell, now_ms);
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
    struct rule *rule = gate->rules[i];
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
    if (is_own(gate, topic)) {
        return;
    }
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
        blame_cell(gate, cell, now_ms, mkv_error_text(error));
    }
    if (adopt) {
        let_be(cell);
    }
    step(gate, cell, now_ms);
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
            cell->told.kind = MKV_GATE_UNKNOWN;
            cell->seen.kind = MKV_GATE_UNKNOWN;
        }
        step(gate, cell, now_ms);
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
        let_be(cell);
        blame_cell(gate, cell, now_ms, mkv_error_text(error));
    }
    step(gate, cell, now_ms);
}

void mkv_gate_answered(
    struct mkv_gate *gate, int64_t now_ms, uint32_t cell_number, int error, const char *why)
{
    struct mkv_gate_cell *cell = mkv_gate_cells_at(&gate->cells, cell_number);

    if (cell == NULL || error == 0) {
        return;
    }
    cell->publishing = false;
    blame_cell(gate, cell, now_ms, why);
    step(gate, cell, now_ms);
}

bool mkv_gate_tick(struct mkv_gate *gate, int64_t now_ms)
{
    struct mkv_gate_cell *cell = gate->cells.busy;

    while (cell != NULL) {
        struct mkv_gate_cell *next = cell->busy_next;

        step(gate, cell, now_ms);
        cell = next;
    }
    return gate->cells.busy != NULL;
}
