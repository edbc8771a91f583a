/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/mac.h"

#include <sodium.h>

#include "base/limits.h"

#define SEQ_LEN 8U

void mkv_mac_key(const uint8_t key[MKV_RING_KEY_LEN],
                 const struct mkv_tick *dot,
                 uint8_t ret_key[MKV_MAC_KEY_LEN])
{
    uint8_t whose[1 + MKV_NAME_MAX + SEQ_LEN];
    size_t len = dot->name.len < MKV_NAME_MAX ? dot->name.len : MKV_NAME_MAX;

    whose[0] = (uint8_t)len;
    memcpy(whose + 1, dot->name.at, len);
    for (size_t i = 0; i < SEQ_LEN; i++) {
        whose[1 + len + i] = (uint8_t)(dot->seq >> (8 * (SEQ_LEN - 1 - i)));
    }
    (void)crypto_generichash(ret_key, MKV_MAC_KEY_LEN, whose, 1 + len + SEQ_LEN, key,
                             MKV_RING_KEY_LEN);
}

void mkv_mac_sign(const uint8_t key[MKV_MAC_KEY_LEN],
                  struct mkv_bytes topic,
                  uint8_t *message,
                  size_t len)
{
    struct mkv_ring ring = {.n = 1};

    memcpy(ring.keys[0], key, MKV_MAC_KEY_LEN);
    mkv_ring_prove(&ring, topic, message, len);
    mkv_ring_forget(&ring);
}

int mkv_mac_encode(const struct mkv_update *update,
                   struct mkv_bytes topic,
                   const uint8_t key[MKV_MAC_KEY_LEN],
                   struct mkv_buf *out)
{
    size_t start = out->len;
    int error = mkv_update_encode_room(update, out);

    if (error == 0) {
        mkv_mac_sign(key, topic, out->at + start, out->len - start);
    }
    return error;
}

bool mkv_mac_check(const struct mkv_ring *keys,
                   const struct mkv_tick *dot,
                   struct mkv_bytes topic,
                   struct mkv_bytes message)
{
    struct mkv_ring ring = {.n = 1};
    bool good = false;

    for (uint32_t i = 0; i < keys->n && !good; i++) {
        mkv_mac_key(keys->keys[i], dot, ring.keys[0]);
        good = mkv_ring_proves(&ring, topic, message);
    }
    mkv_ring_forget(&ring);
    return good;
}
