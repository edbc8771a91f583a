/* SPDX-License-Identifier: Apache-2.0 */
#include "io/door.h"

#include "io/hash.h"

#define SECOND_US 1000000

/* Its index; door->n: it has no links. */
static uint32_t find(const struct mkv_door *door, uint64_t hash)
{
    uint32_t i = 0;

    while (i < door->n && door->at[i].hash != hash) {
        i++;
    }
    return i;
}

bool mkv_door_enter(struct mkv_door *door, struct mkv_bytes origin)
{
    uint64_t hash = mkv_hash_of(origin);
    uint32_t found = find(door, hash);

    if (found == door->n) {
        if (door->n == MKV_DOOR_ORIGINS_MAX) {
            return false;
        }
        door->at[door->n++] = (struct mkv_door_origin){.hash = hash};
    }
    if (door->at[found].n_links >= (door->each != 0 ? door->each : MKV_DOOR_EACH)) {
        return false;
    }
    door->at[found].n_links++;
    return true;
}

void mkv_door_leave(struct mkv_door *door, struct mkv_bytes origin)
{
    uint32_t found = find(door, mkv_hash_of(origin));

    if (found < door->n && --door->at[found].n_links == 0) {
        door->at[found] = door->at[--door->n];
    }
}

int64_t mkv_door_handshake(struct mkv_door *door, int64_t now_ms)
{
    int64_t now_us = now_ms * 1000;
    int64_t ahead_us;

    if (door->due_us < now_us) {
        door->due_us = now_us;
    }
    door->due_us += SECOND_US / (door->per_s != 0 ? door->per_s : MKV_DOOR_PER_S);
    ahead_us = door->due_us - now_us - SECOND_US;
    return ahead_us < 0 ? 0 : ahead_us / 1000 + 1;
}
