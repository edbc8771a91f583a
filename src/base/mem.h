/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one door to the heap.  Tests link another body that makes the n-th allocation fail, and
 * run each scenario with n = 1, 2, 3 ...
 */
#ifndef MKV_BASE_MEM_H
#define MKV_BASE_MEM_H

#include <stddef.h>

#include "base/error.h"

/* Zeroed memory, or NULL.  @size is at least 1. */
void *mkv_mem_alloc(size_t size) MKV_MUST_CHECK;

/* As realloc; on failure NULL is returned and @at is still valid. */
void *mkv_mem_resize(void *at, size_t size) MKV_MUST_CHECK;

/* NULL is fine. */
void mkv_mem_free(void *at);

#endif
