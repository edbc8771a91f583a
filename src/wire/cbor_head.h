/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a CBOR head is made of (RFC 8949, section 3): three bits of major type, five of additional
 * information, then 0, 1, 2, 4 or 8 bytes.  Known to the reader and the writer only.
 */
#ifndef MKV_WIRE_CBOR_HEAD_H
#define MKV_WIRE_CBOR_HEAD_H

enum major {
    MAJOR_UINT,
    MAJOR_NINT,
    MAJOR_BYTES,
    MAJOR_TEXT,
    MAJOR_ARRAY,
    MAJOR_MAP,
    MAJOR_TAG,
    MAJOR_SIMPLE, /* and floats, and the break */
};

#define INFO_1_BYTE     24U /* 25, 26, 27: two, four, eight bytes follow */
#define INFO_8_BYTES    27U
#define INFO_INDEFINITE 31U

#define SIMPLE_FALSE     20U
#define SIMPLE_TRUE      21U
#define SIMPLE_NULL      22U
#define SIMPLE_UNDEFINED 23U
#define SIMPLE_FLOAT16   25U
#define SIMPLE_FLOAT32   26U
#define SIMPLE_FLOAT64   27U

#endif
