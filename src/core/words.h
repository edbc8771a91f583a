/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts a text for people together.  The error is sticky: after it nothing is added any more.
 */
#ifndef MKV_CORE_WORDS_H
#define MKV_CORE_WORDS_H

#include "base/buf.h"

struct mkv_words {
    struct mkv_buf *text; /* borrowed */
    int error;            /* TOO_LARGE or NO_MEMORY, or 0 */
};

void mkv_words_add(struct mkv_words *words, const char *text);
void mkv_words_add_bytes(struct mkv_words *words, struct mkv_bytes text);
void mkv_words_add_number(struct mkv_words *words, uint64_t number);

#endif
