/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text that goes with an error: what failed, on which address or file, and the mend.
 *
 * An error number alone cannot say which port was taken by whom.  Functions that meet the outside
 * world fill one of these when they fail; it is meant for a person and for the log, never for code.
 */
#ifndef MKV_IO_WHY_H
#define MKV_IO_WHY_H

#define MKV_WHY_MAX 512U

struct mkv_why {
    char text[MKV_WHY_MAX]; /* NUL-terminated; cut off if it was longer */
};

/* Writes the text.  @why may be NULL: the caller does not care. */
void mkv_why_set(struct mkv_why *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* As mkv_why_set(), and returns @error: `return mkv_why_error(why, MKV_E_IO, "...")`. */
int mkv_why_error(struct mkv_why *why, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
