/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/fact.h"
#include "cli/record.h"
#include "cli/roster.h"
#include "cli/session.h"
#include "cli/verbs.h"

#define CELL_MAX 80U

/* The columns for people; programs get all that the server tells. */
enum column {
    NAME,
    STATE,
    EQUAL,
    HEARD,
    ENTRIES,
    HORIZON,
    FLOOR,
    VERSIONS,
    ID,
    HOST,
    N_COLUMNS,
};

static const char *const titles[N_COLUMNS] = {
    [NAME] = "NAME",       [STATE] = "STATE",     [EQUAL] = "EQUAL", [HEARD] = "HEARD",
    [ENTRIES] = "ENTRIES", [HORIZON] = "HORIZON", [FLOOR] = "FLOOR", [VERSIONS] = "PROTOCOL",
    [ID] = "ID",           [HOST] = "HOST",
};

struct table {
    size_t widths[N_COLUMNS];
    struct mkv_buf cell; /* owned */
};

static void add_text(struct mkv_buf *cell, int *error, const char *text)
{
    if (*error == 0) {
        *error = mkv_buf_append(cell, mkv_bytes_of(text));
    }
}

static int write_age(struct mkv_buf *cell, struct mkv_bytes report)
{
    uint64_t ms = mkv_fact_uint(report, "heard_ms", UINT64_MAX);
    char text[CELL_MAX];
    int error = 0;

    if (mkv_fact_bool(report, "self")) {
        (void)snprintf(text, sizeof(text), "-");
    } else if (ms == UINT64_MAX) {
        (void)snprintf(text, sizeof(text), "never");
    } else if (ms < 120000) {
        (void)snprintf(text, sizeof(text), "%.1f s ago", (double)ms / 1000);
    } else if (ms < UINT64_C(2) * 3600000) {
        (void)snprintf(text, sizeof(text), "%llu min ago", (unsigned long long)(ms / 60000));
    } else {
        (void)snprintf(text, sizeof(text), "%llu h ago", (unsigned long long)(ms / 3600000));
    }
    add_text(cell, &error, text);
    return error;
}

/* A date if the cluster had a clock, else the number. */
static int write_tock(struct mkv_buf *cell, struct mkv_bytes report, const char *name)
{
    uint64_t tock = mkv_fact_uint(report, name, 0);
    char text[MKV_RECORD_TIME_LEN];
    int error = 0;

    if (tock == 0) {
        (void)snprintf(text, sizeof(text), "-");
    } else if (mkv_record_time(tock, text)) {
        text[sizeof("2025-01-31T12:00:00") - 1] = 'Z'; /* nobody needs milliseconds here */
        text[sizeof("2025-01-31T12:00:00Z") - 1] = '\0';
    } else {
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)tock);
    }
    add_text(cell, &error, text);
    return error;
}

static int write_text(struct mkv_buf *cell, struct mkv_bytes report, const char *name)
{
    struct mkv_bytes text = mkv_fact_text(report, name);

    return text.len > 0 ? mkv_format_safe_text(text, cell) : mkv_buf_append_u8(cell, '-');
}

static int write_item(struct mkv_buf *cell, struct mkv_bytes report, const char *name)
{
    struct mkv_bytes item = mkv_fact(report, name);

    return item.len > 0 ? mkv_format_line(item, cell) : mkv_buf_append_u8(cell, '-');
}

/* true: yes; false: no; null: not known. */
static int write_equal(struct mkv_buf *cell, struct mkv_bytes report)
{
    struct mkv_bytes equal = mkv_fact(report, "equal");
    int error = 0;

    if (mkv_fact_bool(report, "equal")) {
        add_text(cell, &error, "yes");
    } else {
        add_text(cell, &error, mkv_bytes_equal(equal, mkv_bytes_of("\xf4")) ? "no" : "-");
    }
    return error;
}

static int write_name(struct mkv_buf *cell, struct mkv_bytes report)
{
    int error = write_text(cell, report, "name");

    if (mkv_fact_bool(report, "self")) {
        add_text(cell, &error, "*");
    }
    return error;
}

