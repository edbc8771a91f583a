/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What verbs print when a format is asked for: maps with text keys, one a result, so that every
 * verb speaks every format by one code (docs/formats.md, "Verbs").
 *
 *     -o jsonl   {"path":"lamp","value":true}      one line each
 *     -o json    [ ... ]                           one array
 *     -o yaml    - path: lamp                      one list
 *     -o cbor                                      one item after the other
 */
#ifndef MKV_CLI_RECORD_H
#define MKV_CLI_RECORD_H

#include <moatkv/client.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "cli/format.h"
#include "cli/out.h"
#include "wire/cbor.h"

struct mkv_records {
    struct mkv_out *out; /* borrowed; errors go there */
    enum mkv_format format;
    uint64_t n;
    struct mkv_buf item; /* owned: the record that is being written */
    struct mkv_cbor_writer writer;
};

void mkv_records_init(struct mkv_records *records, struct mkv_out *out, enum mkv_format format);
void mkv_records_deinit(struct mkv_records *records);

/* Starts a record of @n_fields, which follow by the functions below. */
void mkv_records_begin(struct mkv_records *records, uint64_t n_fields);

/* Ends it and puts it out as one more of a list, or as the only one there is. */
void mkv_records_add(struct mkv_records *records);
void mkv_records_only(struct mkv_records *records);

/* Puts out a whole record, a map with text keys, as one more of a list. */
void mkv_records_map(struct mkv_records *records, struct mkv_bytes map);

/* Ends the list. */
void mkv_records_end(struct mkv_records *records);

void mkv_record_text(struct mkv_records *records, const char *name, struct mkv_bytes text);
void mkv_record_uint(struct mkv_records *records, const char *name, uint64_t number);
void mkv_record_bool(struct mkv_records *records, const char *name, bool yes);
void mkv_record_float(struct mkv_records *records, const char *name, double real);
void mkv_record_item(struct mkv_records *records, const char *name, struct mkv_bytes item);

/*
 * The fields of an entry: "path"; "value", or "deleted" true; "tock"; "ticks".  These are
 * MKV_RECORD_ENTRY fields.
 */
enum {
    MKV_RECORD_ENTRY = 4
};
void mkv_record_entry(struct mkv_records *records, const moatkv_entry *entry);

/* The winner of a conflict, of which no value is known: a map with "tock", "ticks", "deleted". */
void mkv_record_winner(struct mkv_records *records, const char *name, const moatkv_entry *entry);

/* "2025-01-31T12:00:00.000Z"; false if the cluster's clock was not trusted when @tock was given. */
#define MKV_RECORD_TIME_LEN 96U /* what any numbers would need, so that nothing is ever cut */
bool mkv_record_time(uint64_t tock, char ret_text[MKV_RECORD_TIME_LEN]);

#endif
