/* SPDX-License-Identifier: Apache-2.0 */
#include "path_check.h"

#include "lib/check.h"
#include "wire/path.h"
#include "wire/topic.h"

static void check_same(struct mkv_bytes a, struct mkv_bytes b)
{
    assert_int_equal(a.len, b.len);
    assert_true(mkv_bytes_equal(a, b));
}

void check_dotted_round_trip(struct mkv_bytes key)
{
    struct mkv_buf text;
    struct mkv_buf again;

    mkv_buf_init(&text, 1U << 16);
    mkv_buf_init(&again, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_path_to_dotted(key, &text), 0);
    assert_int_equal(mkv_path_from_dotted(mkv_buf_bytes(&text), &again), 0);
    check_same(mkv_buf_bytes(&again), key);
    mkv_buf_deinit(&text);
    mkv_buf_deinit(&again);
}

void check_cbor_round_trip(struct mkv_bytes key)
{
    struct mkv_cbor_writer w;
    struct mkv_cbor_reader r;
    struct mkv_buf cbor;
    struct mkv_buf again;

    mkv_buf_init(&cbor, 1U << 16);
    mkv_buf_init(&again, MKV_PATH_KEY_MAX);
    mkv_cbor_writer_init(&w, &cbor);
    mkv_path_to_cbor(key, &w);
    assert_int_equal(w.error, 0);
    mkv_cbor_reader_init(&r, mkv_buf_bytes(&cbor));
    assert_int_equal(mkv_path_from_cbor(&r, &again), 0);
    assert_int_equal(mkv_cbor_finish(&r), 0);
    check_same(mkv_buf_bytes(&again), key);
    mkv_buf_deinit(&cbor);
    mkv_buf_deinit(&again);
}

static void check_harmless(struct mkv_bytes topic, enum mkv_profile profile, unsigned n_slashes)
{
    assert_true(mkv_utf8_valid(topic));
    for (size_t i = 0; i < topic.len; i++) {
        uint8_t byte = topic.at[i];

        assert_true(byte >= 0x20 && byte != 0x7f && byte != '+' && byte != '#');
        assert_false(profile == MKV_PROFILE_PORTABLE &&
                     (byte == ' ' || byte == '.' || byte == '*') && topic.at[i - 1] != ':');
        assert_false(byte == '/' && (i + 1 == topic.len || topic.at[i + 1] == '/'));
        n_slashes -= byte == '/';
    }
    assert_int_equal(n_slashes, 0);
}

static void check_topic(struct mkv_bytes key, enum mkv_profile profile)
{
    struct mkv_bytes root = mkv_bytes_of(CHECK_ROOT);
    struct mkv_buf topic;
    struct mkv_buf again;

    mkv_buf_init(&topic, 1U << 16);
    mkv_buf_init(&again, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_topic_of_path(root, profile, key, &topic), 0);
    check_harmless(mkv_buf_bytes(&topic), profile, 2 + mkv_path_depth(key));
    assert_int_equal(mkv_topic_to_path(root, profile, mkv_buf_bytes(&topic), &again), 0);
    check_same(mkv_buf_bytes(&again), key);
    mkv_buf_deinit(&topic);
    mkv_buf_deinit(&again);
}

void check_topic_round_trip(struct mkv_bytes key)
{
    check_topic(key, MKV_PROFILE_PLAIN);
    check_topic(key, MKV_PROFILE_PORTABLE);
}

void check_all_forms(struct mkv_bytes key)
{
    check_dotted_round_trip(key);
    check_cbor_round_trip(key);
    check_topic_round_trip(key);
}
