/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "base/assert.h"
#include "base/mem.h"

#define FIRST_SLOTS 16U

/* Fibonacci hashing: spreads consecutive numbers, which is what sessions and links have. */
static size_t home(const struct mkv_map *map, uint64_t key)
{
    return (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (map->n_slots - 1);
}

static size_t after(const struct mkv_map *map, size_t slot)
{
    return (slot + 1) & (map->n_slots - 1);
}

/* The slot of @key, or the empty one where it would go.  There is always an empty one. */
static size_t find(const struct mkv_map *map, uint64_t key)
{
    size_t slot = home(map, key);

    while (map->slots[slot].value != NULL && map->slots[slot].key != key) {
        slot = after(map, slot);
    }
    return slot;
}

void mkv_map_deinit(struct mkv_map *map)
{
    mkv_mem_free(map->slots);
    *map = (struct mkv_map){.n_max = map->n_max};
}

void *mkv_map_get(const struct mkv_map *map, uint64_t key)
{
    return map->n_slots == 0 ? NULL : map->slots[find(map, key)].value;
}

static int grow(struct mkv_map *map)
{
    struct mkv_map bigger = *map;

    bigger.n_slots = map->n_slots == 0 ? FIRST_SLOTS : map->n_slots * 2;
    bigger.slots = mkv_mem_alloc(bigger.n_slots * sizeof(*bigger.slots));
    if (bigger.slots == NULL) {
        return MKV_E_NO_MEMORY;
    }
    for (size_t i = 0; i < map->n_slots; i++) {
        if (map->slots[i].value != NULL) {
            bigger.slots[find(&bigger, map->slots[i].key)] = map->slots[i];
        }
    }
    mkv_mem_free(map->slots);
    *map = bigger;
    return 0;
}

int mkv_map_add(struct mkv_map *map, uint64_t key, void *value)
{
    MKV_ASSERT(value != NULL);
    if (map->n >= map->n_max) {
        return MKV_E_TOO_MANY;
    }
    if (map->n >= map->n_slots / 2) { /* at most half full: short probes */
        int error = grow(map);

        if (error != 0) {
            return error;
        }
    }

    size_t slot = find(map, key);

    MKV_ASSERT(map->slots[slot].value == NULL);
    map->slots[slot] = (struct mkv_map_slot){.key = key, .value = value};
    map->n++;
    return 0;
}

/* Whether an entry at home in slot @at may not move back to @hole, since probing starts behind it. */
static bool must_stay(const struct mkv_map *map, size_t hole, size_t slot)
{
    size_t from_home = (slot - home(map, map->slots[slot].key)) & (map->n_slots - 1);
    size_t from_hole = (slot - hole) & (map->n_slots - 1);

    return from_home < from_hole;
}

void *mkv_map_remove(struct mkv_map *map, uint64_t key)
{
    if (map->n_slots == 0) {
        return NULL;
    }

    size_t hole = find(map, key);
    void *value = map->slots[hole].value;

    if (value == NULL) {
        return NULL;
    }
    map->n--;
    for (size_t slot = after(map, hole); map->slots[slot].value != NULL; slot = after(map, slot)) {
        if (!must_stay(map, hole, slot)) {
            map->slots[hole] = map->slots[slot];
            hole = slot;
        }
    }
    map->slots[hole] = (struct mkv_map_slot){0};
    return value;
}

void *mkv_map_each(const struct mkv_map *map, size_t *cursor)
{
    while (*cursor < map->n_slots) {
        void *value = map->slots[(*cursor)++].value;

        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}
