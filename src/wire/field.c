/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/field.h"

#include <string.h>

#include "base/limits.h"
#include "wire/child.h"
#include "wire/conflict.h"
#include "wire/frame.h"
#include "wire/header.h"
#include "wire/range.h"
#include "wire/row.h"

#define CODE_LOWEST (-9999)

/* A list of exactly @n elements. */
static void read_list_of(struct mkv_cbor_reader *r, uint64_t n)
{
    if (mkv_cbor_read_array(r, UINT64_MAX) != n) {
        mkv_cbor_fail(r, MKV_E_MALFORMED);
    }
}

static uint64_t read_number(struct mkv_cbor_reader *r, uint64_t min, uint64_t max)
{
    uint64_t number = mkv_cbor_read_uint(r);

    if (number < min || number > max) {
        mkv_cbor_fail(r, MKV_E_BAD_NUMBER);
    }
    return number;
}

static int read_code(struct mkv_cbor_reader *r, int highest)
{
    int64_t code = mkv_cbor_read_int(r);

    if (code < CODE_LOWEST || code > highest) {
        mkv_cbor_fail(r, MKV_E_BAD_NUMBER);
        return 0;
    }
    return (int)code;
}

static int len_error(struct mkv_bytes bytes, uint64_t min, uint64_t max)
{
    if (bytes.len > max) {
        return MKV_E_TOO_LARGE;
    }
    return bytes.len < min ? MKV_E_MALFORMED : 0;
}

static struct mkv_bytes checked_len(struct mkv_cbor_reader *r,
                                    struct mkv_bytes bytes,
                                    uint64_t min,
                                    uint64_t max)
{
    int error = len_error(bytes, min, max);

    if (error != 0) {
        mkv_cbor_fail(r, error);
    }
    return bytes;
}

static struct mkv_bytes read_text(struct mkv_cbor_reader *r, uint64_t min, uint64_t max)
{
    return checked_len(r, mkv_cbor_read_text(r), min, max);
}

static struct mkv_bytes read_bytes(struct mkv_cbor_reader *r, uint64_t min, uint64_t max)
{
    return checked_len(r, mkv_cbor_read_bytes(r), min, max);
}

static void read_id16(struct mkv_cbor_reader *r, uint8_t *ret_id)
{
    struct mkv_bytes id = mkv_cbor_read_bytes(r);

    if (id.len != MKV_STORE_ID_LEN) {
        mkv_cbor_fail(r, MKV_E_MALFORMED);
    }
    if (r->error == 0) {
        memcpy(ret_id, id.at, id.len);
    }
}

static struct mkv_bytes read_name(struct mkv_cbor_reader *r)
{
    struct mkv_bytes name = mkv_cbor_read_text(r);

    if (!mkv_name_valid(name)) {
        mkv_cbor_fail(r, MKV_E_BAD_NAME);
    }
    return name;
}

static uint32_t read_text_list(struct mkv_cbor_reader *r,
                               uint64_t n_max,
                               uint64_t len_max,
                               struct mkv_bytes *ret_texts)
{
    uint32_t n = (uint32_t)mkv_cbor_read_array(r, n_max);

    for (uint32_t i = 0; i < n && r->error == 0; i++) {
        ret_texts[i] = read_text(r, 0, len_max);
    }
    return n;
}

static void read_texts(struct mkv_cbor_reader *r, uint64_t n_max, struct mkv_texts *texts)
{
    texts->n = read_text_list(r, n_max, MKV_TEXT_MAX, texts->at);
}

static void read_addresses(struct mkv_cbor_reader *r, struct mkv_addresses *addresses)
{
    addresses->n = read_text_list(r, MKV_ADDRESSES_MAX, MKV_ADDRESS_LEN_MAX, addresses->at);
}

static void read_versions(struct mkv_cbor_reader *r, struct mkv_versions *versions)
{
    read_list_of(r, 2);
    versions->lowest = (uint32_t)read_number(r, 1, UINT32_MAX);
    versions->highest = (uint32_t)read_number(r, versions->lowest, UINT32_MAX);
}

static void read_session(struct mkv_cbor_reader *r, struct mkv_birth *session)
{
    read_list_of(r, 2);
    session->name = read_name(r);
    session->seq = read_number(r, 1, MKV_INTEGER_MAX);
}

static void read_place(struct mkv_cbor_reader *r, struct mkv_place *place)
{
    read_list_of(r, 2);
    place->nonce = mkv_cbor_read_uint(r);
    place->position = mkv_cbor_read_uint(r);
}

