/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mem_fault.h"

#include <stdlib.h>

#include "base/mem.h"

static uint64_t countdown; /* 0: no fault is set, or it has been hit */
static bool hit;
static uint64_t n_live;

void mem_fault_at(uint64_t n)
{
    countdown = n;
    hit = false;
}

bool mem_fault_hit(void)
{
    return hit;
}

uint64_t mem_fault_live(void)
{
    return n_live;
}

static bool fails_now(void)
{
    if (countdown > 0 && --countdown == 0) {
        hit = true;
        return true;
    }
    return false;
}

void *mkv_mem_alloc(size_t size)
{
    void *at = fails_now() ? NULL : calloc(1, size);

    n_live += at != NULL;
    return at;
}

void *mkv_mem_resize(void *at, size_t size)
{
    void *moved = fails_now() ? NULL : realloc(at, size);

    n_live += at == NULL && moved != NULL;
    return moved;
}

void mkv_mem_free(void *at)
{
    n_live -= at != NULL;
    free(at);
}
