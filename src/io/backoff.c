/* SPDX-License-Identifier: Apache-2.0 */
#include "io/backoff.h"

#include "io/hash.h"

/* Its index; backoff->n: it has not failed. */
static uint32_t find(const struct mkv_backoff *backoff, uint64_t hash)
{
    uint32_t i = 0;

    while (i < backoff->n && backoff->at[i].hash != hash) {
        i++;
    }
    return i;
}

int64_t mkv_backoff_left_ms(const struct mkv_backoff *backoff, struct mkv_bytes who, int64_t now_ms)
{
    uint32_t found = find(backoff, mkv_hash_of(who));
    const struct mkv_backoff_entry *entry = &backoff->at[found];
    int64_t wait_ms = MKV_BACKOFF_MIN_MS;

    if (found == backoff->n || entry->n_failures < MKV_BACKOFF_FREE) {
        return 0;
    }
    for (uint32_t i = MKV_BACKOFF_FREE; i < entry->n_failures && wait_ms < MKV_BACKOFF_MAX_MS;
         i++) {
        wait_ms *= 2;
    }
    wait_ms = wait_ms < MKV_BACKOFF_MAX_MS ? wait_ms : MKV_BACKOFF_MAX_MS;

    int64_t left_ms = entry->failed_ms + wait_ms - now_ms;

    return left_ms > 0 ? left_ms : 0;
}

/* A free place, or that of whoever failed longest ago. */
static struct mkv_backoff_entry *make_room(struct mkv_backoff *backoff)
{
    struct mkv_backoff_entry *oldest = &backoff->at[0];

    if (backoff->n < MKV_BACKOFF_MAX) {
        return &backoff->at[backoff->n++];
    }
    for (uint32_t i = 1; i < backoff->n; i++) {
        if (backoff->at[i].failed_ms < oldest->failed_ms) {
            oldest = &backoff->at[i];
        }
    }
    return oldest;
}

void mkv_backoff_failed(struct mkv_backoff *backoff, struct mkv_bytes who, int64_t now_ms)
{
    uint64_t hash = mkv_hash_of(who);
    uint32_t found = find(backoff, hash);
    bool is_new = found == backoff->n;
    struct mkv_backoff_entry *entry = is_new ? make_room(backoff) : &backoff->at[found];

    if (is_new) {
        *entry = (struct mkv_backoff_entry){.hash = hash};
    } else if (now_ms - entry->failed_ms >= MKV_BACKOFF_FORGET_MS) {
        entry->n_failures = 0;
    }
    entry->n_failures++;
    entry->failed_ms = now_ms;
}

void mkv_backoff_succeeded(struct mkv_backoff *backoff, struct mkv_bytes who)
{
    uint32_t found = find(backoff, mkv_hash_of(who));

    if (found < backoff->n) {
        backoff->at[found] = backoff->at[--backoff->n];
    }
}
