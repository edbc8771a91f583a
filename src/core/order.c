/* SPDX-License-Identifier: Apache-2.0 */
#include "core/order.h"

#include <sodium.h>

#include "base/assert.h"
#include "base/rule.h"

static void put_be(uint8_t *at, uint64_t number, unsigned n_bytes)
{
    for (unsigned i = 0; i < n_bytes; i++) {
        at[i] = (uint8_t)(number >> (8 * (n_bytes - 1 - i)));
    }
}

static uint64_t get_be64(const uint8_t *at)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < 8; i++) {
        number = number << 8 | at[i];
    }
    return number;
}

uint64_t mkv_value_hash(struct mkv_bytes value)
{
    uint8_t hash[32];

    /* Cannot fail: all lengths are in range. */
    (void)crypto_generichash(hash, sizeof(hash), value.at, value.len, NULL, 0);
    return get_be64(hash);
}

struct mkv_head mkv_head_of(const struct mkv_update *update)
{
    const struct mkv_tick *dot = &update->ticks.at[0];

    MKV_ASSERT(update->has_tock);
    MKV_ASSERT(update->ticks.n > 0);
    return (struct mkv_head){
        .tock = update->tock,
        .seq = dot->seq,
        .counter = dot->counter,
        .vhash = update->present ? mkv_value_hash(update->value) : 0,
        .name = dot->name,
        .present = update->present,
    };
}

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int mkv_head_compare(const struct mkv_head *a, const struct mkv_head *b)
{
    int order = compare_numbers(a->tock, b->tock);

    if (order != 0 || !MKV_RULE(ORDER_TOTAL)) {
        return order;
    }
    order = mkv_bytes_compare(a->name, b->name);
    if (order == 0) {
        order = compare_numbers(a->seq, b->seq);
    }
    if (order == 0) {
        order = compare_numbers(a->counter, b->counter);
    }
    if (order == 0) {
        order = compare_numbers(a->present, b->present);
    }
    if (order == 0 && MKV_RULE(ORDER_VALUE)) {
        order = compare_numbers(a->vhash, b->vhash);
    }
    return order;
}

bool mkv_ticks_cover(const struct mkv_ticks *ticks, const struct mkv_head *head)
{
    for (uint32_t i = 0; i < ticks->n; i++) {
        const struct mkv_tick *tick = &ticks->at[i];

        if (tick->seq == head->seq && tick->counter >= head->counter &&
            mkv_bytes_equal(tick->name, head->name)) {
            return true;
        }
    }
    return false;
}

void mkv_digest_key_of(struct mkv_bytes root, uint8_t ret_key[MKV_DIGEST_KEY_LEN])
{
    struct mkv_bytes purpose = mkv_bytes_of("moat-kv digest 1 ");
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, NULL, 0, MKV_DIGEST_KEY_LEN); /* none of these can fail */
    (void)crypto_generichash_update(&state, purpose.at, purpose.len);
    (void)crypto_generichash_update(&state, root.at, root.len);
    (void)crypto_generichash_final(&state, ret_key, MKV_DIGEST_KEY_LEN);
}

struct mkv_digest mkv_entry_digest(const uint8_t key[MKV_DIGEST_KEY_LEN],
                                   struct mkv_bytes path,
                                   const struct mkv_head *head)
{
    uint8_t text[2 + MKV_PATH_KEY_MAX + 8 + 1 + MKV_NAME_MAX + 8 + 8 + 1 + 8];
    uint8_t *at = text;
    uint8_t hash[16];

    MKV_ASSERT(path.len <= MKV_PATH_KEY_MAX);
    MKV_ASSERT(head->name.len <= MKV_NAME_MAX);

    put_be(at, path.len, 2);
    at += 2;
    if (path.len > 0) {
        memcpy(at, path.at, path.len);
        at += path.len;
    }
    put_be(at, head->tock, 8);
    put_be(at + 8, head->name.len, 1);
    at += 9;
    if (head->name.len > 0) {
        memcpy(at, head->name.at, head->name.len);
        at += head->name.len;
    }
    put_be(at, head->seq, 8);
    put_be(at + 8, head->counter, 8);
    put_be(at + 16, head->present, 1);
    put_be(at + 17, head->vhash, 8);
    at += 25;

    (void)crypto_generichash(hash, sizeof(hash), text, (unsigned long long)(at - text), key,
                             MKV_DIGEST_KEY_LEN);
    return (struct mkv_digest){.high = get_be64(hash), .low = get_be64(hash + 8)};
}

void mkv_digest_bytes(struct mkv_digest digest, uint8_t ret_bytes[16])
{
    put_be(ret_bytes, digest.high, 8);
    put_be(ret_bytes + 8, digest.low, 8);
}
