/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "base/limits.h"
#include "fuzz.h"
#include "lib/path_check.h"
#include "wire/path.h"
#include "wire/topic.h"

static void check_only_topic(enum mkv_profile profile, struct mkv_bytes topic, struct mkv_bytes key)
{
    struct mkv_buf again;

    mkv_buf_init(&again, MKV_TOPIC_MAX);
    MKV_ASSERT(mkv_topic_of_path(mkv_bytes_of(CHECK_ROOT), profile, key, &again) == 0);
    MKV_ASSERT(mkv_bytes_equal(mkv_buf_bytes(&again), topic));
    mkv_buf_deinit(&again);
}

/* A topic that counts is the only one of its path; what is refused leaves nothing behind. */
static void check_topic(enum mkv_profile profile, struct mkv_bytes topic)
{
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    if (mkv_topic_to_path(mkv_bytes_of(CHECK_ROOT), profile, topic, &key) == 0) {
        check_only_topic(profile, topic, mkv_buf_bytes(&key));
        check_all_forms(mkv_buf_bytes(&key));
    } else {
        MKV_ASSERT(key.len == 0);
    }
    mkv_buf_deinit(&key);
}

/* Any bytes may be asked whether they are a root; one that is makes a topic that is found again. */
static void check_root(struct mkv_bytes root)
{
    struct mkv_bytes key = mkv_bytes("\x41\x07", 2);
    struct mkv_buf topic;
    struct mkv_buf again;

    if (mkv_root_check(root) != 0) {
        return;
    }
    mkv_buf_init(&topic, MKV_TOPIC_MAX);
    mkv_buf_init(&again, MKV_PATH_KEY_MAX);
    MKV_ASSERT(mkv_topic_of_path(root, MKV_PROFILE_PLAIN, key, &topic) == 0);
    MKV_ASSERT(mkv_topic_to_path(root, MKV_PROFILE_PLAIN, mkv_buf_bytes(&topic), &again) == 0);
    MKV_ASSERT(mkv_bytes_equal(mkv_buf_bytes(&again), key));
    mkv_buf_deinit(&topic);
    mkv_buf_deinit(&again);
}

/* The input is what stands behind "<root>/d": else nearly all would be refused at once. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mkv_bytes in = mkv_bytes(data, size);
    struct mkv_buf topic;

    mkv_buf_init(&topic, 1U << 24);
    MKV_ASSERT(mkv_buf_append(&topic, mkv_bytes_of(CHECK_ROOT "/d")) == 0);
    MKV_ASSERT(mkv_buf_append(&topic, in) == 0);
    check_topic(MKV_PROFILE_PLAIN, mkv_buf_bytes(&topic));
    check_topic(MKV_PROFILE_PORTABLE, mkv_buf_bytes(&topic));
    check_topic(MKV_PROFILE_PLAIN, in);
    check_root(in);
    mkv_buf_deinit(&topic);
    return 0;
}
