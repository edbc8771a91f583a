/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/writes.h"

#include "base/limits.h"
#include "cli/record.h"
#include "cli/say.h"
#include "cli/session.h"

#define SHOW_MS     5000 /* between two lines about the progress */
#define LOOK_AROUND 64U  /* writes */

void mkv_writes_init(struct mkv_writes *writes, struct mkv_cli *cli)
{
    *writes = (struct mkv_writes){.cli = cli, .shown_ms = mkv_session_now_ms()};
    mkv_known_init(&writes->known);
}

void mkv_writes_deinit(struct mkv_writes *writes)
{
    mkv_known_deinit(&writes->known);
}

enum mkv_exit mkv_writes_begin(struct mkv_writes *writes, const struct mkv_place *place)
{
    const moatkv_read_how all = {
        .size = sizeof(all), .depth_max = MKV_PATH_LEVELS_MAX, .flags = MOATKV_TOMBSTONES};

    return mkv_known_read(&writes->known, writes->cli, place, &all);
}

static void show_progress(struct mkv_writes *writes)
{
    int64_t now_ms = mkv_session_now_ms();
    unsigned long long n_done = writes->n_written + writes->n_deleted + writes->n_unchanged;

    if (writes->cli->quiet || now_ms - writes->shown_ms < SHOW_MS) {
        return;
    }
    writes->shown_ms = now_ms;
    if (writes->n_planned > 0) {
        (void)mkv_say(MKV_EXIT_OK, "%llu of %llu done so far", n_done,
                      (unsigned long long)writes->n_planned);
    } else {
        (void)mkv_say(MKV_EXIT_OK, "%llu done so far", n_done);
    }
}

static void count_end(struct mkv_writes *writes, int status, uint64_t *n_done)
{
    writes->n_flying--;
    writes->one_ended = true;
    if (status == 0) {
        (*n_done)++;
        mkv_session_stored(writes->cli);
        show_progress(writes);
    } else if (status != MOATKV_E_CANCELLED) { /* that comes when the session is closed */
        writes->n_refused++;
        writes->refusal = writes->refusal != 0 ? writes->refusal : status;
    }
}

static void on_written(void *user, int status, const moatkv_entry *entry)
{
    struct mkv_writes *writes = user;

    (void)entry; /* it is as we wrote it */
    count_end(writes, status, &writes->n_written);
}

static void on_deleted(void *user, int status, const moatkv_entry *entry)
{
    struct mkv_writes *writes = user;

    (void)entry; /* it is as we wrote it */
    count_end(writes, status, &writes->n_deleted);
}

/* Starts one write or, without @value, one deletion of what is @known. */
static int start(struct mkv_writes *writes,
                 moatkv_bytes path,
                 const struct mkv_bytes *value,
                 const moatkv_entry *known)
{
    moatkv *kv = writes->cli->kv;

    if (value == NULL) {
        return moatkv_delete_over(kv, path, known, on_deleted, writes);
    }

    const moatkv_bytes item = {.at = value->at, .len = value->len};

    if (known == NULL) { /* we have just looked: there is nothing to be named */
        return moatkv_set(kv, path, item, MOATKV_BLIND, on_written, writes);
    }
    return moatkv_set_over(kv, path, item, known, on_written, writes);
}

/* Waits until one of the writes in flight has come to its end. */
static enum mkv_exit wait_for_end(struct mkv_writes *writes)
{
    writes->one_ended = false;
    return mkv_session_wait(writes->cli, &writes->one_ended);
}

/* Now and then, so that acknowledgements are read while we are still busy writing. */
static enum mkv_exit look_around(struct mkv_writes *writes)
{
    enum mkv_exit status = MKV_EXIT_OK;

    writes->n_started++;
    if (writes->n_started % LOOK_AROUND == 0) {
        status = mkv_session_step(writes->cli, 0);
    }
    if (status != MKV_EXIT_OK) {
        mkv_session_close(writes->cli);
    }
    return status;
}

