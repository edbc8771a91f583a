/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/format.h"

#define SAY_LEN 8192U /* paths can be long; what is longer is cut */

enum mkv_exit mkv_say(enum mkv_exit status, const char *format, ...)
{
    char text[SAY_LEN];
    struct mkv_buf line;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);

    mkv_buf_init(&line, (size_t)8 * SAY_LEN);
    if (mkv_buf_append(&line, mkv_bytes_of("moat-kv: ")) == 0 &&
        mkv_format_safe_text(mkv_bytes_of(text), &line) == 0 &&
        mkv_buf_append_u8(&line, '\n') == 0) {
        ssize_t n = write(STDERR_FILENO, line.at, line.len);

        (void)n; /* there is nobody else to tell */
    }
    mkv_buf_deinit(&line);
    return status;
}
