/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmocka with what it needs included before it, in the order it needs.
 */
#ifndef MKV_TESTS_LIB_CHECK_H
#define MKV_TESTS_LIB_CHECK_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
/* clang-format on */

#endif
