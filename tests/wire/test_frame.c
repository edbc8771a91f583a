/* SPDX-License-Identifier: Apache-2.0 */
/* Link frames: what must hold for every message, keys in any order, limits, cutting a stream. */
#include <stdlib.h>

#include "base/limits.h"
#include "codecs.h"
#include "lib/check.h"

static void for_each_kind(void (*check)(const struct codec *codec, uint64_t seed), uint64_t n_seeds)
{
    struct codec codec = codec_frame;

    for (size_t i = 0; i < messages_n_frame_kinds; i++) {
        codec.frame_kind = messages_frame_kinds[i];
        for (uint64_t seed = 1; seed <= n_seeds; seed++) {
            check(&codec, seed);
        }
    }
}

static void round_trip(void **state)
{
    (void)state;
    for_each_kind(codec_check_round_trip, 300);
}

static void prefixes_are_refused(void **state)
{
    (void)state;
    for_each_kind(codec_check_prefixes, 3);
}

static void flipped_bits_do_no_harm(void **state)
{
    (void)state;
    for_each_kind(codec_check_flips, 3);
}

static void failing_allocations_are_reported(void **state)
{
    (void)state;
    for_each_kind(codec_check_faults, 3);
}

static void put(struct mkv_buf *out, const void *bytes, size_t n)
{
    assert_int_equal(mkv_buf_append(out, mkv_bytes(bytes, n)), 0);
}

static void put_repeated(struct mkv_buf *out, uint8_t byte, size_t n)
{
    assert_int_equal(mkv_buf_reserve(out, n), 0);
    memset(out->at + out->len, byte, n);
    out->len += n;
}

/* An encoded frame begins with the map's head (1 byte) and the kind (2 or 3): puts the kind last. */
static void move_kind_back(struct mkv_bytes frame, struct mkv_buf *out)
{
    size_t kind_len = frame.at[2] < 24 ? 2 : 3;

    put(out, frame.at, 1);
    put(out, frame.at + 1 + kind_len, frame.len - 1 - kind_len);
    put(out, frame.at + 1, kind_len);
}

static void check_kind_last(const struct codec *codec, uint64_t seed)
{
    struct messages *m = calloc(1, sizeof(*m));
    struct mkv_buf bytes;
    struct mkv_buf moved;
    union message message;
    union message decoded;

    assert_non_null(m);
    m->prng.state = seed;
    codec->draw(m, codec->frame_kind, &message);
    mkv_buf_init(&bytes, MKV_FRAME_MAX);
    mkv_buf_init(&moved, MKV_FRAME_MAX);
    assert_int_equal(codec->encode(&message, &bytes), 0);
    move_kind_back(mkv_buf_bytes(&bytes), &moved);
    assert_int_equal(codec->decode(mkv_buf_bytes(&moved), &decoded), 0);
    assert_true(codec->same(&message, &decoded));
    mkv_buf_deinit(&moved);
    mkv_buf_deinit(&bytes);
    free(m);
}

static void the_kind_may_come_last(void **state)
{
    (void)state;
    for_each_kind(check_kind_last, 20);
}

static struct mkv_ticks one_tick(void)
{
    return (struct mkv_ticks){.n = 1, .at = {{mkv_bytes_of("srv"), 7, 1}}};
}

/* An item as deep as a value may be, as often as a page may hold it. */
static void put_deep_value(struct mkv_buf *out, unsigned depth)
{
    put_repeated(out, 0x81, depth);
    put(out, "\x00", 1);
}

static void encode_deep_rows(unsigned depth, struct mkv_buf *out)
{
    struct mkv_row_writer w;
    struct mkv_buf value;
    struct mkv_buf page;

    mkv_buf_init(&value, MKV_VALUE_MAX);
    mkv_buf_init(&page, MKV_FRAME_MAX);
    put_deep_value(&value, depth);
    assert_int_equal(mkv_row_writer_init(&w, mkv_bytes(NULL, 0)), 0);

    struct mkv_update entry = {.has_tock = true,
                               .present = true,
                               .tock = 1,
                               .value = mkv_buf_bytes(&value),
                               .ticks = one_tick()};

    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(mkv_row_writer_add(&w, mkv_bytes(NULL, 0), &entry, false), 0);
    }
    assert_int_equal(mkv_row_writer_take(&w, &page), 0);

    struct mkv_frame frame = {.kind = MKV_FRAME_DATA, .id = 1, .data.rows = mkv_buf_bytes(&page)};

    assert_int_equal(codec_frame.encode(&(union message){.frame = frame}, out), 0);
    mkv_row_writer_deinit(&w);
    mkv_buf_deinit(&page);
    mkv_buf_deinit(&value);
}

