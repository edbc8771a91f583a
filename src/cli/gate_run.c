/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/gate_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/gate_report.h"
#include "cli/gate_rules.h"
#include "cli/root.h"
#include "cli/say.h"
#include "cli/session.h"
#include "gate/gate.h"
#include "gate/pattern.h"
#include "io/address.h"
#include "io/entropy.h"
#include "io/loop.h"
#include "io/mqtt.h"
#include "wire/path.h"

#define BROKER_DEFAULT "mqtt://127.0.0.1:1883"
#define TICK_MS        100
#define REPORT_MS      10000 /* at most so often; the first one at once */
#define CHANGED_MS     200   /* rules that are changed together are read together */
#define STOP_MS        5000  /* for what is on its way, and again for the last report */
#define WATCHES_MAX    48U   /* the library has 64 */
#define DOTTED_MAX     16384U
#define SUBSCRIBED     ((uint64_t)1 << 32) /* cookies from here on are subscriptions */

/* A rule that is not in force, and why; no text: since it is off. */
struct bad {
    char name[MKV_GATE_NAME_MAX + 1];
    char problem[MKV_PROBLEM_LEN];
};

struct runner {
    struct mkv_cli *cli;
    const struct mkv_gate_run_options *how;
    char name[MKV_GATE_NAME_MAX + 1];
    struct mkv_loop *loop;
    struct mkv_address address;
    struct mkv_mqtt *mqtt;
    unsigned n_asked; /* subscriptions that the broker has not answered yet */
    struct mkv_gate *gate;
    unsigned generation; /* of the rules: what earlier ones have begun is nobody's any more */
    uint64_t watches[WATCHES_MAX];
    unsigned n_watches;
    unsigned n_unsynced; /* watches that have not told all yet */
    bool synced;         /* all have */
    bool rules_synced;
    bool changed; /* the rules in the tree */
    int64_t changed_ms;
    int64_t tick_ms;
    bool busy;
    struct mkv_buf root;
    struct bad bad[MKV_GATE_RULES_MAX];
    unsigned n_bad;
    struct mkv_gate_reports reports;
    int64_t report_ms;  /* when the next is due */
    struct mkv_why why; /* that there is no broker */
};

/* --- The gate's port --------------------------------------------------------------------------- */

struct flight {
    struct runner *runner;
    unsigned generation;
    uint32_t cell;
};

static void on_stored(void *user, int status, const moatkv_entry *entry)
{
    struct flight *flight = user;
    struct runner *runner = flight->runner;

    if (runner->gate != NULL && flight->generation == runner->generation) {
        mkv_gate_written(runner->gate, mkv_session_now_ms(), flight->cell, status,
                         entry != NULL ? moatkv_entry_tock(entry) : 0);
        runner->busy = true;
    }
    if (status == 0) {
        mkv_session_stored(runner->cli);
    }
    mkv_mem_free(flight);
}

static int send_write(const struct runner *runner,
                      struct mkv_bytes path,
                      const struct mkv_bytes *value,
                      struct flight *flight)
{
    const moatkv_bytes where = {.at = path.at, .len = path.len};

    return value == NULL ? moatkv_delete(runner->cli->kv, where, 0, on_stored, flight)
                         : moatkv_set(runner->cli->kv, where,
                                      (moatkv_bytes){.at = value->at, .len = value->len}, 0,
                                      on_stored, flight);
}

static int port_write(void *context,
                      uint32_t cell,
                      struct mkv_bytes key,
                      const struct mkv_bytes *value)
{
    struct runner *runner = context;
    struct flight *flight = mkv_mem_alloc(sizeof(*flight));
    struct mkv_buf path;
    int error;

    if (flight == NULL) {
        return MKV_E_NO_MEMORY;
    }
    *flight = (struct flight){.runner = runner, .generation = runner->generation, .cell = cell};
    mkv_buf_init(&path, DOTTED_MAX);
    error = mkv_path_to_dotted(key, &path);
    if (error == 0) {
        error = send_write(runner, mkv_buf_bytes(&path), value, flight);
    }
    if (error != 0) {
        mkv_mem_free(flight);
    }
    mkv_buf_deinit(&path);
    return error;
}

