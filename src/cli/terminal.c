/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/format.h"
#include "notation/json_text.h"
#include "notation/number.h"

#define WIDTH_MAX    10000U
#define QUESTION_LEN 4096U

unsigned mkv_terminal_width(void)
{
    const char *columns = getenv("COLUMNS");
    struct mkv_bytes digits = mkv_bytes_of(columns != NULL ? columns : "");
    struct mkv_integer width;
    struct winsize size;

    if (digits.len > 0 && mkv_digits_span(digits, 10) == digits.len &&
        mkv_integer_read(digits, 10, false, &width) == 0 && width.number > 0 &&
        width.number < WIDTH_MAX) {
        return (unsigned)width.number;
    }
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

bool mkv_terminal_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *locale = getenv(names[i]);

        if (locale != NULL && locale[0] != '\0') {
            return strcasestr(locale, "utf-8") != NULL || strcasestr(locale, "utf8") != NULL;
        }
    }
    return false;
}

struct range {
    uint32_t first;
    uint32_t last;
};

static bool is_in(const struct range *ranges, size_t n, uint32_t code)
{
    for (size_t i = 0; i < n; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* The large blocks of Unicode; a terminal that knows better cuts a line a little early. */
static size_t columns_of(uint32_t code)
{
    static const struct range none[] = {{0x300, 0x36f},   {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},
                                        {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};
    static const struct range two[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},
                                       {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
                                       {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f},
                                       {0x1f680, 0x1f6ff}, {0x1f900, 0x1faff}, {0x20000, 0x3fffd}};

    if (is_in(none, sizeof(none) / sizeof(none[0]), code)) {
        return 0;
    }
    return is_in(two, sizeof(two) / sizeof(two[0]), code) ? 2 : 1;
}

/* Walks along @text for at most @columns; returns the bytes passed, and the columns they take. */
static size_t walk(struct mkv_bytes text, size_t columns, size_t *ret_columns)
{
    size_t at = 0;
    size_t used = 0;

    while (at < text.len) {
        uint32_t code;
        size_t len = mkv_json_character(mkv_bytes_after(text, at), &code);
        size_t width = columns_of(code);

        if (width > columns - used) {
            break;
        }
        used += width;
        at += len;
    }
    *ret_columns = used;
    return at;
}

size_t mkv_terminal_columns(struct mkv_bytes text)
{
    size_t columns;

    (void)walk(text, SIZE_MAX, &columns);
    return columns;
}

struct mkv_bytes mkv_terminal_cut(struct mkv_bytes text, size_t columns)
{
    size_t used;

    return mkv_bytes(text.at, walk(text, columns, &used));
}

static void ask(const char *question)
{
    struct mkv_buf line;

    mkv_buf_init(&line, (size_t)8 * QUESTION_LEN);
    if (mkv_format_safe_text(mkv_bytes_of(question), &line) == 0) {
        (void)fprintf(stderr, "%.*s [y/N] ", (int)line.len, (const char *)line.at);
        (void)fflush(stderr);
    }
    mkv_buf_deinit(&line);
}

bool mkv_terminal_confirm(const char *format, ...)
{
    char question[QUESTION_LEN];
    char answer[16];
    va_list arguments;

    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        return true;
    }
    va_start(arguments, format);
    (void)vsnprintf(question, sizeof(question), format, arguments);
    va_end(arguments);
    ask(question);
    return fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}
