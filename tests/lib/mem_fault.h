/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heap of base/mem.h, made to fail on demand.  A scenario is run with the 1st, the 2nd, ...
 * allocation failing, until it gets through without needing the next:
 *
 *     for (unsigned n = 1;; n++) {
 *         mem_fault_at(n);
 *         run();
 *         if (!mem_fault_struck()) {
 *             break;
 *         }
 *     }
 *
 * A test program that lists this source gets it in place of src/base/mem.c.
 */
#ifndef MKV_TESTS_LIB_MEM_FAULT_H
#define MKV_TESTS_LIB_MEM_FAULT_H

#include <stdbool.h>
#include <stddef.h>

/* The @n-th allocation or resize from now fails, and only that one; 0: none does. */
void mem_fault_at(unsigned n);

/* Meanwhile none fails, and none is counted. */
void mem_fault_pause(bool pause);

/* Whether it has failed. */
bool mem_fault_struck(void);

/* Blocks that are allocated and not yet freed. */
size_t mem_fault_live(void);

#endif
