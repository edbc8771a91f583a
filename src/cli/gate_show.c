/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/gate_show.h"

#include "cli/fact.h"
#include "cli/gate_rules.h"
#include "cli/record.h"
#include "cli/say.h"
#include "cli/value.h"
#include "gate/message.h"
#include "gate/pattern.h"
#include "wire/path.h"

#define DOTTED_MAX 16384U /* more than any path in dotted text */

/* --- list ------------------------------------------------------------------------------------- */

static void put_rule_text(struct mkv_out *out,
                          struct mkv_bytes name,
                          const struct mkv_known_row *row,
                          const struct mkv_problem *problem)
{
    mkv_out_safe(out, name);
    mkv_out_puts(out, " ");
    mkv_out_line(out, mkv_bytes_from(moatkv_entry_value(row->entry)));
    if (problem->error != 0) {
        mkv_out_puts(out, "  NOT IN FORCE: ");
        mkv_out_safe(out, mkv_bytes_of(problem->text));
    }
    mkv_out_puts(out, "\n");
}

static void put_rule_record(struct mkv_records *records,
                            struct mkv_bytes name,
                            const struct mkv_known_row *row,
                            const struct mkv_problem *problem)
{
    mkv_records_begin(records, problem->error != 0 ? 3 : 2);
    mkv_record_text(records, "name", name);
    mkv_record_item(records, "rule", mkv_bytes_from(moatkv_entry_value(row->entry)));
    if (problem->error != 0) {
        mkv_record_text(records, "problem", mkv_bytes_of(problem->text));
    }
    mkv_records_add(records);
}

static void put_rule(struct mkv_records *records,
                     const struct mkv_known *known,
                     const struct mkv_known_row *row,
                     struct mkv_bytes name)
{
    struct mkv_gate_rule rule;
    struct mkv_problem problem = {0};

    if (mkv_gate_rules_parse(known, row, &rule, &problem) == 0) {
        problem.error = 0;
    }
    mkv_gate_rule_deinit(&rule);
    if (records->format == MKV_FORMAT_TEXT) {
        put_rule_text(records->out, name, row, &problem);
    } else {
        put_rule_record(records, name, row, &problem);
    }
}

enum mkv_exit mkv_gate_show_rules(struct mkv_cli *cli, const char *name)
{
    struct mkv_known known;
    struct mkv_records records;
    struct mkv_buf room;
    size_t n = 0;
    enum mkv_exit status;

    mkv_known_init(&known);
    mkv_records_init(&records, &cli->out, cli->format);
    mkv_buf_init(&room, MKV_PATH_KEY_MAX);
    status = mkv_gate_rules_read(cli, MKV_GATE_RULES_PATH, &known);
    for (size_t i = 0; i < mkv_known_count(&known) && status == MKV_EXIT_OK; i++) {
        const struct mkv_known_row *row = mkv_known_at(&known, i);
        struct mkv_bytes own = mkv_gate_rules_name(&known, row, &room);

        if (!moatkv_entry_deleted(row->entry) &&
            (name == NULL || mkv_bytes_equal(own, mkv_bytes_of(name)))) {
            put_rule(&records, &known, row, own);
            n++;
        }
    }
    if (status == MKV_EXIT_OK && cli->format != MKV_FORMAT_TEXT) {
        mkv_records_end(&records);
    }
    if (status == MKV_EXIT_OK && name != NULL && n == 0) {
        status = mkv_say(MKV_EXIT_NOT_FOUND, "no rule '%s'; 'moat-kv gate list' shows them", name);
    }
    mkv_buf_deinit(&room);
    mkv_records_deinit(&records);
    mkv_known_deinit(&known);
    return status;
}

/* --- status ----------------------------------------------------------------------------------- */

static void put_count(struct mkv_out *out, struct mkv_bytes report, const char *name, bool always)
{
    uint64_t n = mkv_fact_uint(report, name, 0);

    if (n > 0 || always) {
        mkv_out_printf(out, " %s %llu", name, (unsigned long long)n);
    }
}

/* attic zigbee ok: received 12 same 3 written 9; bad JSON (zigbee2mqtt/lamp) */
static void put_status_text(struct mkv_out *out, struct mkv_bytes report)
{
    struct mkv_bytes problem = mkv_fact_text(report, "problem");
    struct mkv_bytes where = mkv_fact_text(report, "where");

    mkv_out_safe(out, mkv_fact_text(report, "gate"));
    mkv_out_puts(out, " ");
    if (mkv_fact_text(report, "rule").len > 0) {
        mkv_out_safe(out, mkv_fact_text(report, "rule"));
        mkv_out_puts(out, " ");
    }
    mkv_out_safe(out, mkv_fact_text(report, "state"));
    put_count(out, report, "received", false);
    put_count(out, report, "same", false);
    put_count(out, report, "written", false);
    put_count(out, report, "published", false);
    put_count(out, report, "replaced", false);
    put_count(out, report, "errors", false);
    put_count(out, report, "damped", false);
    put_count(out, report, "births", false);
    if (problem.len > 0) {
        mkv_out_puts(out, ": ");
        mkv_out_safe(out, problem);
    }
    if (where.len > 0) {
        mkv_out_puts(out, " (");
        mkv_out_safe(out, where);
        mkv_out_puts(out, ")");
    }
    mkv_out_puts(out, "\n");
}