static enum mkv_exit write_one(struct mkv_writes *writes,
                               moatkv_bytes path,
                               const struct mkv_bytes *value,
                               const moatkv_entry *known)
{
    int error = start(writes, path, value, known);

    while (error == MOATKV_E_QUEUE_FULL && writes->n_flying > 0) {
        enum mkv_exit status = wait_for_end(writes);

        if (status != MKV_EXIT_OK) {
            return status;
        }
        error = start(writes, path, value, known);
    }
    if (error != 0) {
        enum mkv_exit status = mkv_say(mkv_exit_of(error), "%.*s: %s", (int)path.len,
                                       (const char *)path.at, moatkv_strerror(error));

        mkv_session_close(writes->cli);
        return status;
    }
    writes->n_flying++;
    return look_around(writes);
}

enum mkv_exit mkv_writes_put(struct mkv_writes *writes,
                             const struct mkv_place *place,
                             struct mkv_bytes value)
{
    struct mkv_known_row *row = mkv_known_find(&writes->known, mkv_buf_bytes(&place->key));
    const moatkv_entry *entry = row != NULL ? row->entry : NULL;

    if (row != NULL) {
        row->met = true;
    }
    if (entry != NULL && !moatkv_entry_deleted(entry) &&
        (writes->only_missing ||
         mkv_bytes_equal(mkv_bytes_from(moatkv_entry_value(entry)), value))) {
        writes->n_unchanged++;
        return MKV_EXIT_OK;
    }
    if (writes->dry_run) {
        writes->n_written++;
        return MKV_EXIT_OK;
    }
    return write_one(writes, mkv_place_path(place), &value, entry);
}

enum mkv_exit mkv_writes_drop_rest(struct mkv_writes *writes)
{
    enum mkv_exit status = MKV_EXIT_OK;

    for (size_t i = 0; i < mkv_known_count(&writes->known) && status == MKV_EXIT_OK; i++) {
        struct mkv_known_row *row = mkv_known_at(&writes->known, i);

        if (row->met || moatkv_entry_deleted(row->entry)) {
            continue;
        }
        if (writes->dry_run) {
            writes->n_deleted++;
        } else {
            status = write_one(writes, moatkv_entry_path(row->entry), NULL, row->entry);
        }
    }
    return status;
}

enum mkv_exit mkv_writes_finish(struct mkv_writes *writes)
{
    enum mkv_exit status = MKV_EXIT_OK;

    mkv_session_progress(writes->cli);
    while (writes->n_flying > 0 && status == MKV_EXIT_OK) {
        status = wait_for_end(writes);
    }
    if (status != MKV_EXIT_OK || writes->dry_run) {
        return status;
    }
    if (writes->n_refused > 0) {
        return mkv_say(mkv_exit_of(writes->refusal), "%llu writes were refused: %s",
                       (unsigned long long)writes->n_refused, moatkv_strerror(writes->refusal));
    }
    return mkv_session_settle(writes->cli);
}

static void report_text(const struct mkv_writes *writes)
{
    struct mkv_out *out = &writes->cli->out;

    mkv_out_puts(out, writes->dry_run ? "would be: " : "");
    mkv_out_printf(out, "%llu written, %llu unchanged", (unsigned long long)writes->n_written,
                   (unsigned long long)writes->n_unchanged);
    if (writes->n_deleted > 0) {
        mkv_out_printf(out, ", %llu deleted", (unsigned long long)writes->n_deleted);
    }
    mkv_out_puts(out, "\n");
}

void mkv_writes_report(const struct mkv_writes *writes, enum mkv_exit status)
{
    struct mkv_cli *cli = writes->cli;
    struct mkv_records records;

    if (status != MKV_EXIT_OK && status != MKV_EXIT_CONFLICT && !writes->dry_run) {
        (void)mkv_say(status,
                      "not everything was written; run the same command again, it goes on where "
                      "this one stopped");
    }
    if (cli->format == MKV_FORMAT_TEXT) {
        if (!cli->quiet) {
            report_text(writes);
        }
        return;
    }
    mkv_records_init(&records, &cli->out, cli->format);
    mkv_records_begin(&records, 4);
    mkv_record_uint(&records, "written", writes->n_written);
    mkv_record_uint(&records, "unchanged", writes->n_unchanged);
    mkv_record_uint(&records, "deleted", writes->n_deleted);
    mkv_record_bool(&records, "dry_run", writes->dry_run);
    mkv_records_only(&records);
    mkv_records_deinit(&records);
}
