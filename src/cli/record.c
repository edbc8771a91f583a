/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/record.h"

#include <stdio.h>
#include <time.h>

#include "cli/place.h"
#include "cli/yaml_write.h"
#include "notation/json_write.h"

#define RECORD_MAX   ((size_t)4 * 1024 * 1024) /* a value, a path, and what goes with them */
#define EPOCH_2020_S 1577836800                /* what tocks count from */
#define DAY_MS       86400000U

void mkv_records_init(struct mkv_records *records, struct mkv_out *out, enum mkv_format format)
{
    *records = (struct mkv_records){.out = out, .format = format};
    mkv_buf_init(&records->item, RECORD_MAX);
}

void mkv_records_deinit(struct mkv_records *records)
{
    mkv_buf_deinit(&records->item);
}

void mkv_records_begin(struct mkv_records *records, uint64_t n_fields)
{
    mkv_buf_clear(&records->item);
    mkv_cbor_writer_init(&records->writer, &records->item);
    mkv_cbor_write_array(&records->writer, 1); /* the list that a record is in YAML */
    mkv_cbor_write_map(&records->writer, n_fields);
}

/*
 * Not by mkv_format_value(), since the limits of a value are those of what is in a record, not of
 * the record around it.
 */
static int write_record(struct mkv_records *records, bool in_list)
{
    struct mkv_bytes list = mkv_buf_bytes(&records->item);
    struct mkv_bytes record = mkv_bytes_after(list, 1);
    struct mkv_buf *out = &records->out->buf;
    int error;

    switch (records->format) {
    case MKV_FORMAT_TEXT:
    case MKV_FORMAT_JSONL:
        error = mkv_json_write(record, false, MKV_JSON_LINE, out);
        return error == 0 ? mkv_buf_append_u8(out, '\n') : error;
    case MKV_FORMAT_JSON:
        error = mkv_json_write(record, false, MKV_JSON_BLOCK, out);
        return error == 0 && !in_list ? mkv_buf_append_u8(out, '\n') : error;
    case MKV_FORMAT_YAML:
        return mkv_yaml_write(in_list ? list : record, false, out);
    case MKV_FORMAT_CBOR:
        return mkv_buf_append(out, record);
    }
    return MKV_E_BAD_ARGUMENT;
}

static void put(struct mkv_records *records, bool in_list)
{
    mkv_out_fail(records->out, records->writer.error);
    if (records->out->status == MKV_EXIT_OK) {
        mkv_out_fail(records->out, write_record(records, in_list));
    }
    mkv_out_settle(records->out);
}

void mkv_records_add(struct mkv_records *records)
{
    if (records->format == MKV_FORMAT_JSON) {
        mkv_out_puts(records->out, records->n == 0 ? "[\n" : ",\n");
    }
    records->n++;
    put(records, true);
}

void mkv_records_map(struct mkv_records *records, struct mkv_bytes map)
{
    mkv_buf_clear(&records->item);
    mkv_cbor_writer_init(&records->writer, &records->item);
    mkv_cbor_write_array(&records->writer, 1);
    mkv_cbor_write_raw(&records->writer, map);
    mkv_records_add(records);
}

void mkv_records_only(struct mkv_records *records)
{
    put(records, false);
}

void mkv_records_end(struct mkv_records *records)
{
    if (records->n > 0) {
        mkv_out_puts(records->out, records->format == MKV_FORMAT_JSON ? "\n]\n" : "");
    } else if (records->format == MKV_FORMAT_JSON || records->format == MKV_FORMAT_YAML) {
        mkv_out_puts(records->out, "[]\n");
    }
}

void mkv_record_text(struct mkv_records *records, const char *name, struct mkv_bytes text)
{
    mkv_cbor_write_text(&records->writer, mkv_bytes_of(name));
    mkv_cbor_write_text(&records->writer, text);
}

void mkv_record_uint(struct mkv_records *records, const char *name, uint64_t number)
{
    mkv_cbor_write_text(&records->writer, mkv_bytes_of(name));
    mkv_cbor_write_uint(&records->writer, number);
}

void mkv_record_bool(struct mkv_records *records, const char *name, bool yes)
{
    mkv_cbor_write_text(&records->writer, mkv_bytes_of(name));
    mkv_cbor_write_bool(&records->writer, yes);
}

void mkv_record_float(struct mkv_records *records, const char *name, double real)
{
    mkv_cbor_write_text(&records->writer, mkv_bytes_of(name));
    mkv_cbor_write_float_short(&records->writer, real);
}

void mkv_record_item(struct mkv_records *records, const char *name, struct mkv_bytes item)
{
    mkv_cbor_write_text(&records->writer, mkv_bytes_of(name));
    mkv_cbor_write_raw(&records->writer, item);
}

static void write_ticks(struct mkv_cbor_writer *w, const moatkv_entry *entry)
{
    size_t n = moatkv_entry_n_ticks(entry);
    moatkv_bytes name;
    uint64_t seq;
    uint64_t counter;

    mkv_cbor_write_text(w, mkv_bytes_of("ticks"));
    mkv_cbor_write_array(w, n);
    for (size_t i = 0; i < n; i++) {
        int error = moatkv_entry_tick(entry, i, &name, &seq, &counter);

        if (error != 0) {
            w->error = error;
            return;
        }
        mkv_cbor_write_array(w, 3);
        mkv_cbor_write_text(w, mkv_bytes_from(name));
        mkv_cbor_write_uint(w, seq);
        mkv_cbor_write_uint(w, counter);
    }
}

void mkv_record_entry(struct mkv_records *records, const moatkv_entry *entry)
{
    mkv_record_text(records, "path", mkv_bytes_from(moatkv_entry_path(entry)));
    if (moatkv_entry_deleted(entry)) {
        mkv_record_bool(records, "deleted", true);
    } else {
        mkv_record_item(records, "value", mkv_bytes_from(moatkv_entry_value(entry)));
    }
    mkv_record_uint(records, "tock", moatkv_entry_tock(entry));
    write_ticks(&records->writer, entry);
}

void mkv_record_winner(struct mkv_records *records, const char *name, const moatkv_entry *entry)
{
    mkv_cbor_write_text(&records->writer, mkv_bytes_of(name));
    mkv_cbor_write_map(&records->writer, 3);
    mkv_record_uint(records, "tock", moatkv_entry_tock(entry));
    write_ticks(&records->writer, entry);
    mkv_record_bool(records, "deleted", moatkv_entry_deleted(entry) != 0);
}

bool mkv_record_time(uint64_t tock, char ret_text[MKV_RECORD_TIME_LEN])
{
    uint64_t ms = tock >> 12U;
    time_t seconds = (time_t)(ms / 1000) + EPOCH_2020_S;
    struct tm utc;

    /* Without a clock tocks start at 0 and never get through the first day by counting alone. */
    if (ms < DAY_MS || gmtime_r(&seconds, &utc) == NULL) {
        return false;
    }
    (void)snprintf(ret_text, MKV_RECORD_TIME_LEN, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ",
                   utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                   utc.tm_sec, (unsigned)(ms % 1000));
    return true;
}
