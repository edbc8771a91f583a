/* SPDX-License-Identifier: Apache-2.0 */
#include "io/why.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

__attribute__((format(printf, 2, 0))) static void write_text(struct mkv_why *why,
                                                             const char *format,
                                                             va_list arguments)
{
    if (why != NULL && vsnprintf(why->text, sizeof(why->text), format, arguments) < 0) {
        why->text[0] = '\0';
    }
}

void mkv_why_set(struct mkv_why *why, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_text(why, format, arguments);
    va_end(arguments);
}

int mkv_why_error(struct mkv_why *why, int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_text(why, format, arguments);
    va_end(arguments);
    return error;
}
