/* SPDX-License-Identifier: Apache-2.0 */
#include "core/words.h"

#define DIGITS_MAX 20U

void mkv_words_add_bytes(struct mkv_words *words, struct mkv_bytes text)
{
    if (words->error == 0) {
        words->error = mkv_buf_append(words->text, text);
    }
}

void mkv_words_add(struct mkv_words *words, const char *text)
{
    mkv_words_add_bytes(words, mkv_bytes_of(text));
}

void mkv_words_add_number(struct mkv_words *words, uint64_t number)
{
    char digits[DIGITS_MAX];
    size_t first = DIGITS_MAX;

    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    mkv_words_add_bytes(words, mkv_bytes(digits + first, DIGITS_MAX - first));
}
