/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/gate_report.h"

#include <string.h>

#include "cli/gate_rules.h"
#include "wire/cbor.h"
#include "wire/path.h"

#define REPORT_MAX 4096U
#define DOTTED_MAX 1024U

void mkv_gate_reports_init(struct mkv_gate_reports *reports, struct mkv_cli *cli, const char *gate)
{
    *reports = (struct mkv_gate_reports){.cli = cli, .gate = gate};
    for (unsigned i = 0; i < MKV_GATE_REPORTS_MAX; i++) {
        mkv_buf_init(&reports->written[i], REPORT_MAX);
    }
}

void mkv_gate_reports_deinit(struct mkv_gate_reports *reports)
{
    for (unsigned i = 0; i < MKV_GATE_REPORTS_MAX; i++) {
        mkv_buf_deinit(&reports->written[i]);
    }
}

void mkv_gate_reports_begin(struct mkv_gate_reports *reports)
{
    reports->n = 0;
}

static void on_written(void *user, int status, const moatkv_entry *entry)
{
    struct mkv_gate_reports *reports = user;

    (void)status; /* who may not write this has no status to show, and works as well */
    (void)entry;
    reports->n_flying--;
}

static int append_name(struct mkv_buf *key, const char *name)
{
    const struct mkv_element element = {.kind = MKV_ELEMENT_TEXT, .text = mkv_bytes_of(name)};

    return mkv_path_append(key, &element);
}

/* The dotted path of a report; @rule NULL: of the gateway's own. */
static int path_of(const struct mkv_gate_reports *reports, const char *rule, struct mkv_buf *path)
{
    struct mkv_buf key;
    int error;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    error = mkv_path_from_dotted(mkv_bytes_of(MKV_GATE_STATUS_PATH), &key);
    if (error == 0) {
        error = append_name(&key, reports->gate);
    }
    if (error == 0 && rule != NULL) {
        error = append_name(&key, rule);
    }
    if (error == 0) {
        error = mkv_path_to_dotted(mkv_buf_bytes(&key), path);
    }
    mkv_buf_deinit(&key);
    return error;
}

/* Writes the report unless that is what the tree was told.  What cannot be started now is tried next time. */
static void put(struct mkv_gate_reports *reports, const char *rule, const struct mkv_buf *item)
{
    struct mkv_buf *last = &reports->written[reports->n];
    struct mkv_buf path;
    int error;

    reports->n++;
    if (mkv_bytes_equal(mkv_buf_bytes(last), mkv_buf_bytes(item))) {
        return;
    }
    mkv_buf_init(&path, DOTTED_MAX);
    error = path_of(reports, rule, &path);
    if (error == 0) {
        error =
            moatkv_set(reports->cli->kv, (moatkv_bytes){.at = path.at, .len = path.len},
                       (moatkv_bytes){.at = item->at, .len = item->len}, 0, on_written, reports);
    }
    if (error == 0) {
        reports->n_flying++;
        mkv_buf_clear(last);
        if (mkv_buf_append(last, mkv_buf_bytes(item)) != 0) {
            mkv_buf_clear(last);
        }
    }
    mkv_buf_deinit(&path);
}

static void write_text(struct mkv_cbor_writer *w, const char *name, const char *text)
{
    mkv_cbor_write_text(w, mkv_bytes_of(name));
    mkv_cbor_write_text(w, mkv_bytes_of(text));
}

static void write_count(struct mkv_cbor_writer *w, const char *name, uint64_t n)
{
    mkv_cbor_write_text(w, mkv_bytes_of(name));
    mkv_cbor_write_uint(w, n);
}

static void put_words(struct mkv_gate_reports *reports,
                      const char *rule,
                      const char *state,
                      const char *problem)
{
    struct mkv_cbor_writer w;
    struct mkv_buf item;

    mkv_buf_init(&item, REPORT_MAX);
    mkv_cbor_writer_init(&w, &item);
    mkv_cbor_write_map(&w, rule != NULL ? 4 : 3);
    write_text(&w, "gate", reports->gate);
    if (rule != NULL) {
        write_text(&w, "rule", rule);
    }
    write_text(&w, "state", state);
    write_text(&w, "problem", problem);
    if (w.error == 0) {
        put(reports, rule, &item);
    }
    mkv_buf_deinit(&item);
}

