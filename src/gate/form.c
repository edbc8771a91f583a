/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/form.h"

#include "wire/cbor.h"

int mkv_gate_form_enum(struct mkv_gate_form *form,
                       struct mkv_bytes item,
                       struct mkv_problem *problem)
{
    struct mkv_cbor_reader r;
    uint64_t n;

    mkv_cbor_reader_init(&r, item);
    n = mkv_cbor_read_map(&r, MKV_GATE_ENUM_MAX);
    form->pairs = r.rest;
    for (uint64_t i = 0; i < 2 * n; i++) {
        mkv_cbor_skip(&r);
    }
    if (mkv_cbor_finish(&r) != 0 || n == 0) {
        return mkv_problem_set(problem, MKV_E_BAD_ARGUMENT,
                               "enum: a map of 1 to %u pairs, {what a message says: what the tree "
                               "has}, is wanted",
                               MKV_GATE_ENUM_MAX);
    }
    return 0;
}

int mkv_gate_form_scale(struct mkv_gate_form *form,
                        struct mkv_bytes item,
                        struct mkv_problem *problem)
{
    struct mkv_cbor_reader r;
    struct mkv_bytes factor = {0};
    struct mkv_bytes offset = {0};

    mkv_cbor_reader_init(&r, item);
    if (mkv_cbor_read_array(&r, 2) == 2) {
        factor = mkv_cbor_read_raw(&r);
        offset = mkv_cbor_read_raw(&r);
    }
    if (mkv_cbor_finish(&r) != 0 || mkv_gate_decimal_read(factor, &form->scale.factor) != 0 ||
        mkv_gate_decimal_read(offset, &form->scale.offset) != 0 ||
        form->scale.factor.mantissa == 0) {
        return mkv_problem_set(problem, MKV_E_BAD_ARGUMENT,
                               "scale: [factor, offset], two numbers, the first not 0, is wanted: "
                               "tree = message * factor + offset");
    }
    form->scaled = true;
    return 0;
}

/* The other one of the pair with @item at @side; false: there is none. */
static bool look_up(struct mkv_bytes pairs,
                    struct mkv_bytes item,
                    unsigned side,
                    struct mkv_bytes *ret)
{
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, pairs);
    while (mkv_cbor_peek(&r) != MKV_CBOR_END) {
        struct mkv_bytes pair[2];

        pair[0] = mkv_cbor_read_raw(&r);
        pair[1] = mkv_cbor_read_raw(&r);
        if (r.error == 0 && mkv_bytes_equal(pair[side], item)) {
            *ret = pair[1 - side];
            return true;
        }
    }
    return false;
}

static int translate(const struct mkv_gate_form *form,
                     struct mkv_bytes item,
                     unsigned side,
                     struct mkv_bytes *ret,
                     struct mkv_problem *problem)
{
    *ret = item;
    if (form->pairs.len > 0 && !look_up(form->pairs, item, side, ret)) {
        return mkv_problem_set(problem, MKV_E_BAD_ARGUMENT, "the value is not in the enum");
    }
    return 0;
}

int mkv_gate_form_in(const struct mkv_gate_form *form,
                     struct mkv_bytes item,
                     struct mkv_buf *out,
                     struct mkv_problem *problem)
{
    int error = translate(form, item, 0, &item, problem);

    if (error != 0 || !form->scaled) {
        return error != 0 ? error : mkv_buf_append(out, item);
    }
    error = mkv_gate_scale_in(&form->scale, item, out);
    return error != MKV_E_BAD_NUMBER
               ? error
               : mkv_problem_set(problem, MKV_E_BAD_ARGUMENT, "no number, but there is a scale");
}

int mkv_gate_form_out(const struct mkv_gate_form *form,
                      struct mkv_bytes item,
                      struct mkv_buf *out,
                      struct mkv_problem *problem)
{
    size_t start = out->len;
    struct mkv_bytes found;
    int error;

    error = form->scaled ? mkv_gate_scale_out(&form->scale, item, out) : mkv_buf_append(out, item);
    if (error == MKV_E_BAD_NUMBER) {
        error = mkv_problem_set(problem, MKV_E_BAD_ARGUMENT, "no number, but there is a scale");
    }
    if (error != 0) {
        return error;
    }
    error = translate(form, mkv_bytes_after(mkv_buf_bytes(out), start), 1, &found, problem);
    if (error == 0 && form->pairs.len > 0) {
        mkv_buf_truncate(out, start);
        error = mkv_buf_append(out, found);
    }
    return error;
}