static int port_publish(void *context,
                        uint32_t cell,
                        struct mkv_bytes topic,
                        struct mkv_bytes payload,
                        int qos,
                        bool retain)
{
    struct runner *runner = context;
    const struct mkv_mqtt_message message = {
        .topic = topic, .payload = payload, .qos = qos, .retain = retain};

    return runner->mqtt == NULL ? MKV_E_NO_CONNECTION
                                : mkv_mqtt_publish(runner->mqtt, &message, cell);
}

/* --- The broker ---------------------------------------------------------------------------------- */

static void subscribe(struct runner *runner, unsigned i, struct mkv_bytes filter, int qos)
{
    int error = mkv_mqtt_subscribe(runner->mqtt, filter, qos, SUBSCRIBED + i);

    if (error == 0) {
        runner->n_asked++;
    } else {
        mkv_gate_blame(runner->gate, i, mkv_session_now_ms(), filter, mkv_error_text(error));
    }
}

static void on_connected(void *context)
{
    struct runner *runner = context;

    runner->why.text[0] = '\0';
    runner->n_asked = 0;
    for (unsigned i = 0; i < mkv_gate_count(runner->gate); i++) {
        struct mkv_gate_report report;

        mkv_gate_report(runner->gate, i, &report);
        if (mkv_gate_rule_reads(report.rule)) {
            subscribe(runner, i, report.rule->topic, report.rule->qos);
        }
        if (report.rule->birth_topic.len > 0) {
            subscribe(runner, i, report.rule->birth_topic, 1);
        }
    }
    mkv_gate_connected(runner->gate, mkv_session_now_ms());
    runner->report_ms = 0;
}

static void on_disconnected(void *context, int error, const struct mkv_why *why)
{
    struct runner *runner = context;

    (void)error;
    if (runner->why.text[0] == '\0') {
        (void)mkv_say(MKV_EXIT_OK, "%s; trying to reach it again", why->text);
    }
    runner->why = *why;
    mkv_gate_disconnected(runner->gate);
}

static void on_message(void *context, const struct mkv_mqtt_message *message)
{
    struct runner *runner = context;

    mkv_gate_message(runner->gate, mkv_session_now_ms(), message->topic, message->payload,
                     message->retain);
    runner->busy = true;
}

static void on_answered(
    void *context, uint64_t cookie, int error, int qos, const struct mkv_why *why)
{
    struct runner *runner = context;
    int64_t now_ms = mkv_session_now_ms();
    struct mkv_gate_report report;

    (void)qos;
    if (cookie >= SUBSCRIBED && --runner->n_asked == 0) {
        runner->report_ms = 0;
    }
    if (error == 0) {
        return;
    }
    if (cookie < SUBSCRIBED) {
        mkv_gate_answered(runner->gate, now_ms, (uint32_t)cookie, error,
                          why != NULL ? why->text : mkv_error_text(error));
    } else if (error != MKV_E_NO_CONNECTION) {
        mkv_gate_report(runner->gate, (unsigned)(cookie - SUBSCRIBED), &report);
        mkv_gate_blame(runner->gate, (unsigned)(cookie - SUBSCRIBED), now_ms, report.rule->topic,
                       why != NULL ? why->text : mkv_error_text(error));
    }
}

static enum mkv_exit start_mqtt(struct runner *runner)
{
    static const struct mkv_mqtt_events events = {.connected = on_connected,
                                                  .disconnected = on_disconnected,
                                                  .message = on_message,
                                                  .answered = on_answered};
    char id[MKV_GATE_NAME_MAX + 40];
    struct mkv_mqtt_options options = {.address = runner->address,
                                       .client_id = id,
                                       .user = runner->how->user,
                                       .password = getenv("MOAT_KV_GATE_PASSWORD")};
    struct mkv_why why = {{0}};