/* The limits of a value count from the value, not from the frame that carries it. */
static int decode_deep_rows(unsigned depth, bool kind_last)
{
    struct mkv_frame frame;
    struct mkv_buf bytes;
    struct mkv_buf moved;

    mkv_buf_init(&bytes, MKV_FRAME_MAX);
    mkv_buf_init(&moved, MKV_FRAME_MAX);
    encode_deep_rows(depth, &bytes);
    move_kind_back(mkv_buf_bytes(&bytes), &moved);

    int error = mkv_frame_decode(mkv_buf_bytes(kind_last ? &moved : &bytes), &frame);

    mkv_buf_deinit(&moved);
    mkv_buf_deinit(&bytes);
    return error;
}

static void values_in_rows_have_limits_of_their_own(void **state)
{
    (void)state;
    assert_int_equal(decode_deep_rows(64, false), 0);
    assert_int_equal(decode_deep_rows(64, true), 0);
    assert_int_equal(decode_deep_rows(65, false), MKV_E_TOO_DEEP);
    assert_int_equal(decode_deep_rows(65, true), MKV_E_TOO_DEEP);
}

static void children_are_read_as_written(void **state)
{
    static const struct mkv_child children[] = {
        {{.kind = MKV_ELEMENT_TEXT, .text = {(const uint8_t *)"hall", 4}}, 12, false},
        {{.kind = MKV_ELEMENT_UINT, .number = 2}, UINT64_MAX, true},
        {{.kind = MKV_ELEMENT_NULL}, 0, true},
    };
    struct mkv_cbor_writer w;
    struct mkv_cbor_reader r;
    struct mkv_buf out;

    (void)state;
    mkv_buf_init(&out, 1024);
    mkv_cbor_writer_init(&w, &out);
    for (size_t i = 0; i < 3; i++) {
        mkv_child_write(&w, &children[i]);
    }
    assert_int_equal(w.error, 0);
    mkv_cbor_reader_init(&r, mkv_buf_bytes(&out));
    for (size_t i = 0; i < 3; i++) {
        struct mkv_child child = {.entries = 1};

        mkv_child_read(&r, &child);
        assert_int_equal(child.element.kind, children[i].element.kind);
        assert_int_equal(child.element.number, children[i].element.number);
        assert_true(mkv_bytes_equal(child.element.text, children[i].element.text));
        assert_true(child.entries == children[i].entries);
        assert_true(child.own == children[i].own);
    }
    assert_int_equal(mkv_cbor_finish(&r), 0);
    mkv_buf_deinit(&out);
}

/* A ping, filled up with unknown keys. */
static int decode_of_size(size_t n)
{
    struct mkv_frame frame;
    struct mkv_buf out;

    mkv_buf_init(&out, 2 * MKV_FRAME_MAX);
    put(&out, "\xa5\x00\x18\x18\x01\x01\x08\x5a\x00\x0f\xff\x00", 12);
    put_repeated(&out, 1, 0x0fff00);
    put(&out, "\x09\x5a\x00\x0f\xff\x00", 6);
    put_repeated(&out, 1, 0x0fff00);
    put(&out, "\x0a\x5a", 2);
    assert_int_equal(mkv_buf_append_be32(&out, (uint32_t)(n - out.len - 4)), 0);
    put_repeated(&out, 2, n - out.len);

    int error = mkv_frame_decode(mkv_buf_bytes(&out), &frame);

    mkv_buf_deinit(&out);
    return error;
}

/* A frame of @n bytes; encoding does not look into rows. */
static int encode_of_size(size_t n)
{
    struct mkv_buf rows;
    struct mkv_buf out;

    mkv_buf_init(&rows, 2 * MKV_FRAME_MAX);
    put_repeated(&rows, 0, n - 7); /* map, kind (3), id (2), key */

    struct mkv_frame frame = {.kind = MKV_FRAME_DATA, .id = 1, .data.rows = mkv_buf_bytes(&rows)};

    mkv_buf_init(&out, 4 * MKV_FRAME_MAX);
    put(&out, "before", 6);

    int error = mkv_frame_encode(&frame, &out);

    assert_int_equal(out.len, error == 0 ? 6 + 4 + n : 6);
    mkv_buf_deinit(&out);
    mkv_buf_deinit(&rows);
    return error;
}