static int write_column(struct mkv_buf *cell, struct mkv_bytes report, enum column column)
{
    switch (column) {
    case NAME:
        return write_name(cell, report);
    case STATE:
        return write_text(cell, report, "state");
    case EQUAL:
        return write_equal(cell, report);
    case HEARD:
        return write_age(cell, report);
    case ENTRIES:
        return write_item(cell, report, "entries");
    case HORIZON:
        return write_tock(cell, report, "horizon");
    case FLOOR:
        return write_tock(cell, report, "floor");
    case VERSIONS:
        return write_item(cell, report, "versions");
    case ID:
        return write_text(cell, report, "id");
    case HOST:
        return write_text(cell, report, "host");
    case N_COLUMNS:
        break;
    }
    return 0;
}

/* The cell's content, until the next one is asked for. */
static struct mkv_bytes cell_of(struct table *table,
                                struct mkv_out *out,
                                struct mkv_bytes report,
                                enum column column)
{
    mkv_buf_clear(&table->cell);
    mkv_out_fail(out, write_column(&table->cell, report, column));
    return mkv_buf_bytes(&table->cell);
}

static void put_cell(struct table *table,
                     struct mkv_out *out,
                     struct mkv_bytes cell,
                     unsigned column)
{
    mkv_out_put(out, cell);
    for (size_t i = cell.len; column + 1 < N_COLUMNS && i < table->widths[column] + 2; i++) {
        mkv_out_puts(out, " ");
    }
}

static void put_table(struct mkv_out *out, const struct mkv_roster *roster)
{
    struct table table = {.cell = {0}};

    mkv_buf_init(&table.cell, MKV_FORMAT_MAX);
    for (unsigned i = 0; i < N_COLUMNS; i++) {
        table.widths[i] = mkv_bytes_of(titles[i]).len;
        for (size_t row = 0; row < roster->n; row++) {
            size_t len = cell_of(&table, out, roster->at[row], (enum column)i).len;

            table.widths[i] = len > table.widths[i] ? len : table.widths[i];
        }
    }
    for (unsigned i = 0; i < N_COLUMNS; i++) {
        put_cell(&table, out, mkv_bytes_of(titles[i]), i);
    }
    mkv_out_puts(out, "\n");
    for (size_t row = 0; row < roster->n; row++) {
        for (unsigned i = 0; i < N_COLUMNS; i++) {
            put_cell(&table, out, cell_of(&table, out, roster->at[row], (enum column)i), i);
        }
        mkv_out_puts(out, "\n");
    }
    mkv_buf_deinit(&table.cell);
}

static void put_records(struct mkv_cli *cli, const struct mkv_roster *roster)
{
    struct mkv_records records;

    mkv_records_init(&records, &cli->out, cli->format);
    for (size_t i = 0; i < roster->n; i++) {
        mkv_records_map(&records, roster->at[i]);
    }
    mkv_records_end(&records);
    mkv_records_deinit(&records);
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    struct mkv_roster roster = {0};
    enum mkv_exit status = mkv_session_open(cli);

    if (status == MKV_EXIT_OK) {
        status = mkv_roster_read(&roster, cli);
    }
    if (status == MKV_EXIT_OK && cli->format == MKV_FORMAT_TEXT) {
        put_table(&cli->out, &roster);
    } else if (status == MKV_EXIT_OK) {
        put_records(cli, &roster);
    }
    mkv_session_close(cli);
    mkv_roster_deinit(&roster);
    return status;
}

static const uint8_t exits[] = {MKV_EXIT_USAGE, MKV_EXIT_NO_CONNECTION, MKV_EXIT_NOT_AUTHORISED, 0};

const struct mkv_verb mkv_verb_servers = {
    .name = "servers",
    .words = "",
    .summary = "Lists the servers of the cluster, with those that are away",
    .more =
        "'*' is the server that tells this. EQUAL: its tree is the same as that one's. An "
        "'absent'\n"
        "server is waited for: until it is back, or evicted, deletions are kept. After FLOOR they\n"
        "have been forgotten; what is older than HORIZON is no longer accepted.\n",
    .examples = {{"servers", "a table"},
                 {"servers -o jsonl", "all that is known, one object a line"},
                 {"--server unix:/srv/b/link.sock servers", "as another server sees it"}},
    .exits = exits,
    .run = run,
};
