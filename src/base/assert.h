/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions are for our own mistakes, and stay on in releases.  Nothing that a peer, a broker,
 * a disk or a caller of the library can cause is asserted: that is an error with a code.
 */
#ifndef MKV_BASE_ASSERT_H
#define MKV_BASE_ASSERT_H

_Noreturn void mkv_assert_fail(const char *condition, const char *file, int line);

#define MKV_ASSERT(condition)                                                                      \
    ((condition) ? (void)0 : mkv_assert_fail(#condition, __FILE__, __LINE__))

#endif
