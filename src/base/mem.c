/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdlib.h>

void *mkv_mem_alloc(size_t size)
{
    return calloc(1, size);
}

void *mkv_mem_resize(void *at, size_t size)
{
    return realloc(at, size);
}

void mkv_mem_free(void *at)
{
    free(at);
}
