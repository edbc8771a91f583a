/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/codec.h"

#include "notation/json_read.h"
#include "notation/json_write.h"
#include "wire/cbor.h"
#include "wire/float.h"
#include "wire/utf8.h"

static const char *const names[] = {"json", "text", "number", "bool", "cbor", "raw"};

static const struct word {
    const char *text;
    bool yes;
} words[] = {{"true", true}, {"false", false}, {"on", true}, {"off", false},
             {"yes", true},  {"no", false},    {"1", true},  {"0", false}};

int mkv_gate_codec_of(struct mkv_bytes name, enum mkv_gate_codec *ret_codec)
{
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (mkv_bytes_equal(name, mkv_bytes_of(names[i]))) {
            *ret_codec = (enum mkv_gate_codec)i;
            return 0;
        }
    }
    return MKV_E_BAD_ARGUMENT;
}

/* --- In ---------------------------------------------------------------------------------------- */

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct mkv_bytes trim(struct mkv_bytes text)
{
    while (text.len > 0 && is_space(text.at[0])) {
        text = mkv_bytes_after(text, 1);
    }
    while (text.len > 0 && is_space(text.at[text.len - 1])) {
        text.len--;
    }
    return text;
}

static bool same_word(struct mkv_bytes text, const char *word)
{
    struct mkv_bytes wanted = mkv_bytes_of(word);
    bool same = text.len == wanted.len;

    for (size_t i = 0; i < wanted.len && same; i++) {
        uint8_t c = text.at[i];

        same = (c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c) == wanted.at[i];
    }
    return same;
}

static int read_bool(struct mkv_bytes payload,
                     struct mkv_cbor_writer *w,
                     struct mkv_problem *problem)
{
    struct mkv_bytes text = trim(payload);

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (same_word(text, words[i].text)) {
            mkv_cbor_write_bool(w, words[i].yes);
            return w->error;
        }
    }
    return mkv_problem_set(problem, MKV_E_MALFORMED,
                           "neither true nor false; for other words say codec text and enum");
}

static int read_number(struct mkv_bytes payload, struct mkv_buf *item, struct mkv_problem *problem)
{
    struct mkv_bytes text = trim(payload);

    if (text.len == 0 || (text.at[0] != '-' && (text.at[0] < '0' || text.at[0] > '9'))) {
        return mkv_problem_set(problem, MKV_E_MALFORMED, "not a number");
    }
    return mkv_json_read(text, false, item, problem);
}

static int read_text(struct mkv_bytes payload,
                     struct mkv_cbor_writer *w,
                     struct mkv_problem *problem)
{
    if (!mkv_utf8_valid(payload)) {
        return mkv_problem_set(problem, MKV_E_BAD_UTF8, "not UTF-8; codec raw takes any bytes");
    }
    mkv_cbor_write_text(w, payload);
    return w->error;
}

static int read_payload(enum mkv_gate_codec codec,
                        struct mkv_bytes payload,
                        struct mkv_buf *item,
                        struct mkv_problem *problem)
{
    struct mkv_cbor_writer w;

    mkv_cbor_writer_init(&w, item);
    switch (codec) {
    case MKV_GATE_JSON:
        return mkv_json_read(payload, false, item, problem);
    case MKV_GATE_TEXT:
        return read_text(payload, &w, problem);
    case MKV_GATE_NUMBER:
        return read_number(payload, item, problem);
    case MKV_GATE_BOOL:
        return read_bool(payload, &w, problem);
    case MKV_GATE_CBOR:
        mkv_cbor_write_raw(&w, payload);
        return w.error;
    case MKV_GATE_RAW:
    default:
        mkv_cbor_write_bytes(&w, payload);
        return w.error;
    }
}

int mkv_gate_decode(enum mkv_gate_codec codec,
                    struct mkv_bytes payload,
                    struct mkv_buf *item,
                    struct mkv_problem *problem)
{
    size_t start = item->len;
    int error;

