/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/roster.h"

#include <stdlib.h>

#include "base/mem.h"
#include "cli/fact.h"
#include "cli/place.h"
#include "cli/session.h"
#include "wire/cbor.h"

struct asking {
    struct mkv_cli *cli;
    struct mkv_roster *roster;
    bool done;
    int status;
    int error; /* of our own */
};

static void on_report(void *user, int status, moatkv_bytes report)
{
    struct asking *asking = user;
    struct mkv_roster *roster = asking->roster;

    if (status != MOATKV_ROW) {
        asking->status = status;
        asking->done = true;
        return;
    }
    mkv_session_progress(asking->cli);
    if (asking->error == 0) {
        asking->error = mkv_buf_append(&roster->reports, mkv_bytes_from(report));
        roster->n++;
    }
}

/* The name first, and then the id, so that the order is the same each time. */
static int compare(const void *a, const void *b)
{
    const struct mkv_bytes *left = a;
    const struct mkv_bytes *right = b;
    int order = mkv_bytes_compare(mkv_fact_text(*left, "name"), mkv_fact_text(*right, "name"));

    return order != 0 ? order
                      : mkv_bytes_compare(mkv_fact_text(*left, "id"), mkv_fact_text(*right, "id"));
}

static int sort(struct mkv_roster *roster)
{
    struct mkv_cbor_reader r;

    if (roster->n == 0) {
        return 0;
    }
    roster->at = mkv_mem_alloc(roster->n * sizeof(*roster->at));
    if (roster->at == NULL) {
        return MKV_E_NO_MEMORY;
    }
    mkv_cbor_reader_init(&r, mkv_buf_bytes(&roster->reports));
    for (size_t i = 0; i < roster->n; i++) {
        roster->at[i] = mkv_cbor_read_raw(&r);
    }
    qsort(roster->at, roster->n, sizeof(*roster->at), compare);
    return r.error;
}

/* One request; *ret_again if the connection broke on the way. */
static enum mkv_exit read_once(struct asking *asking, bool *ret_again)
{
    struct mkv_cli *cli = asking->cli;
    int error;

    mkv_buf_clear(&asking->roster->reports);
    asking->roster->n = 0;
    asking->done = false;
    *ret_again = false;
    error = moatkv_servers(cli->kv, on_report, asking, NULL);
    if (error != 0) {
        return mkv_session_fail(cli, error, "servers");
    }

    enum mkv_exit status = mkv_session_wait(cli, &asking->done);

    if (status != MKV_EXIT_OK) {
        return status;
    }
    *ret_again = asking->status == MOATKV_E_CLOSED;
    if (asking->status != 0 && !*ret_again) {
        return mkv_session_fail(cli, asking->status, "servers");
    }
    return MKV_EXIT_OK;
}

enum mkv_exit mkv_roster_read(struct mkv_roster *roster, struct mkv_cli *cli)
{
    struct asking asking = {.cli = cli, .roster = roster};
    enum mkv_exit status;
    bool again;

    mkv_buf_init(&roster->reports, MKV_ROSTER_MAX);
    do {
        status = read_once(&asking, &again);
    } while (status == MKV_EXIT_OK && again);
    if (status == MKV_EXIT_OK && asking.error == 0) {
        asking.error = sort(roster);
    }
    if (status == MKV_EXIT_OK && asking.error != 0) {
        return mkv_session_fail(cli, asking.error, "servers");
    }
    return status;
}

void mkv_roster_deinit(struct mkv_roster *roster)
{
    mkv_mem_free(roster->at);
    mkv_buf_deinit(&roster->reports);
    *roster = (struct mkv_roster){0};
}
