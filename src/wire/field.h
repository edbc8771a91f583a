/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages described as tables: one line per key of the header map, so that a table can be held
 * against docs/protocol.md line by line, and reading and writing cannot disagree.
 *
 *     static const struct mkv_field void_fields[] = {
 *         {2, MKV_FIELD_UINT, offsetof(struct mkv_frame, range.first), .min = 1, .max = ...},
 *         {3, MKV_FIELD_UINT, offsetof(struct mkv_frame, range.last), .min = 1, .max = ...},
 *     };
 *
 * What relates two keys to each other is checked by those who own the table.
 */
#ifndef MKV_WIRE_FIELD_H
#define MKV_WIRE_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "wire/cbor.h"

/* What stands under a key, and the C type that takes it. */
enum mkv_field_kind {
    MKV_FIELD_UINT,  /* uint64_t: min..max, else BAD_NUMBER */
    MKV_FIELD_U32,   /* uint32_t: the same */
    MKV_FIELD_BOOL,  /* bool */
    MKV_FIELD_CODE,  /* int: an error's code, -9999..-1 */
    MKV_FIELD_STATE, /* int: the same, or 0 */
    MKV_FIELD_TEXT,  /* struct mkv_bytes of min..max bytes; fewer: MALFORMED, more: TOO_LARGE */
    MKV_FIELD_BYTES, /* the same, as a byte string */
    MKV_FIELD_ID16,  /* uint8_t[16] */
    MKV_FIELD_NAME,  /* struct mkv_bytes: a server's name */
    MKV_FIELD_TEXTS, /* struct mkv_texts: at most max texts, each of at most MKV_TEXT_MAX bytes */
    MKV_FIELD_ADDRESSES, /* struct mkv_addresses */
    MKV_FIELD_VERSIONS,  /* struct mkv_versions */
    MKV_FIELD_SESSION,   /* struct mkv_birth: [name, seq] */
    MKV_FIELD_PLACE,     /* struct mkv_place */
    MKV_FIELD_ENTRY,     /* struct mkv_update */
    MKV_FIELD_PATH,      /* struct mkv_bytes: a raw list, whose elements are not looked at */
    MKV_FIELD_ROWS,      /* struct mkv_bytes: a raw page, checked as far as wire/row.h can */
    MKV_FIELD_CHILDREN,  /* struct mkv_bytes: the same for wire/child.h */
    MKV_FIELD_CONFLICTS, /* struct mkv_bytes: the same for wire/conflict.h */
    MKV_FIELD_REPORT,    /* struct mkv_bytes: a raw map */
    MKV_FIELD_REPORTS,   /* struct mkv_bytes: a raw list of at most MKV_PAGE_ROWS_MAX maps */
    MKV_FIELD_RANGES,    /* struct mkv_bytes: a raw list of ranges, checked by wire/range.h */
    MKV_FIELD_SUMS,      /* struct mkv_bytes: the same for the sums of ranges */
};

struct mkv_field {
    uint8_t key;
    uint8_t kind;  /* enum mkv_field_kind */
    uint16_t at;   /* where the C type lies in the decoded struct */
    bool optional; /* may be missing; else MALFORMED */
    uint16_t has;  /* offset of a bool that says whether it is there; 0: none */
    uint64_t min;  /* the range of a number or of a length, both inclusive */
    uint64_t max;
    uint64_t absent; /* the number that a missing optional number stands for */
};

struct mkv_fields {
    const struct mkv_field *at;
    uint32_t n;
};

/*
 * Reads a whole message into @record, which is zeroed first by the caller; bytes are borrowed from
 * @in.  Keys that are not in the table are skipped.  Errors: those of wire/header.h and of the
 * kinds; @record is then half filled.
 */
int mkv_fields_decode(struct mkv_bytes in, struct mkv_fields fields, void *record) MKV_MUST_CHECK;

/*
 * How many fields of @record will be written: all but those optional ones that are missing.
 * Without a `has`, a number is missing if it equals @absent or is below @min (so is the zero of a
 * member that nobody set), a text or list if it is empty.
 */
uint32_t mkv_fields_count(struct mkv_fields fields, const void *record);

/*
 * Writes so many pairs.  What the other side would refuse is refused here, where the cause is:
 * TOO_LARGE, MALFORMED (a text too short), BAD_NUMBER, BAD_NAME, BAD_UTF8.  Raw items and entries
 * are taken as they are.
 */
void mkv_fields_write(struct mkv_cbor_writer *w, struct mkv_fields fields, const void *record);

/*
 * A whole message that travels by MQTT, with the strict header's limit: TOO_LARGE beyond
 * MKV_UPDATE_MAX, else as above.  The encoder appends; after an error @out is unchanged.
 */
int mkv_message_decode(struct mkv_bytes in, struct mkv_fields fields, void *record) MKV_MUST_CHECK;
int mkv_message_encode(struct mkv_fields fields,
                       const void *record,
                       struct mkv_buf *out) MKV_MUST_CHECK;

#endif