    if (options.user == NULL) {
        options.password = NULL;
    }
    (void)snprintf(id, sizeof(id), "moat-kv-gate-%s-%08x", runner->name,
                   (unsigned)mkv_entropy_u64());
    return mkv_mqtt_new(runner->loop, &options, &events, runner, &why, &runner->mqtt) == 0
               ? MKV_EXIT_OK
               : mkv_say(MKV_EXIT_USAGE, "--mqtt: %s", why.text);
}

/* --- The tree ------------------------------------------------------------------------------------- */

struct watch {
    struct runner *runner;
    unsigned generation; /* 0: of the rules themselves */
    bool synced;
};

/* The rules that need what the watch cannot tell are told so; the others go on. */
static void note_end(struct runner *runner, int status)
{
    for (unsigned i = 0; i < mkv_gate_count(runner->gate); i++) {
        mkv_gate_blame(runner->gate, i, mkv_session_now_ms(), (struct mkv_bytes){0},
                       mkv_error_text(status));
    }
}

static void take_entry(struct runner *runner, const moatkv_entry *entry, bool is_state)
{
    struct mkv_bytes value = mkv_bytes_from(moatkv_entry_value(entry));
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    if (mkv_place_key(moatkv_entry_path(entry), &key) == 0) {
        mkv_gate_entry(runner->gate, mkv_session_now_ms(), mkv_buf_bytes(&key),
                       moatkv_entry_deleted(entry) ? NULL : &value, moatkv_entry_tock(entry),
                       is_state);
        runner->busy = true;
    }
    mkv_buf_deinit(&key);
}

static void take_sync(struct watch *watch)
{
    struct runner *runner = watch->runner;

    if (watch->synced) {
        return;
    }
    watch->synced = true;
    if (watch->generation == 0) {
        runner->rules_synced = true;
        return;
    }
    runner->n_unsynced--;
    runner->synced = runner->n_unsynced == 0;
}

static void on_watch(void *user, int kind, int status, const moatkv_entry *entry)
{
    struct watch *watch = user;
    struct runner *runner = watch->runner;
    bool current = watch->generation == runner->generation && runner->gate != NULL;

    if (kind == MOATKV_WATCH_END) {
        if (current) {
            take_sync(watch);
            note_end(runner, status);
        }
        mkv_mem_free(watch);
        return;
    }
    if (watch->generation == 0 && entry != NULL && runner->rules_synced) {
        runner->changed = true;
        runner->changed_ms = mkv_session_now_ms();
    }
    if (kind == MOATKV_WATCH_SYNCED && (current || watch->generation == 0)) {
        take_sync(watch);
    }
    if (entry != NULL && current) {
        take_entry(runner, entry, kind == MOATKV_WATCH_STATE);
    }
}

static int begin_watch(struct runner *runner,
                       struct mkv_bytes key,
                       unsigned generation,
                       uint64_t *ret_id)
{
    struct watch *watch = mkv_mem_alloc(sizeof(*watch));
    struct mkv_buf path;
    int error;

    if (watch == NULL) {
        return MKV_E_NO_MEMORY;
    }
    *watch = (struct watch){.runner = runner, .generation = generation};
    mkv_buf_init(&path, DOTTED_MAX);
    error = mkv_path_to_dotted(key, &path);
    if (error == 0) {
        error = moatkv_watch(runner->cli->kv, (moatkv_bytes){.at = path.at, .len = path.len},
                             on_watch, watch, ret_id);
    }
    if (error != 0) {
        mkv_mem_free(watch);
    }
    mkv_buf_deinit(&path);
    return error;
}

static struct mkv_bytes head_of(const struct runner *runner, unsigned i)
{
    struct mkv_gate_report report;

    mkv_gate_report(runner->gate, i, &report);
    return mkv_gate_pattern_head(mkv_buf_bytes(&report.rule->path));
}

/* Whether a rule before, or one with a shorter path, has this one watched as well. */
static bool is_covered(const struct runner *runner, unsigned i)
{
    struct mkv_bytes own = head_of(runner, i);
    bool covered = false;

    for (unsigned n = 0; n < mkv_gate_count(runner->gate) && !covered; n++) {
        struct mkv_bytes other = head_of(runner, n);

        covered = n != i && mkv_bytes_starts_with(own, other) && (other.len < own.len || n < i);
    }
    return covered;
}

