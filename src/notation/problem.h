/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a user's input, as a sentence that says where it is and how to mend it.
 *
 * Whoever finds the fault writes it; whoever called prints the text as it is.
 */
#ifndef MKV_NOTATION_PROBLEM_H
#define MKV_NOTATION_PROBLEM_H

#include "base/bytes.h"
#include "base/error.h"

#define MKV_PROBLEM_LEN 400U

struct mkv_problem {
    int error;                  /* an enum mkv_error, or 0 while nothing is wrong */
    char text[MKV_PROBLEM_LEN]; /* one line without its end; safe for a terminal */
};

/* Both cut what is too long (between characters), and return @error so that a refusal is one statement. */
int mkv_problem_set(struct mkv_problem *problem, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Begins the sentence with the line and column of @offset in @input, both counted from 1. */
int mkv_problem_at(struct mkv_problem *problem,
                   int error,
                   struct mkv_bytes input,
                   size_t offset,
                   const char *format,
                   ...) __attribute__((format(printf, 5, 6)));

/* How much of @text, at most @max bytes, may be shown without cutting a character in two. */
size_t mkv_problem_cut(struct mkv_bytes text, size_t max);

#endif
