/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A heap that fails on demand.  A test program that lists mem_fault.c among its sources gets this
 * body of base/mem.h instead of the real one.  Usage: repeat a scenario with mem_fault_at(1),
 * mem_fault_at(2) ... until mem_fault_hit() stays false.
 */
#ifndef MKV_TESTS_LIB_MEM_FAULT_H
#define MKV_TESTS_LIB_MEM_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/* The @n-th allocation from now on fails (1: the next); those after it succeed.  0: none fails. */
void mem_fault_at(uint64_t n);

/* Whether the allocation that was to fail has been asked for. */
bool mem_fault_hit(void);

/* Blocks allocated and not yet freed. */
uint64_t mem_fault_live(void);

#endif