static void a_frame_has_a_largest_size(void **state)
{
    (void)state;
    assert_int_equal(decode_of_size(MKV_FRAME_MAX), 0);
    assert_int_equal(decode_of_size(MKV_FRAME_MAX + 1), MKV_E_TOO_LARGE);
    assert_int_equal(encode_of_size(MKV_FRAME_MAX), 0);
    assert_int_equal(encode_of_size(MKV_FRAME_MAX + 1), MKV_E_TOO_LARGE);
}

static void an_unknown_kind_tells_its_id(void **state)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_PING};

    (void)state;
    assert_int_equal(mkv_frame_decode(mkv_bytes("\xa2\x00\x18\x63\x01\x05", 6), &frame),
                     MKV_E_UNKNOWN_REQUEST);
    assert_int_equal(frame.kind, 0);
    assert_int_equal(frame.id, 5);
    assert_int_equal(mkv_frame_decode(mkv_bytes("\xa1\x00\x00", 3), &frame), MKV_E_UNKNOWN_REQUEST);
    assert_int_equal(frame.id, 0);
    frame.id = 9;
    assert_int_equal(mkv_frame_decode(mkv_bytes("\xa2\x00\x18\x63\x01\x00", 6), &frame),
                     MKV_E_BAD_NUMBER);
    assert_int_equal(mkv_frame_decode(mkv_bytes("\xa2\x00\x18\x63\x01\x01\x01", 7), &frame),
                     MKV_E_TRAILING);
    assert_int_equal(frame.id, 9);
}

static void what_nobody_set_is_the_default(void **state)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_LIST, .id = 1, .path.path = mkv_bytes("\x80", 1)};
    union message decoded;
    struct mkv_buf out;

    (void)state;
    mkv_buf_init(&out, MKV_FRAME_MAX);
    assert_int_equal(codec_frame.encode(&(union message){.frame = frame}, &out), 0);
    assert_int_equal(codec_frame.decode(mkv_buf_bytes(&out), &decoded), 0);
    assert_int_equal(decoded.frame.path.credit, MKV_CREDIT_DEFAULT);
    mkv_buf_deinit(&out);
}

static void encode_refuses(struct mkv_frame frame, int error)
{
    struct mkv_buf out;

    mkv_buf_init(&out, MKV_FRAME_MAX);
    put(&out, "before", 6);
    assert_int_equal(mkv_frame_encode(&frame, &out), error);
    assert_int_equal(out.len, 6);
    mkv_buf_deinit(&out);
}

static void what_would_be_refused_is_not_written(void **state)
{
    static const uint8_t zeros[2048];
    struct mkv_frame frame = {.kind = MKV_FRAME_PING};

    (void)state;
    encode_refuses(frame, MKV_E_BAD_NUMBER); /* no id */
    frame = (struct mkv_frame){.kind = MKV_FRAME_VOID, .range = {5, 4}};
    encode_refuses(frame, MKV_E_BAD_NUMBER);
    frame = (struct mkv_frame){.kind = MKV_FRAME_ERROR, .error.code = 0};
    encode_refuses(frame, MKV_E_BAD_NUMBER);
    frame.error.code = -10000;
    encode_refuses(frame, MKV_E_BAD_NUMBER);
    frame.error = (struct mkv_frame_error){.code = -1, .text = mkv_bytes(zeros, 1025)};
    encode_refuses(frame, MKV_E_TOO_LARGE);
    frame.error.text = mkv_bytes("\xc3", 1);
    encode_refuses(frame, MKV_E_BAD_UTF8);
    frame = (struct mkv_frame){.kind = MKV_FRAME_AUTH, .auth = {.resume = true}};
    encode_refuses(frame, MKV_E_BAD_NAME);
    frame.auth.session = (struct mkv_birth){mkv_bytes_of("srv"), 1};
    encode_refuses(frame, MKV_E_MALFORMED); /* no token */
    frame = (struct mkv_frame){.kind = MKV_FRAME_DONE};
    encode_refuses(frame, MKV_E_BAD_NUMBER);
    frame = (struct mkv_frame){.kind = MKV_FRAME_PEER,
                               .peer = {.name = mkv_bytes_of("srv"), .state = 2}};
    encode_refuses(frame, MKV_E_BAD_NUMBER);
    frame = (struct mkv_frame){.kind = MKV_FRAME_VOUCH, .id = 1, .vouch.name = mkv_bytes_of("srv")};
    encode_refuses(frame, MKV_E_BAD_NUMBER); /* no ping */
}

