/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each fuzz_<decoder>.c defines: one run of the decoder over bytes from anywhere.
 *
 * It is called by libFuzzer (tests/fuzz/run) or by replay.c, and says what must hold by MKV_ASSERT.
 * Nothing is left over from one run to the next.
 */
#ifndef MKV_TESTS_FUZZ_FUZZ_H
#define MKV_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* The name is libFuzzer's.  @data is valid during the call only.  Returns 0. */
__attribute__((visibility("default"))) int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
