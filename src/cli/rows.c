/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/rows.h"

#include "base/limits.h"
#include "cli/session.h"

struct reading {
    struct mkv_cli *cli;
    mkv_on_row on_row;
    void *user;
    uint64_t id;
    bool begun;          /* a row has come */
    struct mkv_buf last; /* its key */
    struct mkv_buf key;  /* of the present one */
    enum mkv_exit exit;  /* of on_row */
    bool done;
    int status; /* of the library */
};

static enum mkv_exit take_row(struct reading *reading, const moatkv_entry *entry)
{
    mkv_buf_clear(&reading->key);

    int error = mkv_place_key(moatkv_entry_path(entry), &reading->key);

    if (error != 0) {
        return mkv_session_fail(reading->cli, error, "reading");
    }
    /* Read again after a break, or written to meanwhile: the first time counts. */
    if (reading->begun &&
        mkv_bytes_compare(mkv_buf_bytes(&reading->key), mkv_buf_bytes(&reading->last)) <= 0) {
        return MKV_EXIT_OK;
    }

    struct mkv_buf free = reading->last;

    reading->begun = true;
    reading->last = reading->key;
    reading->key = free;
    return reading->on_row(reading->user, mkv_buf_bytes(&reading->last), entry);
}

static void on_entry(void *user, int status, const moatkv_entry *entry)
{
    struct reading *reading = user;

    if (status != MOATKV_ROW) {
        reading->status = status;
        reading->done = true;
        return;
    }
    mkv_session_progress(reading->cli);
    if (reading->exit == MKV_EXIT_OK) {
        reading->exit = take_row(reading, entry);
        if (reading->exit != MKV_EXIT_OK) {
            (void)moatkv_cancel(reading->cli->kv, reading->id); /* it may have ended by itself */
        }
    }
}

/* One request; *ret_again if the connection broke. */
static enum mkv_exit read_once(struct reading *reading,
                               const struct mkv_place *place,
                               const moatkv_read_how *how,
                               bool *ret_again)
{
    struct mkv_cli *cli = reading->cli;
    int error = moatkv_read(cli->kv, mkv_place_path(place), how, on_entry, reading, &reading->id);

    *ret_again = false;
    reading->done = false;
    if (error != 0) {
        return mkv_session_fail(cli, error, mkv_place_text(place));
    }

    enum mkv_exit status = mkv_session_wait(cli, &reading->done);

    if (status != MKV_EXIT_OK) {
        return status;
    }
    *ret_again = reading->exit == MKV_EXIT_OK && reading->status == MOATKV_E_CLOSED;
    if (reading->exit != MKV_EXIT_OK || reading->status == 0 || *ret_again) {
        return reading->exit;
    }
    return mkv_session_fail(cli, reading->status, mkv_place_text(place));
}

enum mkv_exit mkv_rows_read(struct mkv_cli *cli,
                            const struct mkv_place *place,
                            const moatkv_read_how *how,
                            mkv_on_row on_row,
                            void *user)
{
    struct reading reading = {.cli = cli, .on_row = on_row, .user = user};
    enum mkv_exit status;
    bool again;

    mkv_buf_init(&reading.last, MKV_PATH_KEY_MAX);
    mkv_buf_init(&reading.key, MKV_PATH_KEY_MAX);
    mkv_session_progress(cli);
    do {
        status = read_once(&reading, place, how, &again);
    } while (status == MKV_EXIT_OK && again);
    mkv_buf_deinit(&reading.last);
    mkv_buf_deinit(&reading.key);
    return status;
}