static struct mkv_bytes read_raw_of(struct mkv_cbor_reader *r, enum mkv_cbor_kind kind)
{
    if (mkv_cbor_peek(r) != kind) {
        mkv_cbor_fail(r, r->rest.len > 0 ? MKV_E_MALFORMED : MKV_E_TRUNCATED);
    }
    return mkv_cbor_read_raw(r);
}

static struct mkv_bytes read_path(struct mkv_cbor_reader *r)
{
    return read_raw_of(r, MKV_CBOR_ARRAY);
}

static struct mkv_bytes read_report(struct mkv_cbor_reader *r)
{
    return read_raw_of(r, MKV_CBOR_MAP);
}

/* Each map has the limits of a value to itself. */
static struct mkv_bytes read_reports(struct mkv_cbor_reader *r)
{
    struct mkv_bytes start = r->rest;
    uint64_t n = mkv_cbor_read_array(r, MKV_PAGE_ROWS_MAX);

    for (uint64_t i = 0; i < n && r->error == 0; i++) {
        (void)read_raw_of(r, MKV_CBOR_MAP);
    }
    return r->error == 0 ? mkv_bytes(start.at, start.len - r->rest.len) : mkv_bytes(NULL, 0);
}

/* What is checked, but stays as it is. */
static struct mkv_bytes (*const raw_readers[])(struct mkv_cbor_reader *) = {
    [MKV_FIELD_PATH] = read_path,
    [MKV_FIELD_ROWS] = mkv_rows_read_raw,
    [MKV_FIELD_CHILDREN] = mkv_children_read_raw,
    [MKV_FIELD_CONFLICTS] = mkv_conflict_rows_read_raw,
    [MKV_FIELD_REPORT] = read_report,
    [MKV_FIELD_REPORTS] = read_reports,
    [MKV_FIELD_RANGES] = mkv_ranges_read_raw,
    [MKV_FIELD_SUMS] = mkv_sums_read_raw,
};

static void read_field(struct mkv_cbor_reader *r, const struct mkv_field *field, void *at)
{
    struct mkv_bytes *bytes = at;

    switch ((enum mkv_field_kind)field->kind) {
    case MKV_FIELD_UINT:
        *(uint64_t *)at = read_number(r, field->min, field->max);
        break;
    case MKV_FIELD_U32:
        *(uint32_t *)at = (uint32_t)read_number(r, field->min, field->max);
        break;
    case MKV_FIELD_BOOL:
        *(bool *)at = mkv_cbor_read_bool(r);
        break;
    case MKV_FIELD_CODE:
        *(int *)at = read_code(r, -1);
        break;
    case MKV_FIELD_STATE:
        *(int *)at = read_code(r, 0);
        break;
    case MKV_FIELD_TEXT:
        *bytes = read_text(r, field->min, field->max);
        break;
    case MKV_FIELD_BYTES:
        *bytes = read_bytes(r, field->min, field->max);
        break;
    case MKV_FIELD_ID16:
        read_id16(r, at);
        break;
    case MKV_FIELD_NAME:
        *bytes = read_name(r);
        break;
    case MKV_FIELD_TEXTS:
        read_texts(r, field->max, at);
        break;
    case MKV_FIELD_ADDRESSES:
        read_addresses(r, at);
        break;
    case MKV_FIELD_VERSIONS:
        read_versions(r, at);
        break;
    case MKV_FIELD_SESSION:
        read_session(r, at);
        break;
    case MKV_FIELD_PLACE:
        read_place(r, at);
        break;
    case MKV_FIELD_ENTRY:
        mkv_entry_read(r, at);
        break;
    case MKV_FIELD_PATH:
    case MKV_FIELD_ROWS:
    case MKV_FIELD_CHILDREN:
    case MKV_FIELD_CONFLICTS:
    case MKV_FIELD_REPORT:
    case MKV_FIELD_REPORTS:
    case MKV_FIELD_RANGES:
    case MKV_FIELD_SUMS:
        *bytes = raw_readers[field->kind](r);
        break;
    }
}

static const struct mkv_field *find_field(struct mkv_fields fields, uint64_t key)
{
    for (uint32_t i = 0; i < fields.n; i++) {
        if (fields.at[i].key == key) {
            return &fields.at[i];
        }
    }
    return NULL;
}

static void *member(void *record, size_t offset)
{
    return (uint8_t *)record + offset;
}

static const void *const_member(const void *record, size_t offset)
{
    return (const uint8_t *)record + offset;
}