    problem->error = 0;
    error = read_payload(codec, payload, item, problem);
    if (error == 0) {
        error = mkv_cbor_check(mkv_bytes_after(mkv_buf_bytes(item), start));
    }
    if (error != 0) {
        mkv_buf_truncate(item, start);
    }
    if (error != 0 && problem->error == 0) {
        (void)mkv_problem_set(problem, error, "%s", mkv_error_text(error));
    }
    return error;
}

/* --- Out --------------------------------------------------------------------------------------- */

static int unfit(struct mkv_problem *problem, const char *why)
{
    return mkv_problem_set(problem, MKV_E_BAD_ARGUMENT, "%s", why);
}

static int write_word(const struct mkv_cbor_item *head,
                      struct mkv_bytes item,
                      struct mkv_buf *payload,
                      struct mkv_problem *problem)
{
    switch (head->kind) {
    case MKV_CBOR_TEXT:
        return head->indefinite ? unfit(problem, "a text in pieces")
                                : mkv_buf_append(payload, head->text);
    case MKV_CBOR_UINT:
    case MKV_CBOR_NINT:
    case MKV_CBOR_FLOAT:
    case MKV_CBOR_TRUE:
    case MKV_CBOR_FALSE:
    case MKV_CBOR_NULL:
        return mkv_json_write(item, false, MKV_JSON_LINE, payload);
    default:
        return unfit(problem, "the value is no text, number, true, false or null; say codec json");
    }
}

static int write_number(const struct mkv_cbor_item *head,
                        struct mkv_bytes item,
                        struct mkv_buf *payload,
                        struct mkv_problem *problem)
{
    bool finite = head->kind != MKV_CBOR_FLOAT || mkv_float_bits_finite(mkv_float_bits(head->real));

    if ((head->kind != MKV_CBOR_UINT && head->kind != MKV_CBOR_NINT &&
         head->kind != MKV_CBOR_FLOAT) ||
        !finite) {
        return unfit(problem, "the value is no finite number");
    }
    return mkv_json_write(item, false, MKV_JSON_LINE, payload);
}

static int write_payload(enum mkv_gate_codec codec,
                         const struct mkv_cbor_item *head,
                         struct mkv_bytes item,
                         struct mkv_buf *payload,
                         struct mkv_problem *problem)
{
    switch (codec) {
    case MKV_GATE_JSON:
        return mkv_json_write(item, false, MKV_JSON_LINE, payload);
    case MKV_GATE_TEXT:
        return write_word(head, item, payload, problem);
    case MKV_GATE_NUMBER:
        return write_number(head, item, payload, problem);
    case MKV_GATE_BOOL:
        return head->kind == MKV_CBOR_TRUE || head->kind == MKV_CBOR_FALSE
                   ? mkv_json_write(item, false, MKV_JSON_LINE, payload)
                   : unfit(problem, "the value is neither true nor false");
    case MKV_GATE_CBOR:
        return mkv_buf_append(payload, item);
    case MKV_GATE_RAW:
    default:
        return head->kind == MKV_CBOR_BYTES && !head->indefinite
                   ? mkv_buf_append(payload, head->text)
                   : unfit(problem, "the value is no byte string");
    }
}

int mkv_gate_encode(enum mkv_gate_codec codec,
                    struct mkv_bytes item,
                    struct mkv_buf *payload,
                    struct mkv_problem *problem)
{
    size_t start = payload->len;
    struct mkv_cbor_reader r;
    struct mkv_cbor_item head;
    int error = mkv_cbor_check(item);

    problem->error = 0;
    mkv_cbor_reader_init(&r, item);
    mkv_cbor_next(&r, &head);
    if (error == 0) {
        error = write_payload(codec, &head, item, payload, problem);
    }
    if (error != 0) {
        mkv_buf_truncate(payload, start);
    }
    if (error != 0 && problem->error == 0) {
        (void)mkv_problem_set(problem, error, "%s", mkv_error_text(error));
    }
    return error;
}
