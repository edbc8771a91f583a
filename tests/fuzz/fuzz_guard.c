/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guard lets through, of a topic and a payload from anywhere: only a canonical topic, an
 * update that all others read the same way, and the writer's own tick.
 *
 * The input is the topic behind "m/", a NUL, and the payload.  The file of rights is fuzzed as the
 * payload, too.
 */
#include <string.h>

#include "base/assert.h"
#include "fuzz.h"
#include "guard/guard.h"
#include "wire/topic.h"
#include "wire/update.h"

#define ROOT "m/"

static const uint8_t key[MKV_GUARD_KEY_LEN] = {9};

static void give_rights(struct mkv_guard *guard)
{
    static const uint8_t everything[] = {0x60, '#', 0x00, 0x01};
    struct mkv_rights rights = {.root = mkv_bytes_of("m"),
                                .n_keys = 1,
                                .keys = {mkv_bytes(key, sizeof(key))},
                                .n_users = 1,
                                .n_rules = 1};
    struct mkv_rights_user ann = {
        .name = mkv_bytes_of("ann"), .n_roles = 1, .roles = {mkv_bytes_of("r")}};
    struct mkv_rights_rule rule = {.role = mkv_bytes_of("r"),
                                   .filter = mkv_bytes(everything, sizeof(everything)),
                                   .allowed = MKV_RIGHT_WRITE};
    struct mkv_rights_writer w;
    struct mkv_buf file;

    mkv_buf_init(&file, 4096);
    mkv_rights_begin(&w, &rights, &file);
    mkv_rights_add_user(&w, &ann);
    mkv_rights_add_rule(&w, &rule);
    MKV_ASSERT(mkv_rights_end(&w) == 0);
    MKV_ASSERT(mkv_guard_take(guard, mkv_buf_bytes(&file)) == 0);
    mkv_buf_deinit(&file);
}

static void check_update(struct mkv_bytes topic, struct mkv_bytes payload, bool is_user)
{
    struct mkv_update update;
    struct mkv_buf path;

    mkv_buf_init(&path, MKV_PATH_KEY_MAX);
    MKV_ASSERT(mkv_topic_to_path(mkv_bytes_of("m"), MKV_PROFILE_PLAIN, topic, &path) == 0);
    MKV_ASSERT(mkv_update_decode(payload, &update) == 0);
    MKV_ASSERT(update.ticks.at[0].seq == 7);
    MKV_ASSERT(mkv_bytes_equal(update.ticks.at[0].name, mkv_bytes_of("srv")));
    if (is_user) {
        MKV_ASSERT(update.present && (path.len == 0 || path.at[0] != 0x10));
    }
    mkv_buf_deinit(&path);
}

static void check_as(struct mkv_guard *guard,
                     enum mkv_role role,
                     struct mkv_bytes topic,
                     struct mkv_bytes payload)
{
    struct mkv_guard_peer peer = {.role = role, .seq = 7, .name_len = 3, .name = "srv"};
    struct mkv_guard_message message = {.topic = topic, .payload = payload};
    struct mkv_guard_now now = {.unix_s = 1790000000};

    if (role == MKV_ROLE_USER) {
        peer.user_len = 3;
        memcpy(peer.user, "ann", 3);
    }
    if (mkv_guard_write(guard, now, &peer, &message).answer == MKV_GUARD_ALLOW &&
        mkv_bytes_starts_with(topic, mkv_bytes_of("m/d"))) {
        check_update(topic, payload, role == MKV_ROLE_USER);
    }
    message.retain = true;
    MKV_ASSERT(mkv_guard_write(guard, now, &peer, &message).answer != MKV_GUARD_ALLOW);
    (void)mkv_guard_read(guard, &peer, topic);
    (void)mkv_guard_subscribe(guard, &peer, topic);
    (void)mkv_guard_subscribe(guard, &peer, mkv_bytes_after(topic, sizeof(ROOT) - 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mkv_guard_limits limits = {.messages = {.burst = 10, .per_s = 1}};
    const uint8_t *end = size > 0 ? memchr(data, 0, size) : NULL;
    size_t len = end != NULL ? (size_t)(end - data) : size;
    struct mkv_bytes payload = mkv_bytes_after(mkv_bytes(data, size), len + (end != NULL));
    struct mkv_guard_peer peer;
    struct mkv_guard guard;
    struct mkv_buf topic;

    mkv_guard_init(&guard, &limits);
    give_rights(&guard);
    mkv_buf_init(&topic, size + sizeof(ROOT));
    MKV_ASSERT(mkv_buf_append(&topic, mkv_bytes_of(ROOT)) == 0);
    MKV_ASSERT(mkv_buf_append(&topic, mkv_bytes(data, len)) == 0);
    check_as(&guard, MKV_ROLE_OWN, mkv_buf_bytes(&topic), payload);
    check_as(&guard, MKV_ROLE_USER, mkv_buf_bytes(&topic), payload);
    MKV_ASSERT(mkv_guard_login(&guard, (struct mkv_guard_now){0}, mkv_bytes(data, len), payload,
                               payload, &peer)
                   .answer != MKV_GUARD_ALLOW);
    MKV_ASSERT(mkv_guard_take(&guard, payload) <= 0 && guard.knows); /* whatever it is */
    mkv_buf_deinit(&topic);
    mkv_guard_deinit(&guard);
    return 0;
}
