/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of CBOR share: a buffer as the state of a group of tests, and vectors as hex.
 */
#ifndef MKV_TESTS_WIRE_CBOR_FIXTURE_H
#define MKV_TESTS_WIRE_CBOR_FIXTURE_H

#include <stdlib.h>

#include "base/buf.h"
#include "lib/check.h"
#include "wire/cbor.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

#define BUF_MAX   (4U << 20)
#define N_SEEDS   2000U
#define SEED_BASE UINT64_C(0x5eed0000)

static inline int setup_buf(void **state)
{
    static struct mkv_buf buf;

    mkv_buf_init(&buf, BUF_MAX);
    *state = &buf;
    return 0;
}

static inline int teardown_buf(void **state)
{
    mkv_buf_deinit(*state);
    return 0;
}

static inline struct mkv_bytes from_hex(struct mkv_buf *buf, const char *hex)
{
    mkv_buf_clear(buf);
    for (size_t i = 0; hex[i] != '\0'; i += 2) {
        char pair[3] = {hex[i], hex[i + 1], '\0'};

        assert_int_equal(mkv_buf_append_u8(buf, (uint8_t)strtoul(pair, NULL, 16)), 0);
    }
    return mkv_buf_bytes(buf);
}

static inline struct mkv_cbor_reader reader_of(struct mkv_bytes in)
{
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, in);
    return r;
}

#endif
