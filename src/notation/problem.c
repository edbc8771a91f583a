/* SPDX-License-Identifier: Apache-2.0 */
#include "notation/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

size_t mkv_problem_cut(struct mkv_bytes text, size_t max)
{
    if (text.len <= max) {
        return text.len;
    }
    while (max > 0 && (text.at[max] & 0xc0U) == 0x80U) {
        max--;
    }
    return max;
}

/* Appends the sentence behind the first @used bytes. */
__attribute__((format(printf, 3, 0))) static void put_sentence(struct mkv_problem *problem,
                                                               size_t used,
                                                               const char *format,
                                                               va_list arguments)
{
    char text[2 * MKV_PROBLEM_LEN];

    (void)vsnprintf(text, sizeof(text), format, arguments);

    size_t n = mkv_problem_cut(mkv_bytes_of(text), sizeof(problem->text) - 1 - used);

    memcpy(problem->text + used, text, n);
    problem->text[used + n] = '\0';
}

int mkv_problem_set(struct mkv_problem *problem, int error, const char *format, ...)
{
    va_list arguments;

    problem->error = error;
    va_start(arguments, format);
    put_sentence(problem, 0, format, arguments);
    va_end(arguments);
    return error;
}

int mkv_problem_at(struct mkv_problem *problem,
                   int error,
                   struct mkv_bytes input,
                   size_t offset,
                   const char *format,
                   ...)
{
    size_t line = 1;
    size_t column = 1;

    for (size_t i = 0; i < offset && i < input.len; i++) {
        if (input.at[i] == '\n') {
            line++;
            column = 1;
        } else if ((input.at[i] & 0xc0U) != 0x80U) { /* characters, not bytes, are counted */
            column++;
        }
    }

    int len =
        snprintf(problem->text, sizeof(problem->text), "line %zu, column %zu: ", line, column);
    va_list arguments;

    problem->error = error;
    va_start(arguments, format);
    put_sentence(problem, (size_t)len, format, arguments);
    va_end(arguments);
    return error;
}
