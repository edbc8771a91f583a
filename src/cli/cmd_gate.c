/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/limits.h"
#include "cli/gate_rules.h"
#include "cli/gate_run.h"
#include "cli/gate_show.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/value.h"
#include "cli/verbs.h"

enum {
    OPT_PATH = 1,
    OPT_MQTT,
    OPT_MQTT_USER,
    OPT_AS,
};

static const struct mkv_option options[] = {
    {OPT_PATH, 'p', "path", NULL, "test: what the rule would send for PATH [VALUE]"},
    {OPT_MQTT, 0, "mqtt", "ADDRESS", "run: the broker with the topics (mqtt://127.0.0.1:1883)"},
    {OPT_MQTT_USER, 0, "mqtt-user", "NAME", "run: as whom; password in MOAT_KV_GATE_PASSWORD"},
    {OPT_AS, 0, "as", "NAME", "run: what this gateway is called (the name of the machine)"},
    {0, 0, NULL, NULL, NULL},
};

/* --- Writing rules ----------------------------------------------------------------------------- */

struct writing {
    bool done;
    int status;
};

static void on_written(void *user, int status, const moatkv_entry *entry)
{
    struct writing *writing = user;

    (void)entry;
    writing->done = true;
    writing->status = status;
}

/* @value NULL: deletes. */
static enum mkv_exit write_rule(struct mkv_cli *cli, const char *name, const struct mkv_buf *value)
{
    struct writing writing = {.done = false};
    struct mkv_place place;
    enum mkv_exit status = mkv_gate_rules_place(name, &place);

    if (status == MKV_EXIT_OK) {
        moatkv_bytes path = mkv_place_path(&place);
        int error = value == NULL ? moatkv_delete(cli->kv, path, 0, on_written, &writing)
                                  : moatkv_set(cli->kv, path,
                                               (moatkv_bytes){.at = value->at, .len = value->len},
                                               0, on_written, &writing);

        status =
            error != 0 ? mkv_session_fail(cli, error, name) : mkv_session_wait(cli, &writing.done);
    }
    if (status == MKV_EXIT_OK && writing.status != 0) {
        status = mkv_session_fail(cli, writing.status, name);
    }
    mkv_place_deinit(&place);
    return status == MKV_EXIT_OK ? mkv_session_settle(cli) : status;
}

/* Reads what was typed as a rule, so that none is stored that would not be in force. */
static enum mkv_exit read_rule(const struct mkv_cli *cli, struct mkv_buf *value)
{
    struct mkv_problem problem;
    struct mkv_gate_rule rule;
    enum mkv_exit status = MKV_EXIT_OK;

    if (mkv_value_read(mkv_bytes_of(cli->words[2]), MKV_NOTATION_ARGUMENT, value, &problem) != 0) {
        return mkv_say(MKV_EXIT_BAD_DATA, "rule: %s", problem.text);
    }
    if (mkv_gate_rule_init(&rule, mkv_bytes_of(cli->words[1]), mkv_buf_bytes(value), &problem) !=
        0) {
        status = mkv_say(MKV_EXIT_BAD_DATA, "rule '%s': %s", cli->words[1], problem.text);
    }
    mkv_gate_rule_deinit(&rule);
    return status;
}

/* --- Tasks -------------------------------------------------------------------------------------- */

static enum mkv_exit list(struct mkv_cli *cli)
{
    return mkv_gate_show_rules(cli, cli->n_words > 1 ? cli->words[1] : NULL);
}

static enum mkv_exit check_add(struct mkv_cli *cli)
{
    struct mkv_buf value;
    enum mkv_exit status;

    mkv_buf_init(&value, MKV_VALUE_MAX);
    status = read_rule(cli, &value);
    mkv_buf_deinit(&value);
    return status;
}

static enum mkv_exit add(struct mkv_cli *cli)
{
    struct mkv_buf value;
    enum mkv_exit status;

    mkv_buf_init(&value, MKV_VALUE_MAX);
    status = read_rule(cli, &value);
    if (status == MKV_EXIT_OK) {
        status = write_rule(cli, cli->words[1], &value);
    }
    mkv_buf_deinit(&value);
    return status;
}

static enum mkv_exit del(struct mkv_cli *cli)
{
    struct mkv_known known;
    enum mkv_exit status;

    mkv_known_init(&known);
    status = mkv_gate_rules_read(cli, MKV_GATE_RULES_PATH, &known);
    if (status == MKV_EXIT_OK && mkv_gate_rules_find(&known, cli->words[1]) == NULL) {
        status = mkv_say(MKV_EXIT_NOT_FOUND, "no rule '%s'; 'moat-kv gate list' shows them",
                         cli->words[1]);
    }
    mkv_known_deinit(&known);
    return status == MKV_EXIT_OK ? write_rule(cli, cli->words[1], NULL) : status;
}

static enum mkv_exit check_test(struct mkv_cli *cli)
{
    return mkv_cli_has(cli, OPT_PATH) || cli->n_words == 4
               ? MKV_EXIT_OK
               : mkv_say(MKV_EXIT_USAGE, "gate test: a payload is missing; '' is an empty one");
}

