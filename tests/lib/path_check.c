/* SPDX-License-Identifier: Apache-2.0 */
#include "path_check.h"

#include "base/assert.h"
#include "wire/path.h"
#include "wire/topic.h"

static void check_same(struct mkv_bytes a, struct mkv_bytes b)
{
    MKV_ASSERT(a.len == b.len);
    MKV_ASSERT(mkv_bytes_equal(a, b));
}

void check_dotted_round_trip(struct mkv_bytes key)
{
    struct mkv_buf text;
    struct mkv_buf again;

    mkv_buf_init(&text, 1U << 16);
    mkv_buf_init(&again, MKV_PATH_KEY_MAX);
    MKV_ASSERT(mkv_path_to_dotted(key, &text) == 0);
    MKV_ASSERT(mkv_path_from_dotted(mkv_buf_bytes(&text), &again) == 0);
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
    MKV_ASSERT(w.error == 0);
    mkv_cbor_reader_init(&r, mkv_buf_bytes(&cbor));
    MKV_ASSERT(mkv_path_from_cbor(&r, &again) == 0);
    MKV_ASSERT(mkv_cbor_finish(&r) == 0);
    check_same(mkv_buf_bytes(&again), key);
    mkv_buf_deinit(&cbor);
    mkv_buf_deinit(&again);
}

static void check_harmless(struct mkv_bytes topic, enum mkv_profile profile, unsigned n_slashes)
{
    MKV_ASSERT(mkv_utf8_valid(topic));
    for (size_t i = 0; i < topic.len; i++) {
        uint8_t byte = topic.at[i];

        MKV_ASSERT(byte >= 0x20 && byte != 0x7f && byte != '+' && byte != '#');
        MKV_ASSERT(profile == MKV_PROFILE_PLAIN || (byte != ' ' && byte != '.' && byte != '*'));
        MKV_ASSERT(!(byte == '/' && (i + 1 == topic.len || topic.at[i + 1] == '/')));
        n_slashes -= byte == '/';
    }
    MKV_ASSERT(n_slashes == 0);
}

static void check_topic(struct mkv_bytes key, enum mkv_profile profile)
{
    struct mkv_bytes root = mkv_bytes_of(CHECK_ROOT);
    struct mkv_buf topic;
    struct mkv_buf again;

    mkv_buf_init(&topic, 1U << 16);
    mkv_buf_init(&again, MKV_PATH_KEY_MAX);
    MKV_ASSERT(mkv_topic_of_path(root, profile, key, &topic) == 0);
    check_harmless(mkv_buf_bytes(&topic), profile, 2 + mkv_path_depth(key));
    MKV_ASSERT(mkv_topic_to_path(root, profile, mkv_buf_bytes(&topic), &again) == 0);
    check_same(mkv_buf_bytes(&again), key);
    mkv_buf_deinit(&topic);
    mkv_buf_deinit(&again);
}

void check_topic_round_trip(struct mkv_bytes key)
{
    check_topic(key, MKV_PROFILE_PLAIN);
    check_topic(key, MKV_PROFILE_PORTABLE);
}

void check_element_round_trip(struct mkv_bytes key)
{
    struct mkv_bytes rest = key;
    struct mkv_buf scratch;
    struct mkv_buf again;

    mkv_buf_init(&scratch, MKV_PATH_KEY_MAX);
    mkv_buf_init(&again, MKV_PATH_KEY_MAX);
    while (rest.len > 0) {
        struct mkv_element element;

        MKV_ASSERT(mkv_element_decode(mkv_path_cut(&rest), &scratch, &element) == 0);
        MKV_ASSERT(mkv_path_append(&again, &element) == 0);
    }
    check_same(mkv_buf_bytes(&again), key);
    mkv_buf_deinit(&scratch);
    mkv_buf_deinit(&again);
}

void check_all_forms(struct mkv_bytes key)
{
    MKV_ASSERT(mkv_path_check(key) == 0);
    check_element_round_trip(key);
    check_dotted_round_trip(key);
    check_cbor_round_trip(key);
    check_topic_round_trip(key);
}