static void watch_places(struct runner *runner)
{
    for (unsigned i = 0; i < mkv_gate_count(runner->gate); i++) {
        int error = MKV_E_TOO_MANY;

        if (is_covered(runner, i)) {
            continue;
        }
        if (runner->n_watches < WATCHES_MAX) {
            error = begin_watch(runner, head_of(runner, i), runner->generation,
                                &runner->watches[runner->n_watches]);
        }
        if (error == 0) {
            runner->n_watches++;
            runner->n_unsynced++;
        } else {
            mkv_gate_blame(runner->gate, i, mkv_session_now_ms(), (struct mkv_bytes){0},
                           error == MKV_E_TOO_MANY
                               ? "the rules are about more than 48 places; give some a common one"
                               : mkv_error_text(error));
        }
    }
    runner->synced = runner->n_unsynced == 0;
}

/* --- Rules ----------------------------------------------------------------------------------------- */

static bool is_wanted(const struct runner *runner, struct mkv_bytes name)
{
    bool wanted = runner->how->n_rules == 0;

    for (unsigned i = 0; i < runner->how->n_rules && !wanted; i++) {
        wanted = mkv_bytes_equal(name, mkv_bytes_of(runner->how->rules[i]));
    }
    return wanted;
}

static void note_bad(struct runner *runner, struct mkv_bytes name, const char *problem)
{
    struct bad *bad = &runner->bad[runner->n_bad];

    if (runner->n_bad < MKV_GATE_RULES_MAX && name.len <= MKV_GATE_NAME_MAX) {
        memset(bad, 0, sizeof(*bad));
        memcpy(bad->name, name.at, name.len);
        (void)snprintf(bad->problem, sizeof(bad->problem), "%s", problem);
        runner->n_bad++;
        if (problem[0] != '\0') {
            (void)mkv_say(MKV_EXIT_OK, "the rule '%s' is not in force: %s", bad->name, problem);
        }
    }
}

static void add_rule(struct runner *runner,
                     const struct mkv_known *known,
                     const struct mkv_known_row *row,
                     struct mkv_bytes name)
{
    struct mkv_gate_rule rule;
    struct mkv_problem problem;
    int error = mkv_gate_rules_parse(known, row, &rule, &problem);

    if (error != 0) {
        note_bad(runner, name, problem.text);
    } else if (rule.off) {
        note_bad(runner, name, "");
    } else {
        error = mkv_gate_add(runner->gate, &rule);
        if (error != 0) {
            note_bad(runner, name,
                     error == MKV_E_TOO_MANY ? "more than 64 rules" : mkv_error_text(error));
        }
    }
    mkv_gate_rule_deinit(&rule);
}

static enum mkv_exit read_rules(struct runner *runner)
{
    struct mkv_known known;
    struct mkv_buf room;
    enum mkv_exit status;

    mkv_known_init(&known);
    mkv_buf_init(&room, MKV_PATH_KEY_MAX);
    status = mkv_gate_rules_read(runner->cli, MKV_GATE_RULES_PATH, &known);
    runner->n_bad = 0;
    for (size_t i = 0; i < mkv_known_count(&known) && status == MKV_EXIT_OK; i++) {
        const struct mkv_known_row *row = mkv_known_at(&known, i);
        struct mkv_bytes name = mkv_gate_rules_name(&known, row, &room);

        if (!moatkv_entry_deleted(row->entry) && name.len > 0 && is_wanted(runner, name)) {
            add_rule(runner, &known, row, name);
        }
    }
    mkv_buf_deinit(&room);
    mkv_known_deinit(&known);
    return status;
}