enum mkv_exit mkv_gate_show_status(struct mkv_cli *cli)
{
    struct mkv_known known;
    struct mkv_records records;
    enum mkv_exit status;

    mkv_known_init(&known);
    mkv_records_init(&records, &cli->out, cli->format);
    status = mkv_gate_rules_read(cli, MKV_GATE_STATUS_PATH, &known);
    for (size_t i = 0; i < mkv_known_count(&known) && status == MKV_EXIT_OK; i++) {
        const struct mkv_known_row *row = mkv_known_at(&known, i);
        struct mkv_bytes report = mkv_bytes_from(moatkv_entry_value(row->entry));

        if (moatkv_entry_deleted(row->entry) || mkv_fact_text(report, "gate").len == 0) {
            continue;
        }
        if (cli->format == MKV_FORMAT_TEXT) {
            put_status_text(&cli->out, report);
        } else {
            mkv_records_map(&records, report);
        }
    }
    if (status == MKV_EXIT_OK && cli->format != MKV_FORMAT_TEXT) {
        mkv_records_end(&records);
    }
    mkv_records_deinit(&records);
    mkv_known_deinit(&known);
    return status;
}

/* --- test ------------------------------------------------------------------------------------- */

struct trial {
    struct mkv_cli *cli;
    struct mkv_gate_rule rule;
    struct mkv_records records;
    struct mkv_problem problem;
};

static enum mkv_exit find_rule(struct trial *trial, const char *name)
{
    struct mkv_known known;
    const struct mkv_known_row *row;
    enum mkv_exit status;

    mkv_known_init(&known);
    status = mkv_gate_rules_read(trial->cli, MKV_GATE_RULES_PATH, &known);
    row = status == MKV_EXIT_OK ? mkv_gate_rules_find(&known, name) : NULL;
    if (status == MKV_EXIT_OK && row == NULL) {
        status = mkv_say(MKV_EXIT_NOT_FOUND, "no rule '%s'; 'moat-kv gate list' shows them", name);
    }
    if (row != NULL && mkv_gate_rules_parse(&known, row, &trial->rule, &trial->problem) != 0) {
        status = mkv_say(MKV_EXIT_BAD_DATA, "the rule '%s': %s", name, trial->problem.text);
    }
    mkv_known_deinit(&known);
    return status;
}

/* @value NULL: it would be deleted; @below: and all below it. */
static int put_change(struct trial *trial,
                      struct mkv_bytes key,
                      const struct mkv_bytes *value,
                      bool below)
{
    struct mkv_out *out = &trial->cli->out;
    struct mkv_buf path;
    int error;

    mkv_buf_init(&path, DOTTED_MAX);
    error = mkv_path_to_dotted(key, &path);
    if (error == 0 && trial->cli->format == MKV_FORMAT_TEXT) {
        mkv_out_safe(out, mkv_buf_bytes(&path));
        mkv_out_puts(out, value != NULL ? " = " : below ? " and below: deleted" : " deleted");
        if (value != NULL) {
            mkv_out_line(out, *value);
        }
        mkv_out_puts(out, "\n");
    } else if (error == 0) {
        mkv_records_begin(&trial->records, 2);
        mkv_record_text(&trial->records, "path", mkv_buf_bytes(&path));
        if (value != NULL) {
            mkv_record_item(&trial->records, "value", *value);
        } else {
            mkv_record_bool(&trial->records, "deleted", true);
        }
        mkv_records_add(&trial->records);
    }
    mkv_buf_deinit(&path);
    return error;
}

static int put_changes(struct trial *trial, const struct mkv_gate_changes *changes)
{
    int error = 0;

    if (changes->clears) {
        error = put_change(trial, mkv_buf_bytes(&changes->key), NULL, trial->rule.has_fields);
    }
    for (size_t i = 0; i < mkv_gate_changes_count(changes) && error == 0; i++) {
        struct mkv_bytes key;
        struct mkv_bytes value;

        mkv_gate_changes_at(changes, i, &key, &value);
        error = put_change(trial, key, &value, false);
    }
    return error;
}

static enum mkv_exit try_message(struct trial *trial, const char *topic, const char *payload)
{
    struct mkv_gate_changes changes;
    struct mkv_bytes at = mkv_bytes_of(topic);
    enum mkv_exit status = MKV_EXIT_OK;

    if (!mkv_gate_rule_reads(&trial->rule) || !mkv_gate_topic_valid(at) ||
        !mkv_gate_topic_matches(trial->rule.topic, at)) {
        return mkv_say(MKV_EXIT_NOT_FOUND, "the rule '%s' does not read '%s'", trial->rule.name,
                       topic);
    }
    mkv_gate_changes_init(&changes);
    if (mkv_gate_read(&trial->rule, at, mkv_bytes_of(payload), &changes, &trial->problem) != 0) {
        status = mkv_say(MKV_EXIT_BAD_DATA, "%s: %s", topic, trial->problem.text);
    } else {
        mkv_out_fail(&trial->cli->out, put_changes(trial, &changes));
    }
    mkv_gate_changes_deinit(&changes);
    return status;
}

