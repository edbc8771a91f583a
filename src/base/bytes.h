/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A borrowed run of bytes.
 *
 * Everything that comes from outside is one of these: text is never NUL-terminated and never
 * assumed to be free of NULs.  Who owns the memory, and for how long, is said wherever one is
 * handed out.  The zero value is the empty run.
 */
#ifndef MKV_BASE_BYTES_H
#define MKV_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct mkv_bytes {
    const uint8_t *at; /* may be NULL when @len is 0 */
    size_t len;
};

static inline struct mkv_bytes mkv_bytes(const void *at, size_t len)
{
    return (struct mkv_bytes){.at = at, .len = len};
}

/* The bytes of a C string, without its NUL. */
static inline struct mkv_bytes mkv_bytes_of(const char *text)
{
    return mkv_bytes(text, strlen(text));
}

/* Orders like memcmp; of two runs where one begins with the other, the shorter is less. */
static inline int mkv_bytes_compare(struct mkv_bytes a, struct mkv_bytes b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common > 0 ? memcmp(a.at, b.at, common) : 0;

    if (order != 0) {
        return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

static inline bool mkv_bytes_equal(struct mkv_bytes a, struct mkv_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool mkv_bytes_starts_with(struct mkv_bytes whole, struct mkv_bytes start)
{
    return whole.len >= start.len && (start.len == 0 || memcmp(whole.at, start.at, start.len) == 0);
}

/* What follows the first @n bytes; @n is at most @whole.len. */
static inline struct mkv_bytes mkv_bytes_after(struct mkv_bytes whole, size_t n)
{
    return n == 0 ? whole : mkv_bytes(whole.at + n, whole.len - n);
}

#endif
