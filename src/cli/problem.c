/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/problem.h"

#include <stdarg.h>
#include <stdio.h>

int mkv_problem_set(struct mkv_problem *problem, int error, const char *format, ...)
{
    va_list arguments;

    problem->error = error;
    va_start(arguments, format);
    (void)vsnprintf(problem->text, sizeof(problem->text), format, arguments);
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
    (void)vsnprintf(problem->text + len, sizeof(problem->text) - (size_t)len, format, arguments);
    va_end(arguments);
    return error;
}
