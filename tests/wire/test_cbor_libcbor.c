/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second opinion from libcbor.  Version 0.8 wrongly refuses some tags and all unassigned simple
 * values, and believes any declared length when it allocates: so it is asked only about small
 * items, and only once every count in them has been seen to be small.
 */
#include <cbor.h>
#include <inttypes.h>

#include "cbor_fixture.h"
#include "lib/cbor_random.h"
#include "lib/prng.h"
#include "wire/cbor.h"

#define COUNT_MAX 4096U /* of elements that libcbor may allocate room for */

struct seen {
    bool has_large_count;
    size_t string_len;
};

static void note_count(void *context, size_t n)
{
    struct seen *seen = context;

    seen->has_large_count = seen->has_large_count || n > COUNT_MAX;
}

static void note_string(void *context, cbor_data at, size_t len)
{
    struct seen *seen = context;

    (void)at;
    seen->string_len = len;
}

/* One head, and the string behind it, by libcbor's streaming decoder: it allocates nothing. */
static struct cbor_decoder_result decode_head(struct mkv_bytes in, struct seen *seen)
{
    struct cbor_callbacks callbacks = cbor_empty_callbacks;

    callbacks.array_start = note_count;
    callbacks.map_start = note_count;
    callbacks.string = note_string;
    callbacks.byte_string = note_string;
    return cbor_stream_decode(in.at, in.len, &callbacks, seen);
}

static bool is_safe_for_libcbor(struct mkv_bytes in)
{
    while (in.len > 0) {
        struct seen seen = {0};
        struct cbor_decoder_result result = decode_head(in, &seen);

        if (seen.has_large_count) {
            return false;
        }
        if (result.status != CBOR_DECODER_FINISHED) {
            return true;
        }
        in = mkv_bytes_after(in, result.read);
    }
    return true;
}

/* Whether @first begins something that libcbor 0.8 refuses for no good reason. */
static bool is_unknown_to_libcbor(uint8_t first)
{
    return (first >= 0xc6 && first <= 0xd4) || first == 0xd7 || (first >= 0xe0 && first <= 0xf3) ||
           first == 0xf8;
}

static bool has_unknown_heads(struct mkv_bytes in)
{
    struct mkv_cbor_reader r;
    struct mkv_cbor_item item;

    mkv_cbor_reader_init(&r, in);
    while (r.rest.len > 0 && r.error == 0) {
        if (is_unknown_to_libcbor(r.rest.at[0])) {
            return true;
        }
        mkv_cbor_next(&r, &item);
    }
    return false;
}

static bool libcbor_accepts(struct mkv_bytes in)
{
    struct cbor_load_result result;
    cbor_item_t *item = cbor_load(in.at, in.len, &result);

    if (item == NULL) {
        return false;
    }
    cbor_decref(&item);
    return result.read == in.len;
}

static void damage(struct prng *prng, struct mkv_buf *buf)
{
    for (uint64_t n = prng_below(prng, 3); n > 0 && buf->len > 0; n--) {
        buf->at[prng_below(prng, buf->len)] = (uint8_t)prng_next(prng);
    }
}

static void test_accepts_the_same(void **state)
{
    struct mkv_buf *buf = *state;
    size_t n_accepted = 0;
    size_t n_refused = 0;

    for (uint64_t seed = SEED_BASE; seed < SEED_BASE + 20 * N_SEEDS; seed++) {
        struct prng prng = {seed};

        mkv_buf_clear(buf);
        cbor_random_item(&prng, (size_t)prng_below(&prng, 20), buf);
        damage(&prng, buf);

        struct mkv_bytes in = mkv_buf_bytes(buf);

        if (in.len == 0 || has_unknown_heads(in) || !is_safe_for_libcbor(in)) {
            continue;
        }

        bool accepted = mkv_cbor_check(in) == 0;

        if (accepted != libcbor_accepts(in)) {
            fail_msg("seed %#" PRIx64 ": we %s", seed, accepted ? "accept" : "refuse");
        }
        n_accepted += accepted;
        n_refused += !accepted;
    }
    assert_in_range(n_accepted, N_SEEDS, 20 * N_SEEDS);
    assert_in_range(n_refused, N_SEEDS, 20 * N_SEEDS);
}

/* The same verdict and the same length for the head at the start of any bytes. */
static void assert_same_head(struct mkv_bytes in)
{
    struct seen seen = {0};
    struct cbor_decoder_result result = decode_head(in, &seen);
    struct mkv_cbor_reader r;
    struct mkv_cbor_item item;

    mkv_cbor_reader_init(&r, in);
    mkv_cbor_next(&r, &item);
    if (r.error == 0) {
        assert_int_equal(result.status, CBOR_DECODER_FINISHED);
        assert_int_equal(result.read, in.len - r.rest.len);
        assert_int_equal(seen.string_len, item.text.len);
    } else if (result.status == CBOR_DECODER_FINISHED) {
        /* it looks neither at UTF-8 nor whether a count can be true */
        assert_true(r.error == MKV_E_BAD_UTF8 || r.error == MKV_E_TRUNCATED);
        assert_true(r.error != MKV_E_TRUNCATED || in.at[0] >> 5 == 4 || in.at[0] >> 5 == 5);
    } else {
        assert_int_equal(r.error,
                         result.status == CBOR_DECODER_NEDATA ? MKV_E_TRUNCATED : MKV_E_MALFORMED);
    }
}

static void test_reads_the_same_heads(void **state)
{
    struct prng prng = {SEED_BASE};
    uint8_t in[40];

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        size_t len = 1 + (size_t)prng_below(&prng, sizeof(in));

        prng_fill(&prng, in, len);
        if (!is_unknown_to_libcbor(in[0])) {
            assert_same_head(mkv_bytes(in, len));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts_the_same),
        cmocka_unit_test(test_reads_the_same_heads),
    };

    return cmocka_run_group_tests(tests, setup_buf, teardown_buf);
}