void mkv_gate_report_self(struct mkv_gate_reports *reports, const char *state, const char *problem)
{
    put_words(reports, NULL, state, problem);
}

void mkv_gate_report_bad(struct mkv_gate_reports *reports, const char *rule, const char *problem)
{
    put_words(reports, rule, problem[0] == '\0' ? "off" : "not in force", problem);
}

void mkv_gate_report_rule(struct mkv_gate_reports *reports, const struct mkv_gate_report *report)
{
    const struct mkv_gate_counts *counts = &report->counts;
    struct mkv_cbor_writer w;
    struct mkv_buf item;

    mkv_buf_init(&item, REPORT_MAX);
    mkv_cbor_writer_init(&w, &item);
    mkv_cbor_write_map(&w, 13);
    write_text(&w, "gate", reports->gate);
    write_text(&w, "rule", report->rule->name);
    write_text(&w, "state", "in force");
    write_count(&w, "received", counts->received);
    write_count(&w, "same", counts->same);
    write_count(&w, "written", counts->written);
    write_count(&w, "published", counts->published);
    write_count(&w, "replaced", counts->replaced);
    write_count(&w, "errors", counts->errors);
    write_count(&w, "damped", counts->damped);
    write_count(&w, "births", counts->births);
    write_text(&w, "problem", report->problem);
    write_text(&w, "where", report->where);
    if (w.error == 0) {
        put(reports, report->rule->name, &item);
    }
    mkv_buf_deinit(&item);
}

/* --- Tidying ------------------------------------------------------------------------------------ */

/* Whether the path is [null, "gate-status", this gateway, RULE]; the rule's name goes to @room. */
static bool is_of_rule(const struct mkv_gate_reports *reports,
                       struct mkv_bytes key,
                       struct mkv_buf *room,
                       struct mkv_bytes *ret_rule)
{
    struct mkv_element element;

    if (mkv_path_depth(key) != 4) {
        return false;
    }
    key = mkv_bytes_after(key, mkv_path_head(key, 2).len);
    if (mkv_element_decode(mkv_path_cut(&key), room, &element) != 0 ||
        element.kind != MKV_ELEMENT_TEXT ||
        !mkv_bytes_equal(element.text, mkv_bytes_of(reports->gate)) ||
        mkv_element_decode(key, room, &element) != 0 || element.kind != MKV_ELEMENT_TEXT) {
        return false;
    }
    *ret_rule = element.text;
    return true;
}

enum mkv_exit mkv_gate_reports_tidy(struct mkv_gate_reports *reports,
                                    bool (*keep)(const void *context, struct mkv_bytes rule),
                                    const void *context)
{
    struct mkv_known known;
    struct mkv_buf room;
    struct mkv_bytes rule;
    enum mkv_exit status;

    for (unsigned i = 0; i < MKV_GATE_REPORTS_MAX; i++) {
        mkv_buf_clear(&reports->written[i]);
    }
    mkv_known_init(&known);
    mkv_buf_init(&room, MKV_PATH_KEY_MAX);
    status = mkv_gate_rules_read(reports->cli, MKV_GATE_STATUS_PATH, &known);
    for (size_t i = 0; i < mkv_known_count(&known) && status == MKV_EXIT_OK; i++) {
        const struct mkv_known_row *row = mkv_known_at(&known, i);
        struct mkv_bytes key = mkv_bytes(known.keys.at + row->key_start, row->key_len);

        if (!moatkv_entry_deleted(row->entry) && is_of_rule(reports, key, &room, &rule) &&
            !keep(context, rule) &&
            moatkv_delete_over(reports->cli->kv, moatkv_entry_path(row->entry), row->entry,
                               on_written, reports) == 0) {
            reports->n_flying++;
        }
    }
    mkv_buf_deinit(&room);
    mkv_known_deinit(&known);
    return status;
}