static void read_known(struct mkv_cbor_reader *r, const struct mkv_field *field, void *record)
{
    read_field(r, field, member(record, field->at));
    if (field->has != 0) {
        *(bool *)member(record, field->has) = true;
    }
}

static int fill_missing(const struct mkv_field *field, void *record)
{
    if (!field->optional) {
        return MKV_E_MALFORMED;
    }
    if (field->kind == MKV_FIELD_UINT) {
        *(uint64_t *)member(record, field->at) = field->absent;
    }
    if (field->kind == MKV_FIELD_U32) {
        *(uint32_t *)member(record, field->at) = (uint32_t)field->absent;
    }
    return 0;
}

int mkv_fields_decode(struct mkv_bytes in, struct mkv_fields fields, void *record)
{
    struct mkv_header h;
    uint64_t key;

    mkv_header_init(&h, in);
    while (mkv_header_next(&h, &key)) {
        const struct mkv_field *field = find_field(fields, key);

        if (field != NULL) {
            read_known(&h.cbor, field, record);
        } else {
            mkv_cbor_skip(&h.cbor);
        }
    }

    int error = mkv_header_finish(&h);

    for (uint32_t i = 0; i < fields.n && error == 0; i++) {
        if (!mkv_header_has(&h, fields.at[i].key)) {
            error = fill_missing(&fields.at[i], record);
        }
    }
    return error;
}

static bool number_missing(const struct mkv_field *field, uint64_t number)
{
    return number == field->absent || number < field->min;
}

static bool is_missing(const struct mkv_field *field, const void *record)
{
    const void *at = const_member(record, field->at);

    if (!field->optional) {
        return false;
    }
    if (field->has != 0) {
        return !*(const bool *)const_member(record, field->has);
    }
    if (field->kind == MKV_FIELD_UINT) {
        return number_missing(field, *(const uint64_t *)at);
    }
    if (field->kind == MKV_FIELD_U32) {
        return number_missing(field, *(const uint32_t *)at);
    }
    if (field->kind == MKV_FIELD_TEXTS) {
        return ((const struct mkv_texts *)at)->n == 0;
    }
    return ((const struct mkv_bytes *)at)->len == 0;
}

uint32_t mkv_fields_count(struct mkv_fields fields, const void *record)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < fields.n; i++) {
        n += !is_missing(&fields.at[i], record);
    }
    return n;
}

static void fail(struct mkv_cbor_writer *w, int error)
{
    if (w->error == 0) {
        w->error = error;
    }
}

static void write_number(struct mkv_cbor_writer *w, uint64_t number, uint64_t min, uint64_t max)
{
    if (number < min || number > max) {
        fail(w, MKV_E_BAD_NUMBER);
    }
    mkv_cbor_write_uint(w, number);
}

static void write_code(struct mkv_cbor_writer *w, int code, int highest)
{
    if (code < CODE_LOWEST || code > highest) {
        fail(w, MKV_E_BAD_NUMBER);
    }
    mkv_cbor_write_int(w, code);
}

static void write_text(struct mkv_cbor_writer *w, struct mkv_bytes text, uint64_t min, uint64_t max)
{
    int error = len_error(text, min, max);

    if (error == 0 && !mkv_utf8_valid(text)) {
        error = MKV_E_BAD_UTF8;
    }
    if (error != 0) {
        fail(w, error);
    }
    mkv_cbor_write_text(w, text);
}

static void write_bytes(struct mkv_cbor_writer *w,
                        struct mkv_bytes bytes,
                        uint64_t min,
                        uint64_t max)
{
    int error = len_error(bytes, min, max);

    if (error != 0) {
        fail(w, error);
    }
    mkv_cbor_write_bytes(w, bytes);
}

static void write_name(struct mkv_cbor_writer *w, struct mkv_bytes name)
{
    if (!mkv_name_valid(name)) {
        fail(w, MKV_E_BAD_NAME);
    }
    mkv_cbor_write_text(w, name);
}

static void write_text_list(struct mkv_cbor_writer *w,
                            const struct mkv_bytes *texts,
                            uint32_t n,
                            uint64_t len_max)
{
    mkv_cbor_write_array(w, n);
    for (uint32_t i = 0; i < n && w->error == 0; i++) {
        write_text(w, texts[i], 0, len_max);
    }
}

static void write_texts(struct mkv_cbor_writer *w, const struct mkv_texts *texts, uint64_t n_max)
{
    if (texts->n > n_max) {
        fail(w, MKV_E_TOO_LARGE);
    }
    write_text_list(w, texts->at, texts->n, MKV_TEXT_MAX);
}

