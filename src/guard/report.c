/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/report.h"

static const struct mkv_bucket_limits limits = {.burst = 20, .per_s = 1};

bool mkv_report_may(struct mkv_report *report, int64_t now_ms, uint64_t *ret_left_out)
{
    if (mkv_bucket_room(&report->lines, &limits, now_ms) == 0) {
        report->n_left_out++;
        return false;
    }
    mkv_bucket_use(&report->lines, 1);
    *ret_left_out = report->n_left_out;
    report->n_left_out = 0;
    return true;
}

void mkv_report_quote(struct mkv_bytes text, char ret_quote[MKV_REPORT_QUOTE_MAX])
{
    static const char digits[] = "0123456789abcdef";
    static const char cut[] = "...";
    const size_t max = MKV_REPORT_QUOTE_MAX - sizeof(cut) - 4; /* room for one more escape */
    size_t len = 0;
    size_t i = 0;

    for (; i < text.len && len <= max; i++) {
        uint8_t c = text.at[i];

        if (c >= 0x20 && c < 0x7f && c != '\\') {
            ret_quote[len++] = (char)c;
        } else {
            ret_quote[len++] = '\\';
            ret_quote[len++] = 'x';
            ret_quote[len++] = digits[c >> 4];
            ret_quote[len++] = digits[c & 15];
        }
    }
    if (i < text.len) {
        memcpy(ret_quote + len, cut, sizeof(cut) - 1);
        len += sizeof(cut) - 1;
    }
    ret_quote[len] = '\0';
}
