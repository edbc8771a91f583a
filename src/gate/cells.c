/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/cells.h"

#include <sodium.h>

#include "base/limits.h"
#include "base/mem.h"

struct mkv_gate_print mkv_gate_print(const struct mkv_bytes *value)
{
    struct mkv_gate_print print = {.kind = MKV_GATE_ABSENT};

    if (value != NULL) {
        print.kind = MKV_GATE_VALUE;
        (void)crypto_generichash(print.hash, sizeof(print.hash), value->at, value->len, NULL, 0);
    }
    return print;
}

bool mkv_gate_same(const struct mkv_gate_print *a, const struct mkv_gate_print *b)
{
    return a->kind == b->kind && a->kind != MKV_GATE_UNKNOWN &&
           memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

void mkv_gate_cells_init(struct mkv_gate_cells *cells, uint32_t n_max)
{
    *cells = (struct mkv_gate_cells){.by_hash = {.n_max = n_max}};
    mkv_buf_init(&cells->by_number, (size_t)n_max * sizeof(struct mkv_gate_cell *));
}

static void free_cell(struct mkv_gate_cell *cell)
{
    mkv_buf_deinit(&cell->key);
    mkv_buf_deinit(&cell->value);
    mkv_buf_deinit(&cell->wanted);
    mkv_mem_free(cell);
}

void mkv_gate_cells_deinit(struct mkv_gate_cells *cells)
{
    for (uint32_t i = 0; i < mkv_gate_cells_count(cells); i++) {
        free_cell(mkv_gate_cells_at(cells, i));
    }
    mkv_buf_deinit(&cells->by_number);
    mkv_map_deinit(&cells->by_hash);
}

uint32_t mkv_gate_cells_count(const struct mkv_gate_cells *cells)
{
    return (uint32_t)(cells->by_number.len / sizeof(struct mkv_gate_cell *));
}

struct mkv_gate_cell *mkv_gate_cells_at(const struct mkv_gate_cells *cells, uint32_t number)
{
    struct mkv_gate_cell *cell = NULL;

    if (number < mkv_gate_cells_count(cells)) {
        memcpy(&cell, cells->by_number.at + number * sizeof(cell), sizeof(cell));
    }
    return cell;
}

static uint64_t hash_of(unsigned rule, struct mkv_bytes key)
{
    uint8_t hash[MKV_GATE_HASH_LEN];
    uint64_t number;

    (void)crypto_generichash(hash, sizeof(hash), key.at, key.len, NULL, 0);
    memcpy(&number, hash, sizeof(number));
    return number + rule;
}

struct mkv_gate_cell *mkv_gate_cells_find(const struct mkv_gate_cells *cells,
                                          unsigned rule,
                                          struct mkv_bytes key)
{
    struct mkv_gate_cell *cell = mkv_map_get(&cells->by_hash, hash_of(rule, key));

    while (cell != NULL &&
           (cell->rule != rule || !mkv_bytes_equal(mkv_buf_bytes(&cell->key), key))) {
        cell = cell->next;
    }
    return cell;
}

static int make(unsigned rule, struct mkv_bytes key, struct mkv_gate_cell **ret_cell)
{
    struct mkv_gate_cell *cell = mkv_mem_alloc(sizeof(*cell));
    int error;

    if (cell == NULL) {
        return MKV_E_NO_MEMORY;
    }
    cell->rule = rule;
    mkv_buf_init(&cell->key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&cell->value, MKV_VALUE_MAX);
    mkv_buf_init(&cell->wanted, MKV_VALUE_MAX);
    error = mkv_buf_append(&cell->key, key);
    if (error != 0) {
        free_cell(cell);
        return error;
    }
    *ret_cell = cell;
    return 0;
}

/* Behind the others of its hash; in the map there is one for each hash. */
static int enter(struct mkv_gate_cells *cells, struct mkv_gate_cell *cell)
{
    uint64_t hash = hash_of(cell->rule, mkv_buf_bytes(&cell->key));
    struct mkv_gate_cell *first = mkv_map_get(&cells->by_hash, hash);

    if (first == NULL) {
        return mkv_map_add(&cells->by_hash, hash, cell);
    }
    cell->next = first->next;
    first->next = cell;
    return 0;
}

int mkv_gate_cells_get(struct mkv_gate_cells *cells,
                       unsigned rule,
                       struct mkv_bytes key,
                       struct mkv_gate_cell **ret_cell)
{
    struct mkv_gate_cell *cell = mkv_gate_cells_find(cells, rule, key);
    int error;

    if (cell != NULL) {
        *ret_cell = cell;
        return 0;
    }
    error = mkv_buf_reserve(&cells->by_number, sizeof(cell));
    if (error == 0) {
        error = make(rule, key, &cell);
    }
    if (error != 0) {
        return error == MKV_E_TOO_LARGE ? MKV_E_TOO_MANY : error;
    }
    error = enter(cells, cell);
    if (error != 0) {
        free_cell(cell);
        return error;
    }
    cell->number = mkv_gate_cells_count(cells);
    *ret_cell = cell;
    return mkv_buf_append(&cells->by_number, mkv_bytes(&cell, sizeof(cell))); /* has room */
}

void mkv_gate_cells_busy(struct mkv_gate_cells *cells, struct mkv_gate_cell *cell, bool busy)
{
    if (busy == (cell->busy_at != NULL)) {
        return;
    }
    if (busy) {
        cell->busy_next = cells->busy;
        cell->busy_at = &cells->busy;
        if (cells->busy != NULL) {
            cells->busy->busy_at = &cell->busy_next;
        }
        cells->busy = cell;
        return;
    }
    *cell->busy_at = cell->busy_next;
    if (cell->busy_next != NULL) {
        cell->busy_next->busy_at = cell->busy_at;
    }
    cell->busy_at = NULL;
    cell->busy_next = NULL;
}
