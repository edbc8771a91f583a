/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The version of the library, at compile time and at run time.
 */
#ifndef MOATKV_VERSION_H
#define MOATKV_VERSION_H

#if defined(__GNUC__)
#    define MOATKV_API __attribute__((visibility("default")))
#else
#    define MOATKV_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define MOATKV_VERSION_MAJOR 3
#define MOATKV_VERSION_MINOR 0
#define MOATKV_VERSION_PATCH 0

/* Major * 1,000,000 + minor * 1,000 + patch. */
#define MOATKV_VERSION_NUMBER 3000000

/* The number and the text ("3.0.0") of the library that is loaded.  Static. */
MOATKV_API int moatkv_version_number(void);
MOATKV_API const char *moatkv_version(void);

#ifdef __cplusplus
}
#endif

#endif
