/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A map from numbers to pointers, with a maximum that it has from birth.
 *
 * Open addressing with linear probing; deletion moves later entries back, so there are no
 * tombstones and a lookup never gets slower.  The order of iteration depends on the numbers and
 * on the history: nothing that replicas must agree on may follow it.
 */
#ifndef MKV_BASE_MAP_H
#define MKV_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct mkv_map_slot {
    uint64_t key;
    void *value; /* NULL: the slot is empty */
};

/* `= {0}` with @n_max set is a valid empty map. */
struct mkv_map {
    struct mkv_map_slot *slots; /* owned; NULL or a power of two of them */
    size_t n_slots;
    size_t n;
    size_t n_max;
};

/* Frees the table; the values are the owner's. */
void mkv_map_deinit(struct mkv_map *map);

/* The value, or NULL. */
void *mkv_map_get(const struct mkv_map *map, uint64_t key);

/* @value is not NULL; @key is not in the map.  TOO_MANY at the maximum, NO_MEMORY: unchanged. */
int mkv_map_add(struct mkv_map *map, uint64_t key, void *value) MKV_MUST_CHECK;

/* Takes it out and returns it; NULL if it is not there. */
void *mkv_map_remove(struct mkv_map *map, uint64_t key);

/* Walks all values: start with *cursor = 0; NULL at the end.  The map must not change meanwhile. */
void *mkv_map_each(const struct mkv_map *map, size_t *cursor);

#endif
