/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "guard/report.h"
#include "lib/check.h"
#include "lib/prng.h"

/* What was quoted, as far as it is whole; the length of what was read. */
static size_t unquote(const char *quote, uint8_t ret_text[MKV_REPORT_QUOTE_MAX], bool *ret_cut)
{
    size_t len = 0;

    *ret_cut = false;
    while (*quote != '\0') {
        if (strcmp(quote, "...") == 0) {
            *ret_cut = true;
            break;
        }
        if (*quote == '\\') {
            char digits[] = {quote[2], quote[3], '\0'};

            assert_int_equal(quote[1], 'x');
            ret_text[len++] = (uint8_t)strtoul(digits, NULL, 16);
            quote += 4;
        } else {
            ret_text[len++] = (uint8_t)*quote++;
        }
    }
    return len;
}

static void quotes_are_printable_and_tell_everything(void **state)
{
    struct prng prng = {6};
    unsigned n_cut = 0;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t text[300];
        uint8_t again[MKV_REPORT_QUOTE_MAX];
        char quote[MKV_REPORT_QUOTE_MAX];
        size_t len = prng_below(&prng, sizeof(text));
        bool plain = prng_below(&prng, 2) == 0;
        bool cut;

        prng_fill(&prng, text, len);
        for (size_t j = 0; plain && j < len; j++) {
            text[j] = (uint8_t)('a' + text[j] % 26); /* so that whole ones come, too */
        }
        mkv_report_quote(mkv_bytes(text, len), quote);
        assert_true(strlen(quote) < MKV_REPORT_QUOTE_MAX);
        for (size_t j = 0; quote[j] != '\0'; j++) {
            assert_true(quote[j] >= 0x20 && quote[j] < 0x7f);
        }

        size_t n = unquote(quote, again, &cut);

        n_cut += cut;
        assert_true(n <= len && (cut ? n >= 45 : n == len));
        assert_true(n == 0 || memcmp(again, text, n) == 0);
    }
    assert_true(n_cut > 1000 && n_cut < 19000);
}

static void lines_are_counted(void **state)
{
    struct mkv_report report = {0};
    uint64_t left_out = 1;

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        assert_true(mkv_report_may(&report, 1000, &left_out));
        assert_int_equal(left_out, 0);
    }
    for (unsigned i = 0; i < 7; i++) {
        assert_false(mkv_report_may(&report, 1999, &left_out));
    }
    assert_true(mkv_report_may(&report, 2000, &left_out));
    assert_int_equal(left_out, 7);
    assert_false(mkv_report_may(&report, 2000, &left_out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_are_printable_and_tell_everything),
        cmocka_unit_test(lines_are_counted),
    };

    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
