/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/spans.h"

#include <stdlib.h>

int mkv_spans_push(struct mkv_buf *spans, struct mkv_span span)
{
    return mkv_buf_append(spans, mkv_bytes(&span, sizeof(span)));
}

struct mkv_span *mkv_spans_at(const struct mkv_buf *spans)
{
    return (struct mkv_span *)(void *)spans->at; /* aligned: the heap's own */
}

size_t mkv_spans_count(const struct mkv_buf *spans)
{
    return spans->len / sizeof(struct mkv_span);
}

static int compare(const void *left, const void *right, void *base)
{
    const struct mkv_span *a = left;
    const struct mkv_span *b = right;
    const uint8_t *bytes = base;

    return mkv_bytes_compare(mkv_bytes(bytes + a->start, a->len),
                             mkv_bytes(bytes + b->start, b->len));
}

/* Most maps come sorted already, and then nothing needs to move. */
static bool ascending(uint8_t *base, const struct mkv_span *spans, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (compare(&spans[i - 1], &spans[i], base) >= 0) {
            return false;
        }
    }
    return true;
}

bool mkv_spans_repeat(const uint8_t *base,
                      struct mkv_span *spans,
                      size_t n,
                      struct mkv_span *ret_repeated)
{
    uintptr_t address = (uintptr_t)base; /* qsort_r takes no const; compare() only reads */
    uint8_t *bytes = (uint8_t *)address;

    if (ascending(bytes, spans, n)) {
        return false;
    }
    qsort_r(spans, n, sizeof(*spans), compare, bytes);
    for (size_t i = 1; i < n; i++) {
        if (compare(&spans[i - 1], &spans[i], bytes) == 0) {
            *ret_repeated = spans[i];
            return true;
        }
    }
    return false;
}