/* JSON and texts as themselves; what is no text as a byte string. */
static void put_message(struct trial *trial, struct mkv_bytes topic, struct mkv_bytes payload)
{
    struct mkv_cbor_writer w;
    struct mkv_buf item;

    if (trial->cli->format == MKV_FORMAT_TEXT) {
        mkv_out_safe(&trial->cli->out, topic);
        mkv_out_puts(&trial->cli->out, " ");
        mkv_out_safe(&trial->cli->out, payload);
        mkv_out_puts(&trial->cli->out, "\n");
        return;
    }
    mkv_buf_init(&item, MKV_FORMAT_MAX);
    mkv_cbor_writer_init(&w, &item);
    if (mkv_utf8_valid(payload)) {
        mkv_cbor_write_text(&w, payload);
    } else {
        mkv_cbor_write_bytes(&w, payload);
    }
    mkv_out_fail(&trial->cli->out, w.error);
    if (w.error == 0) {
        mkv_records_begin(&trial->records, 4);
        mkv_record_text(&trial->records, "topic", topic);
        mkv_record_item(&trial->records, "payload", mkv_buf_bytes(&item));
        mkv_record_uint(&trial->records, "qos", (uint64_t)trial->rule.qos);
        mkv_record_bool(&trial->records, "retain", trial->rule.retain);
        mkv_records_add(&trial->records);
    }
    mkv_buf_deinit(&item);
}

static enum mkv_exit try_entry(struct trial *trial,
                               const struct mkv_place *place,
                               const struct mkv_bytes *value)
{
    struct mkv_bytes key = mkv_buf_bytes(&place->key);
    struct mkv_buf topic;
    struct mkv_buf payload;
    enum mkv_exit status = MKV_EXIT_OK;

    if (!mkv_gate_rule_writes(&trial->rule) || !mkv_gate_concerns(&trial->rule, key)) {
        return mkv_say(MKV_EXIT_NOT_FOUND, "the rule '%s' does not send '%s'", trial->rule.name,
                       mkv_place_text(place));
    }
    mkv_buf_init(&topic, MKV_GATE_FILTER_MAX + MKV_PATH_KEY_MAX);
    mkv_buf_init(&payload, MKV_FORMAT_MAX);
    if (mkv_gate_write(&trial->rule, key, value, &topic, &payload, &trial->problem) != 0) {
        status = mkv_say(MKV_EXIT_BAD_DATA, "%s: %s", mkv_place_text(place), trial->problem.text);
    } else if (topic.len > 0) {
        put_message(trial, mkv_buf_bytes(&topic), mkv_buf_bytes(&payload));
    }
    mkv_buf_deinit(&payload);
    mkv_buf_deinit(&topic);
    return status;
}

static enum mkv_exit begin_trial(struct trial *trial, struct mkv_cli *cli, const char *name)
{
    *trial = (struct trial){.cli = cli};
    mkv_records_init(&trial->records, &cli->out, cli->format);
    return find_rule(trial, name);
}

static enum mkv_exit end_trial(struct trial *trial, enum mkv_exit status)
{
    if (status == MKV_EXIT_OK && trial->cli->format != MKV_FORMAT_TEXT) {
        mkv_records_end(&trial->records);
    }
    mkv_records_deinit(&trial->records);
    mkv_gate_rule_deinit(&trial->rule);
    return status;
}

enum mkv_exit mkv_gate_show_message(struct mkv_cli *cli,
                                    const char *name,
                                    const char *topic,
                                    const char *payload)
{
    struct trial trial;
    enum mkv_exit status = begin_trial(&trial, cli, name);

    if (status == MKV_EXIT_OK) {
        status = try_message(&trial, topic, payload);
    }
    return end_trial(&trial, status);
}

enum mkv_exit mkv_gate_show_entry(struct mkv_cli *cli,
                                  const char *name,
                                  const char *path,
                                  const char *value)
{
    struct trial trial;
    struct mkv_place place;
    struct mkv_buf item;
    enum mkv_exit status = begin_trial(&trial, cli, name);

    mkv_buf_init(&item, MKV_VALUE_MAX);
    place = (struct mkv_place){0};
    if (status == MKV_EXIT_OK) {
        status = mkv_place_init(&place, path);
    }
    if (status == MKV_EXIT_OK && value != NULL &&
        mkv_value_read(mkv_bytes_of(value), MKV_NOTATION_ARGUMENT, &item, &trial.problem) != 0) {
        status = mkv_say(MKV_EXIT_BAD_DATA, "value: %s", trial.problem.text);
    }
    if (status == MKV_EXIT_OK) {
        struct mkv_bytes bytes = mkv_buf_bytes(&item);

        status = try_entry(&trial, &place, value != NULL ? &bytes : NULL);
    }
    mkv_place_deinit(&place);
    mkv_buf_deinit(&item);
    return end_trial(&trial, status);
}
