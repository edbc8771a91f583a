/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dump_lines.h"

#include "base/limits.h"
#include "notation/json_read.h"
#include "notation/json_text.h"
#include "notation/json_write.h"
#include "notation/sink.h"
#include "wire/cbor.h"
#include "wire/path.h"

static void put_path(struct mkv_sink *sink, struct mkv_bytes key)
{
    struct mkv_buf dotted;

    mkv_buf_init(&dotted, SIZE_MAX / 2);
    mkv_sink_fail(sink, mkv_path_to_dotted(key, &dotted));
    mkv_json_string_write(sink, mkv_buf_bytes(&dotted));
    mkv_buf_deinit(&dotted);
}

static void put_ticks(struct mkv_sink *sink, const struct mkv_ticks *ticks)
{
    mkv_sink_puts(sink, "[");
    for (uint32_t i = 0; i < ticks->n; i++) {
        mkv_sink_puts(sink, i > 0 ? ",[" : "[");
        mkv_json_string_write(sink, ticks->at[i].name);
        mkv_sink_puts(sink, ",");
        mkv_sink_uint(sink, ticks->at[i].seq);
        mkv_sink_puts(sink, ",");
        mkv_sink_uint(sink, ticks->at[i].counter);
        mkv_sink_puts(sink, "]");
    }
    mkv_sink_puts(sink, "]");
}

int mkv_dump_line_row(struct mkv_bytes key, const struct mkv_update *entry, struct mkv_buf *out)
{
    struct mkv_sink sink;

    mkv_sink_init(&sink, out);
    mkv_sink_puts(&sink, "{\"path\":");
    put_path(&sink, key);
    if (entry->present) {
        mkv_sink_puts(&sink, ",\"value\":");
        if (sink.error == 0) {
            sink.error = mkv_json_write(entry->value, false, MKV_JSON_LINE, out);
        }
    } else {
        mkv_sink_puts(&sink, ",\"deleted\":true");
    }
    mkv_sink_puts(&sink, ",\"tock\":");
    mkv_sink_uint(&sink, entry->tock);
    mkv_sink_puts(&sink, ",\"ticks\":");
    put_ticks(&sink, &entry->ticks);
    mkv_sink_puts(&sink, "}\n");
    return sink.error;
}

int mkv_dump_line_end(uint64_t n_rows, struct mkv_buf *out)
{
    struct mkv_sink sink;

    mkv_sink_init(&sink, out);
    mkv_sink_puts(&sink, "{\"end\":true,\"count\":");
    mkv_sink_uint(&sink, n_rows);
    mkv_sink_puts(&sink, "}\n");
    return sink.error;
}

/* What a line may hold; the JSON reader has refused keys that come twice. */
struct line {
    struct mkv_cbor_reader r;
    struct mkv_buf *key;
    struct mkv_dump_record record;
    bool has_path;
    bool deleted;
    bool end;
    bool has_count;
};

static void read_path(struct line *line)
{
    struct mkv_bytes dotted = mkv_cbor_read_text(&line->r);

    if (line->r.error == 0) {
        int error = mkv_path_from_dotted(dotted, line->key);

        if (error != 0) {
            mkv_cbor_fail(&line->r, error);
        }
        line->has_path = true;
    }
}

static void read_field(struct line *line)
{
    struct mkv_update *entry = &line->record.entry;
    struct mkv_bytes name = mkv_cbor_read_text(&line->r);

    if (mkv_bytes_equal(name, mkv_bytes_of("path"))) {
        read_path(line);
    } else if (mkv_bytes_equal(name, mkv_bytes_of("value"))) {
        entry->value = mkv_cbor_read_raw(&line->r);
        entry->present = true;
    } else if (mkv_bytes_equal(name, mkv_bytes_of("deleted"))) {
        line->deleted = mkv_cbor_read_bool(&line->r);
    } else if (mkv_bytes_equal(name, mkv_bytes_of("tock"))) {
        entry->tock = mkv_cbor_read_uint_below(&line->r, (uint64_t)MKV_INTEGER_MAX + 1);
        entry->has_tock = true;
    } else if (mkv_bytes_equal(name, mkv_bytes_of("ticks"))) {
        mkv_ticks_read(&line->r, &entry->ticks);
    } else if (mkv_bytes_equal(name, mkv_bytes_of("end"))) {
        line->end = mkv_cbor_read_bool(&line->r);
    } else if (mkv_bytes_equal(name, mkv_bytes_of("count"))) {
        line->record.n_rows = mkv_cbor_read_uint(&line->r);
        line->has_count = true;
    } else {
        mkv_cbor_skip(&line->r);
    }
}

/* Whether the line says one thing, and all of it; else what it lacks. */
static const char *lack_of(const struct line *line)
{
    if (line->end) {
        return line->has_count && !line->has_path ? NULL : "the last line needs \"count\"";
    }
    if (!line->has_path) {
        return "the row has no \"path\"";
    }
    if (line->record.entry.present == line->deleted) {
        return "a row needs either \"value\" or \"deleted\":true";
    }
    return NULL;
}

static int refuse(const struct line *line, struct mkv_problem *problem)
{
    const char *lack = line->r.error == 0 ? lack_of(line) : NULL;

    if (line->r.error == MKV_E_MALFORMED) {
        lack = "not a row of a dump: a line is {\"path\":TEXT,\"value\":VALUE,\"tock\":N,"
               "\"ticks\":[[NAME,N,N],...]}";
    } else if (line->r.error != 0) {
        lack = mkv_error_text(line->r.error);
    }
    if (lack == NULL) {
        return 0;
    }
    return mkv_problem_set(problem, line->r.error != 0 ? line->r.error : MKV_E_MALFORMED, "%s",
                           lack);
}

int mkv_dump_line_decode(struct mkv_bytes line,
                         struct mkv_buf *key,
                         struct mkv_buf *item,
                         struct mkv_dump_record *ret_record,
                         struct mkv_problem *problem)
{
    struct line parts = {.key = key};
    int error;

    mkv_buf_clear(key);
    mkv_buf_clear(item);
    error = mkv_json_read(line, false, item, problem);
    if (error != 0) {
        return error;
    }
    mkv_cbor_reader_init(&parts.r, mkv_buf_bytes(item));

    uint64_t n = mkv_cbor_read_map(&parts.r, MKV_HEADER_KEYS_MAX);

    for (uint64_t i = 0; i < n && parts.r.error == 0; i++) {
        read_field(&parts);
    }
    error = refuse(&parts, problem);
    if (error == 0) {
        parts.record.kind = parts.end ? MKV_DUMP_IS_END : MKV_DUMP_IS_ROW;
        parts.record.key = mkv_buf_bytes(key);
        *ret_record = parts.record;
    }
    return error;
}
