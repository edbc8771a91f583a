/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The payload of a plain MQTT message as a value, and back.
 *
 *     json     any JSON                                 any value, as docs/formats.md has it
 *     text     UTF-8                                    text; numbers and true, false, null as words
 *     number   21.5, with white space around it or not  integers and floats
 *     bool     true on yes 1, false off no 0            true, false
 *     cbor     one CBOR item                            any value, byte for byte
 *     raw      any bytes                                a byte string
 */
#ifndef MKV_GATE_CODEC_H
#define MKV_GATE_CODEC_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "notation/problem.h"

enum mkv_gate_codec {
    MKV_GATE_JSON,
    MKV_GATE_TEXT,
    MKV_GATE_NUMBER,
    MKV_GATE_BOOL,
    MKV_GATE_CBOR,
    MKV_GATE_RAW,
};

/* BAD_ARGUMENT: there is none of that name. */
int mkv_gate_codec_of(struct mkv_bytes name, enum mkv_gate_codec *ret_codec) MKV_MUST_CHECK;

/*
 * Appends the item that @payload stands for, which is one that every server takes.  An error of the
 * input is described in @problem; NO_MEMORY.
 */
int mkv_gate_decode(enum mkv_gate_codec codec,
                    struct mkv_bytes payload,
                    struct mkv_buf *item,
                    struct mkv_problem *problem) MKV_MUST_CHECK;

/* Appends the payload.  BAD_ARGUMENT, with @problem: this codec has none for such a value. */
int mkv_gate_encode(enum mkv_gate_codec codec,
                    struct mkv_bytes item,
                    struct mkv_buf *payload,
                    struct mkv_problem *problem) MKV_MUST_CHECK;

#endif
