/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/root.h"

#include "cli/fact.h"
#include "cli/place.h"
#include "cli/session.h"

struct asking {
    struct mkv_buf *root;
    bool done;
    int status;
};

static void on_report(void *user, int status, moatkv_bytes report)
{
    struct asking *asking = user;

    asking->done = true;
    asking->status = status;
    if (status == 0) {
        asking->status =
            mkv_buf_append(asking->root, mkv_fact_text(mkv_bytes_from(report), "root"));
    }
}

enum mkv_exit mkv_root_ask(struct mkv_cli *cli, struct mkv_buf *root)
{
    struct asking asking = {.root = root};
    int error = moatkv_status(cli->kv, on_report, &asking);
    enum mkv_exit status;

    if (error != 0) {
        return mkv_session_fail(cli, error, "status");
    }
    status = mkv_session_wait(cli, &asking.done);
    if (status == MKV_EXIT_OK && asking.status != 0) {
        status = mkv_session_fail(cli, asking.status, "status");
    }
    return status;
}