static bool is_ours(const void *context, struct mkv_bytes name)
{
    const struct runner *runner = context;
    bool found = false;

    for (unsigned i = 0; i < mkv_gate_count(runner->gate) && !found; i++) {
        struct mkv_gate_report report;

        mkv_gate_report(runner->gate, i, &report);
        found = mkv_bytes_equal(name, mkv_bytes_of(report.rule->name));
    }
    for (unsigned i = 0; i < runner->n_bad && !found; i++) {
        found = mkv_bytes_equal(name, mkv_bytes_of(runner->bad[i].name));
    }
    return found;
}

static void forget_rules(struct runner *runner)
{
    mkv_mqtt_free(runner->mqtt);
    runner->mqtt = NULL;
    runner->n_asked = 0;
    runner->generation++;
    for (unsigned i = 0; i < runner->n_watches; i++) {
        (void)moatkv_cancel(runner->cli->kv, runner->watches[i]); /* or it has ended already */
    }
    runner->n_watches = 0;
    runner->n_unsynced = 0;
    mkv_gate_free(runner->gate);
    runner->gate = NULL;
}

/* Begins anew with the rules as they are now. */
static enum mkv_exit follow_rules(struct runner *runner)
{
    const struct mkv_gate_port port = {
        .context = runner, .write = port_write, .publish = port_publish};
    enum mkv_exit status;
    int error;

    forget_rules(runner);
    runner->changed = false;
    error = mkv_gate_new(&port, mkv_buf_bytes(&runner->root), &runner->gate);
    if (error != 0) {
        return mkv_session_fail(runner->cli, error, "gate");
    }
    status = read_rules(runner);
    if (status == MKV_EXIT_OK) {
        status = mkv_gate_reports_tidy(&runner->reports, is_ours, runner);
    }
    if (status == MKV_EXIT_OK) {
        watch_places(runner);
        runner->report_ms = 0;
    }
    return status;
}

/* --- The loop ---------------------------------------------------------------------------------------- */

static void report(struct runner *runner, const char *state)
{
    mkv_gate_reports_begin(&runner->reports);
    mkv_gate_report_self(&runner->reports, state, runner->why.text);
    for (unsigned i = 0; i < mkv_gate_count(runner->gate); i++) {
        struct mkv_gate_report rule;

        mkv_gate_report(runner->gate, i, &rule);
        mkv_gate_report_rule(&runner->reports, &rule);
    }
    for (unsigned i = 0; i < runner->n_bad; i++) {
        mkv_gate_report_bad(&runner->reports, runner->bad[i].name, runner->bad[i].problem);
    }
}

static void report_in_time(struct runner *runner, int64_t now_ms)
{
    if (now_ms >= runner->report_ms && runner->reports.n_flying == 0) {
        bool hears =
            runner->mqtt != NULL && mkv_mqtt_is_connected(runner->mqtt) && runner->n_asked == 0;

        report(runner, hears ? "running" : "no broker");
        runner->report_ms = now_ms + REPORT_MS;
    }
}

static enum mkv_exit turn(struct runner *runner)
{
    int64_t now_ms = mkv_session_now_ms();
    enum mkv_exit status = MKV_EXIT_OK;

    if (runner->changed && now_ms - runner->changed_ms >= CHANGED_MS) {
        status = follow_rules(runner);
    }
    if (status == MKV_EXIT_OK && runner->synced && runner->mqtt == NULL) {
        status = start_mqtt(runner);
    }
    if (status != MKV_EXIT_OK) {
        return status;
    }
    if (runner->busy && now_ms >= runner->tick_ms) {
        runner->busy = mkv_gate_tick(runner->gate, now_ms);
        runner->tick_ms = now_ms + TICK_MS;
    }
    report_in_time(runner, now_ms);
    mkv_loop_settle(runner->loop);
    status = mkv_session_step(runner->cli, runner->busy || runner->changed ? TICK_MS : 1000);
    if (status == MKV_EXIT_OK && mkv_loop_run_once(runner->loop, 0) != 0) {
        status = mkv_say(MKV_EXIT_BAD_DATA, "cannot wait for the broker");
    }
    return status;
}

static void stop(struct runner *runner)
{
    runner->why.text[0] = '\0';
    (void)moatkv_flush(runner->cli->kv, STOP_MS); /* what is stored meanwhile counts */
    report(runner, "stopped");
    (void)moatkv_flush(runner->cli->kv, STOP_MS); /* else the status is what it was */
}

