/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/fact.h"
#include "cli/place.h"
#include "cli/record.h"
#include "cli/say.h"
#include "cli/session.h"
#include "cli/verbs.h"

enum {
    OPT_CONVERGED = 1
};

static const struct mkv_option options[] = {
    {OPT_CONVERGED, 0, "converged", NULL,
     "end with 7 unless all servers are there and have the same"},
    {0, 0, NULL, NULL, NULL},
};

struct asking {
    struct mkv_cli *cli;
    bool done;
    int status;
    bool broker_away;
    bool not_writing;
    struct mkv_buf state; /* owned: how the server calls it */
    bool converged;
    struct mkv_buf differs; /* owned: why it is not converged */
};

static bool is_text(const struct mkv_cbor_item *item, const char *text)
{
    return item->kind == MKV_CBOR_TEXT && mkv_bytes_equal(item->text, mkv_bytes_of(text));
}

static void judge(struct asking *asking,
                  const struct mkv_cbor_item *name,
                  const struct mkv_cbor_item *value)
{
    if (is_text(name, "broker") && is_text(value, "away")) {
        asking->broker_away = true;
    }
    if (is_text(name, "state") && value->kind == MKV_CBOR_TEXT && !is_text(value, "writing")) {
        asking->not_writing = true;
        mkv_out_fail(&asking->cli->out, mkv_buf_append(&asking->state, value->text));
    }
}

static void put_fact(struct mkv_out *out, const struct mkv_cbor_item *name, struct mkv_bytes value)
{
    static const char spaces[] = "            ";
    size_t width = sizeof(spaces) - 1;

    mkv_out_safe(out, name->text);
    mkv_out_puts(out, spaces + (name->text.len < width ? name->text.len : width - 1));
    mkv_out_line(out, value);
    mkv_out_puts(out, "\n");
}

/* Goes through the report, which is a map with text keys; in text, one line each. */
static int walk(struct asking *asking, struct mkv_bytes report)
{
    struct mkv_cbor_reader r;
    struct mkv_cbor_item name;
    struct mkv_cbor_item value;

    mkv_cbor_reader_init(&r, report);

    uint64_t n = mkv_cbor_read_map(&r, UINT32_MAX);

    for (uint64_t i = 0; i < n && r.error == 0; i++) {
        struct mkv_cbor_reader inner;

        mkv_cbor_next(&r, &name);

        struct mkv_bytes raw = mkv_cbor_read_raw(&r);

        mkv_cbor_reader_init(&inner, raw);
        mkv_cbor_next(&inner, &value);
        if (r.error == 0) {
            judge(asking, &name, &value);
        }
        if (r.error == 0 && asking->cli->format == MKV_FORMAT_TEXT) {
            put_fact(&asking->cli->out, &name, raw);
        }
    }
    return mkv_cbor_finish(&r);
}

static void on_report(void *user, int status, moatkv_bytes report)
{
    struct asking *asking = user;
    struct mkv_cli *cli = asking->cli;

    asking->done = true;
    asking->status = status;
    if (status != 0) {
        return;
    }
    asking->status = walk(asking, mkv_bytes_from(report));
    asking->converged = mkv_fact_bool(mkv_bytes_from(report), "converged");
    mkv_out_fail(&cli->out, mkv_buf_append(&asking->differs,
                                           mkv_fact_text(mkv_bytes_from(report), "not_converged")));
    if (asking->status == 0 && cli->format != MKV_FORMAT_TEXT) {
        mkv_out_fail(&cli->out,
                     mkv_format_value(mkv_bytes_from(report), cli->format, &cli->out.buf));
    }
}

static enum mkv_exit ask(struct asking *asking)
{
    struct mkv_cli *cli = asking->cli;
    int error = moatkv_status(cli->kv, on_report, asking);

    if (error != 0) {
        return mkv_session_fail(cli, error, "status");
    }

    enum mkv_exit status = mkv_session_wait(cli, &asking->done);

    if (status != MKV_EXIT_OK) {
        return status;
    }
    if (asking->status != 0) {
        return mkv_session_fail(cli, asking->status, "status");
    }
    if (asking->not_writing) {
        return mkv_say(MKV_EXIT_NOT_WRITING,
                       "the server cannot write: %.*s; it only reads until then",
                       (int)asking->state.len, (const char *)asking->state.at);
    }
    if (asking->broker_away) {
        return mkv_say(MKV_EXIT_NOT_WRITING,
                       "the server's broker is away: nothing is written or replicated; start it, "
                       "or look at the server's log");
    }
    if (mkv_cli_has(cli, OPT_CONVERGED) && !asking->converged) {
        return mkv_say(MKV_EXIT_NOT_WRITING, "not converged: %.*s; 'moat-kv servers' shows more",
                       (int)asking->differs.len, (const char *)asking->differs.at);
    }
    return MKV_EXIT_OK;
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    struct asking asking = {.cli = cli};
    enum mkv_exit status = mkv_session_open(cli);

    mkv_buf_init(&asking.state, SIZE_MAX / 2);
    mkv_buf_init(&asking.differs, SIZE_MAX / 2);
    if (status == MKV_EXIT_OK) {
        status = ask(&asking);
    }
    mkv_session_close(cli);
    mkv_buf_deinit(&asking.state);
    mkv_buf_deinit(&asking.differs);
    return status;
}

static const uint8_t exits[] = {MKV_EXIT_USAGE, MKV_EXIT_NO_CONNECTION, MKV_EXIT_NOT_AUTHORISED,
                                MKV_EXIT_NOT_WRITING, 0};

const struct mkv_verb mkv_verb_status = {
    .name = "status",
    .words = "",
    .summary = "Prints facts about the server",
    .options = options,
    .examples = {{"status", "for people"},
                 {"status -o json", "for monitoring"},
                 {"status --converged >/dev/null || echo trouble",
                  "whether it can write, and all servers have the same"}},
    .exits = exits,
    .run = run,
};
