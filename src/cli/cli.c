/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "cli/say.h"
#include "notation/number.h"

#define SECONDS_MAX 2000000.0 /* 23 days; as milliseconds they fit into an int */

bool mkv_cli_has(const struct mkv_cli *cli, int id)
{
    return (cli->given & (1U << (unsigned)id)) != 0;
}

const char *mkv_cli_value(const struct mkv_cli *cli, int id)
{
    return cli->values[id];
}

/* Digits, and perhaps a point with more of them; one at least. */
static bool is_decimal(struct mkv_bytes text)
{
    size_t n = mkv_digits_span(text, 10);
    struct mkv_bytes rest = mkv_bytes_after(text, n);

    if (rest.len > 0 && rest.at[0] == '.') {
        rest = mkv_bytes_after(rest, 1);

        size_t n_more = mkv_digits_span(rest, 10);

        rest = mkv_bytes_after(rest, n_more);
        n += n_more;
    }
    return n > 0 && rest.len == 0;
}

enum mkv_exit mkv_cli_seconds(const char *what, const char *text, int *ret_ms)
{
    double seconds = 0;

    if (!is_decimal(mkv_bytes_of(text)) || mkv_real_read(mkv_bytes_of(text), &seconds) != 0 ||
        seconds > SECONDS_MAX || seconds * 1000 < 1) {
        return mkv_say(MKV_EXIT_USAGE, "%s: '%s' is no number of seconds above 0; write 5 or 0.5",
                       what, text);
    }
    *ret_ms = (int)(seconds * 1000);
    return MKV_EXIT_OK;
}

enum mkv_exit mkv_cli_count(const char *what, const char *text, uint64_t max, uint64_t *ret_count)
{
    struct mkv_bytes digits = mkv_bytes_of(text);
    struct mkv_integer count;

    if (digits.len == 0 || mkv_digits_span(digits, 10) != digits.len ||
        mkv_integer_read(digits, 10, false, &count) != 0 || count.number < 1 ||
        count.number > max) {
        return mkv_say(MKV_EXIT_USAGE, "%s: '%s' is no whole number from 1 to %llu", what, text,
                       (unsigned long long)max);
    }
    *ret_count = count.number;
    return MKV_EXIT_OK;
}