static enum mkv_exit loop(struct runner *runner)
{
    enum mkv_exit status = mkv_session_catch_signals(runner->cli);

    while (status == MKV_EXIT_OK) {
        status = turn(runner);
    }
    if (status == MKV_EXIT_INTERRUPTED && runner->cli->kv != NULL) {
        stop(runner);
        return MKV_EXIT_OK;
    }
    return status;
}

/* --- Beginning and end ---------------------------------------------------------------------------------- */

static enum mkv_exit read_options(struct runner *runner)
{
    const char *broker = runner->how->broker;
    char machine[MKV_GATE_NAME_MAX + 1] = "gate";
    const char *name = runner->how->name;
    struct mkv_why why;

    if (broker == NULL) {
        broker = getenv("MOAT_KV_GATE_BROKER");
    }
    if (broker == NULL) {
        broker = BROKER_DEFAULT;
    }
    if (mkv_address_parse(mkv_bytes_of(broker), &runner->address, &why) != 0) {
        return mkv_say(MKV_EXIT_USAGE, "--mqtt: %s", why.text);
    }
    if (name == NULL) {
        (void)gethostname(machine, sizeof(machine) - 1); /* or it is called "gate" */
        name = machine;
    }
    if (!mkv_gate_name_valid(mkv_bytes_of(name))) {
        return mkv_say(MKV_EXIT_USAGE,
                       "--as: a gateway's name has 1 to 64 characters of A-Z a-z 0-9 . _ -");
    }
    (void)snprintf(runner->name, sizeof(runner->name), "%s", name);
    return MKV_EXIT_OK;
}

static enum mkv_exit begin(struct runner *runner)
{
    struct mkv_buf key;
    uint64_t id;
    enum mkv_exit status = mkv_root_ask(runner->cli, &runner->root);
    int error = status == MKV_EXIT_OK ? mkv_loop_new(&runner->loop) : 0;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    if (status == MKV_EXIT_OK && error == 0) {
        runner->cli->also_fd = mkv_loop_fd(runner->loop);
        error = mkv_path_from_dotted(mkv_bytes_of(MKV_GATE_RULES_PATH), &key);
    }
    if (status == MKV_EXIT_OK && error == 0) {
        error = begin_watch(runner, mkv_buf_bytes(&key), 0, &id);
    }
    if (status == MKV_EXIT_OK && error != 0) {
        status = mkv_session_fail(runner->cli, error, "gate");
    }
    if (status == MKV_EXIT_OK) {
        status = mkv_session_wait(runner->cli, &runner->rules_synced);
    }
    mkv_buf_deinit(&key);
    return status == MKV_EXIT_OK ? follow_rules(runner) : status;
}

enum mkv_exit mkv_gate_run(struct mkv_cli *cli, const struct mkv_gate_run_options *how)
{
    struct runner *runner = mkv_mem_alloc(sizeof(*runner));
    enum mkv_exit status;

    if (runner == NULL) {
        return mkv_say(MKV_EXIT_BAD_DATA, "%s", mkv_error_text(MKV_E_NO_MEMORY));
    }
    runner->cli = cli;
    runner->how = how;
    mkv_buf_init(&runner->root, MKV_ROOT_MAX);
    mkv_gate_reports_init(&runner->reports, cli, runner->name);
    mkv_entropy_init();
    status = read_options(runner);
    if (status == MKV_EXIT_OK) {
        status = begin(runner);
    }
    if (status == MKV_EXIT_OK) {
        status = loop(runner);
    }
    runner->generation++; /* what ends now is nobody's any more */
    mkv_session_close(cli);
    mkv_mqtt_free(runner->mqtt);
    cli->also_fd = -1;
    mkv_loop_free(runner->loop);
    mkv_gate_free(runner->gate);
    mkv_gate_reports_deinit(&runner->reports);
    mkv_buf_deinit(&runner->root);
    mkv_mem_free(runner);
    return status;
}