/* Of all that stays raw, the order of ranges alone is looked at again. */
static void ranges_to_be_fetched_ascend(void **state)
{
    struct mkv_bytes backwards = mkv_bytes("\x82\x82\x41\x62\x40\x82\x40\x41\x62", 9);
    struct mkv_frame frame = {.kind = MKV_FRAME_SPLIT, .id = 1, .ranges.ranges = backwards};
    struct mkv_buf out;

    (void)state;
    mkv_buf_init(&out, MKV_FRAME_MAX);
    assert_int_equal(mkv_frame_encode(&frame, &out), 0);
    mkv_buf_deinit(&out);
    frame.kind = MKV_FRAME_FETCH;
    encode_refuses(frame, MKV_E_MALFORMED);
}

/* Three frames arrive byte by byte. */
static void a_stream_is_cut_byte_by_byte(void **state)
{
    struct mkv_frame frame = {.kind = MKV_FRAME_PING};
    struct mkv_buf stream;
    struct mkv_buf received;
    uint64_t n_frames = 0;

    (void)state;
    mkv_buf_init(&stream, 1024);
    mkv_buf_init(&received, 1024);
    for (frame.id = 1; frame.id <= 3; frame.id++) {
        assert_int_equal(mkv_frame_encode(&frame, &stream), 0);
    }
    for (size_t i = 0; i < stream.len; i++) {
        struct mkv_bytes map;
        size_t used;

        put(&received, stream.at + i, 1);
        assert_int_equal(mkv_frame_cut(mkv_buf_bytes(&received), &map, &used), 0);
        if (used > 0) {
            struct mkv_frame decoded;

            assert_int_equal(used, received.len);
            assert_int_equal(mkv_frame_decode(map, &decoded), 0);
            assert_int_equal(decoded.id, ++n_frames);
            mkv_buf_consume(&received, used);
        }
    }
    assert_int_equal(n_frames, 3);
    assert_int_equal(received.len, 0);
    mkv_buf_deinit(&received);
    mkv_buf_deinit(&stream);
}

static void a_stream_that_cannot_be_read_on_is_told_at_once(void **state)
{
    static uint8_t longest[4 + MKV_FRAME_MAX] = {0x00, 0x21, 0x00, 0x00};
    struct mkv_bytes map;
    size_t used = 1;

    (void)state;
    assert_int_equal(mkv_frame_cut(mkv_bytes("\0\0\0\0", 4), &map, &used), MKV_E_MALFORMED);
    assert_int_equal(mkv_frame_cut(mkv_bytes("\x00\x21\x00\x01", 4), &map, &used), MKV_E_TOO_LARGE);
    assert_int_equal(mkv_frame_cut(mkv_bytes("\xff\xff\xff\xff", 4), &map, &used), MKV_E_TOO_LARGE);
    assert_int_equal(used, 1);
    assert_int_equal(mkv_frame_cut(mkv_bytes(longest, sizeof(longest) - 1), &map, &used), 0);
    assert_int_equal(used, 0);
    assert_int_equal(mkv_frame_cut(mkv_bytes(longest, sizeof(longest)), &map, &used), 0);
    assert_int_equal(used, sizeof(longest));
    assert_int_equal(map.len, MKV_FRAME_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(prefixes_are_refused),
        cmocka_unit_test(flipped_bits_do_no_harm),
        cmocka_unit_test(failing_allocations_are_reported),
        cmocka_unit_test(the_kind_may_come_last),
        cmocka_unit_test(values_in_rows_have_limits_of_their_own),
        cmocka_unit_test(children_are_read_as_written),
        cmocka_unit_test(a_frame_has_a_largest_size),
        cmocka_unit_test(an_unknown_kind_tells_its_id),
        cmocka_unit_test(what_nobody_set_is_the_default),
        cmocka_unit_test(what_would_be_refused_is_not_written),
        cmocka_unit_test(ranges_to_be_fetched_ascend),
        cmocka_unit_test(a_stream_is_cut_byte_by_byte),
        cmocka_unit_test(a_stream_that_cannot_be_read_on_is_told_at_once),
    };

    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