static enum mkv_exit test(struct mkv_cli *cli)
{
    const char *last = cli->n_words > 3 ? cli->words[3] : NULL;

    return mkv_cli_has(cli, OPT_PATH)
               ? mkv_gate_show_entry(cli, cli->words[1], cli->words[2], last)
               : mkv_gate_show_message(cli, cli->words[1], cli->words[2], last);
}

static enum mkv_exit run_gate(struct mkv_cli *cli)
{
    const struct mkv_gate_run_options how = {.broker = mkv_cli_value(cli, OPT_MQTT),
                                             .user = mkv_cli_value(cli, OPT_MQTT_USER),
                                             .name = mkv_cli_value(cli, OPT_AS),
                                             .rules = cli->words + 1,
                                             .n_rules = cli->n_words - 1};

    return mkv_gate_run(cli, &how);
}

static const struct task {
    const char *name;
    const char *words; /* as in the synopsis, behind the name */
    unsigned n_words_min;
    unsigned n_words_max;
    enum mkv_exit (*check)(struct mkv_cli *cli); /* before connecting; or NULL */
    enum mkv_exit (*run)(struct mkv_cli *cli);   /* connected */
} tasks[] = {
    {"list", "[NAME]", 0, 1, NULL, list},
    {"add", "NAME RULE", 2, 2, check_add, add},
    {"del", "NAME", 1, 1, NULL, del},
    {"test", "NAME TOPIC PAYLOAD | --path NAME PATH [VALUE]", 2, 3, check_test, test},
    {"status", "", 0, 0, NULL, mkv_gate_show_status},
    {"run", "[NAME...]", 0, 3, NULL, run_gate},
};

#define N_TASKS (sizeof(tasks) / sizeof(tasks[0]))

static const struct task *find(const struct mkv_cli *cli)
{
    const char *names[N_TASKS];
    const char *guess;

    for (unsigned i = 0; i < N_TASKS; i++) {
        if (strcmp(cli->words[0], tasks[i].name) == 0) {
            return &tasks[i];
        }
        names[i] = tasks[i].name;
    }
    guess = mkv_option_guess(cli->words[0], names, N_TASKS);
    (void)mkv_say(MKV_EXIT_USAGE, "gate: cannot '%s'; %s%s%s", cli->words[0],
                  guess == NULL ? "'moat-kv help gate' lists what it can" : "did you mean '",
                  guess == NULL ? "" : guess, guess == NULL ? "" : "'?");
    return NULL;
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    const struct task *task = find(cli);
    unsigned n_words = cli->n_words - 1;
    enum mkv_exit status;

    if (task == NULL) {
        return MKV_EXIT_USAGE;
    }
    if (n_words < task->n_words_min || n_words > task->n_words_max) {
        return mkv_say(MKV_EXIT_USAGE, "gate %s: %s; usage: moat-kv gate %s %s", task->name,
                       n_words < task->n_words_min ? "something is missing" : "too many words",
                       task->name, task->words);
    }
    status = task->check == NULL ? MKV_EXIT_OK : task->check(cli);
    if (status == MKV_EXIT_OK) {
        status = mkv_session_open(cli);
    }
    if (status == MKV_EXIT_OK) {
        status = task->run(cli);
    }
    mkv_session_close(cli);
    return status;
}

static const uint8_t exits[] = {
    MKV_EXIT_NOT_FOUND,      MKV_EXIT_USAGE,       MKV_EXIT_NO_CONNECTION,
    MKV_EXIT_NOT_AUTHORISED, MKV_EXIT_CONFLICT,    MKV_EXIT_BAD_DATA,
    MKV_EXIT_NOT_WRITING,    MKV_EXIT_INTERRUPTED, 0};

const struct mkv_verb mkv_verb_gate = {
    .name = "gate",
    .words = "list [NAME] | add NAME RULE | del NAME | test NAME TOPIC PAYLOAD | status | run "
             "[NAME...]",
    .n_words_min = 1,
    .n_words_max = 4,
    .summary = "Keeps plain MQTT topics and parts of the tree in step, by rules",
    .more =
        "A rule is a map: topic (a filter), path (with the same '+' and '#'), dir (in, out, "
        "both),\n"
        "codec (json, text, number, bool, cbor, raw); and if wanted set (the topic to write to),\n"
        "qos, retain, fields, scale, enum, birth, off, note. 'run' is the gateway itself: it goes "
        "on\n"
        "until it is interrupted, with those rules or with all. See docs/gateway.md.\n",
    .options = options,
    .examples = {{"gate add lamps '{topic: zigbee2mqtt/+, set: zigbee2mqtt/+/set, path: dev.+, "
                  "dir: both, codec: json, fields: true}'",
                  "lamps of zigbee2mqtt as dev.NAME.brightness and so on"},
                 {"gate test lamps zigbee2mqtt/hall '{\"state\":\"ON\"}'",
                  "what that message would do"},
                 {"gate run --mqtt mqtt://broker:1883", "the gateway, until Ctrl-C"}},
    .exits = exits,
    .run = run,
};
