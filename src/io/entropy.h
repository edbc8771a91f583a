/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers that nobody can foresee.  They come from the kernel and cannot fail: a kernel
 * without randomness ends the process.
 */
#ifndef MKV_IO_ENTROPY_H
#define MKV_IO_ENTROPY_H

#include <stddef.h>
#include <stdint.h>

/*
 * Lets libsodium pick its fastest code for this machine, for hashes as well.  Once, at the start
 * of a program or of a handle; again does no harm, from any thread.
 */
void mkv_entropy_init(void);

void mkv_entropy_fill(void *at, size_t len);
uint64_t mkv_entropy_u64(void);

/* Uniform in 0 .. @bound - 1; @bound is at least 1. */
uint32_t mkv_entropy_below(uint32_t bound);

#endif
