/* SPDX-License-Identifier: Apache-2.0 */
#include "mem_fault.h"

#include <stdlib.h>

#include "base/mem.h"

static unsigned calls_left;
static bool struck;
static bool paused;
static size_t live;

void mem_fault_at(unsigned n)
{
    calls_left = n;
    struck = false;
}

void mem_fault_pause(bool pause)
{
    paused = pause;
}

bool mem_fault_struck(void)
{
    return struck;
}

size_t mem_fault_live(void)
{
    return live;
}

static bool fails_now(void)
{
    if (paused || calls_left == 0 || --calls_left > 0) {
        return false;
    }
    struck = true;
    return true;
}

void *mkv_mem_alloc(size_t size)
{
    void *at = fails_now() ? NULL : calloc(1, size);

    live += at != NULL;
    return at;
}

void *mkv_mem_resize(void *at, size_t size)
{
    void *moved = fails_now() ? NULL : realloc(at, size);

    live += at == NULL && moved != NULL;
    return moved;
}

void mkv_mem_free(void *at)
{
    live -= at != NULL;
    free(at);
}
