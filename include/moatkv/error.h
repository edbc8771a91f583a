/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can go wrong.  Functions return 0 or one of these numbers, which are frozen: they never
 * change their meaning, and new ones may be added.
 *
 *     -1 ..  -99   the data, the server or another writer
 *   -100 .. -199   the surroundings: memory, disk, network
 *   -200 .. -299   the caller
 */
#ifndef MOATKV_ERROR_H
#define MOATKV_ERROR_H

#include <moatkv/version.h>

#ifdef __cplusplus
extern "C" {
#endif

enum moatkv_error {
    MOATKV_OK = 0,

    MOATKV_E_MALFORMED = -1,
    MOATKV_E_TRUNCATED = -2,
    MOATKV_E_TRAILING = -3,
    MOATKV_E_NOT_MINIMAL = -4,
    MOATKV_E_DUPLICATE_KEY = -5,
    MOATKV_E_TOO_DEEP = -6,
    MOATKV_E_TOO_MANY = -7,
    MOATKV_E_TOO_LARGE = -8,
    MOATKV_E_BAD_UTF8 = -9,
    MOATKV_E_BAD_NUMBER = -10,
    MOATKV_E_BAD_PATH = -11,
    MOATKV_E_PATH_TOO_LONG = -12,
    MOATKV_E_BAD_ELEMENT = -13,
    MOATKV_E_BAD_TOPIC = -14,
    MOATKV_E_BAD_NAME = -15,
    MOATKV_E_BAD_TICK = -16,
    MOATKV_E_NO_VERSION = -17,
    MOATKV_E_UNEXPECTED = -18,
    MOATKV_E_UNKNOWN_REQUEST = -19,
    MOATKV_E_FUTURE = -20,
    MOATKV_E_STALE = -21,
    MOATKV_E_NOT_FOUND = -22,
    MOATKV_E_NOT_AUTHORISED = -23,
    MOATKV_E_BUSY = -24,
    MOATKV_E_CANCELLED = -25,
    MOATKV_E_CONFLICT = -26,
    MOATKV_E_VOID = -27,
    MOATKV_E_LATER = -28,
    MOATKV_E_UNFIT = -29,

    MOATKV_E_NO_MEMORY = -100,
    MOATKV_E_IO = -101,
    MOATKV_E_DISK_FULL = -102,
    MOATKV_E_MAP_FULL = -103,
    MOATKV_E_CORRUPT = -104,
    MOATKV_E_FORMAT = -105,
    MOATKV_E_LOCKED = -106,
    MOATKV_E_NO_CONNECTION = -107,
    MOATKV_E_TIMEOUT = -108,
    MOATKV_E_CLOSED = -109,
    MOATKV_E_REFUSED = -110,
    MOATKV_E_QUEUE_FULL = -111,
    MOATKV_E_READ_ONLY = -112,

    MOATKV_E_BAD_ARGUMENT = -200,
    MOATKV_E_BAD_STATE = -201
};

/* The text of @error; "unknown error" for a number that is none of ours.  Static, never NULL. */
MOATKV_API const char *moatkv_strerror(int error);

/* Its name without the prefix, as "TOO_LARGE", for logs and scripts.  Static, never NULL. */
MOATKV_API const char *moatkv_error_name(int error);

#ifdef __cplusplus
}
#endif

#endif
