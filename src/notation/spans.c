/* SPDX-License-Identifier: Apache-2.0 */
#include "notation/spans.h"

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

/* What the spans lie in; qsort_r() passes it on, but no pointer to const. */
struct run {
    const uint8_t *base;
};

static int compare(const void *left, const void *right, void *base)
{
    const struct mkv_span *a = left;
    const struct mkv_span *b = right;
    const struct run *run = base;

    return mkv_bytes_compare(mkv_bytes(run->base + a->start, a->len),
                             mkv_bytes(run->base + b->start, b->len));
}

/* Most maps come sorted already, and then nothing needs to move. */
static bool ascending(struct run *run, const struct mkv_span *spans, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (compare(&spans[i - 1], &spans[i], run) >= 0) {
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
    struct run run = {base};

    if (ascending(&run, spans, n)) {
        return false;
    }
    qsort_r(spans, n, sizeof(*spans), compare, &run);
    for (size_t i = 1; i < n; i++) {
        if (compare(&spans[i - 1], &spans[i], &run) == 0) {
            *ret_repeated = spans[i];
            return true;
        }
    }
    return false;
}