static void write_addresses(struct mkv_cbor_writer *w, const struct mkv_addresses *addresses)
{
    if (addresses->n > MKV_ADDRESSES_MAX) {
        fail(w, MKV_E_TOO_LARGE);
    }
    write_text_list(w, addresses->at, addresses->n, MKV_ADDRESS_LEN_MAX);
}

static void write_versions(struct mkv_cbor_writer *w, const struct mkv_versions *versions)
{
    mkv_cbor_write_array(w, 2);
    write_number(w, versions->lowest, 1, UINT32_MAX);
    write_number(w, versions->highest, versions->lowest, UINT32_MAX);
}

static void write_session(struct mkv_cbor_writer *w, const struct mkv_birth *session)
{
    mkv_cbor_write_array(w, 2);
    write_name(w, session->name);
    write_number(w, session->seq, 1, MKV_INTEGER_MAX);
}

static void write_place(struct mkv_cbor_writer *w, const struct mkv_place *place)
{
    mkv_cbor_write_array(w, 2);
    mkv_cbor_write_uint(w, place->nonce);
    mkv_cbor_write_uint(w, place->position);
}

static void write_field(struct mkv_cbor_writer *w, const struct mkv_field *field, const void *at)
{
    const struct mkv_bytes *bytes = at;

    switch ((enum mkv_field_kind)field->kind) {
    case MKV_FIELD_UINT:
        write_number(w, *(const uint64_t *)at, field->min, field->max);
        break;
    case MKV_FIELD_U32:
        write_number(w, *(const uint32_t *)at, field->min, field->max);
        break;
    case MKV_FIELD_BOOL:
        mkv_cbor_write_bool(w, *(const bool *)at);
        break;
    case MKV_FIELD_CODE:
        write_code(w, *(const int *)at, -1);
        break;
    case MKV_FIELD_STATE:
        write_code(w, *(const int *)at, 0);
        break;
    case MKV_FIELD_TEXT:
        write_text(w, *bytes, field->min, field->max);
        break;
    case MKV_FIELD_BYTES:
        write_bytes(w, *bytes, field->min, field->max);
        break;
    case MKV_FIELD_ID16:
        mkv_cbor_write_bytes(w, mkv_bytes(at, MKV_STORE_ID_LEN));
        break;
    case MKV_FIELD_NAME:
        write_name(w, *bytes);
        break;
    case MKV_FIELD_TEXTS:
        write_texts(w, at, field->max);
        break;
    case MKV_FIELD_ADDRESSES:
        write_addresses(w, at);
        break;
    case MKV_FIELD_VERSIONS:
        write_versions(w, at);
        break;
    case MKV_FIELD_SESSION:
        write_session(w, at);
        break;
    case MKV_FIELD_PLACE:
        write_place(w, at);
        break;
    case MKV_FIELD_ENTRY:
        mkv_entry_write(w, at);
        break;
    case MKV_FIELD_PATH:
    case MKV_FIELD_ROWS:
    case MKV_FIELD_CHILDREN:
    case MKV_FIELD_CONFLICTS:
    case MKV_FIELD_REPORT:
    case MKV_FIELD_REPORTS:
    case MKV_FIELD_RANGES:
    case MKV_FIELD_SUMS:
        mkv_cbor_write_raw(w, *bytes);
        break;
    }
}

void mkv_fields_write(struct mkv_cbor_writer *w, struct mkv_fields fields, const void *record)
{
    for (uint32_t i = 0; i < fields.n && w->error == 0; i++) {
        const struct mkv_field *field = &fields.at[i];

        if (!is_missing(field, record)) {
            mkv_cbor_write_uint(w, field->key);
            write_field(w, field, const_member(record, field->at));
        }
    }
}

int mkv_message_decode(struct mkv_bytes in, struct mkv_fields fields, void *record)
{
    return in.len > MKV_UPDATE_MAX ? MKV_E_TOO_LARGE : mkv_fields_decode(in, fields, record);
}

int mkv_message_encode(struct mkv_fields fields, const void *record, struct mkv_buf *out)
{
    struct mkv_cbor_writer w;
    size_t start = out->len;

    mkv_cbor_writer_init(&w, out);
    mkv_cbor_write_map(&w, mkv_fields_count(fields, record));
    mkv_fields_write(&w, fields, record);
    if (w.error != 0) {
        mkv_buf_truncate(out, start);
    }
    return w.error;
}
