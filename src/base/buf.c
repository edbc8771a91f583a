/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define FIRST_CAP 64U

void mkv_buf_init(struct mkv_buf *buf, size_t max)
{
    *buf = (struct mkv_buf){.max = max};
}

void mkv_buf_deinit(struct mkv_buf *buf)
{
    mkv_mem_free(buf->at);
    *buf = (struct mkv_buf){0};
}

void mkv_buf_clear(struct mkv_buf *buf)
{
    buf->len = 0;
}

/* Doubles, so that n appends cost O(n); but never beyond the maximum. */
static size_t grown_cap(const struct mkv_buf *buf, size_t need)
{
    size_t cap = buf->cap > 0 ? buf->cap : FIRST_CAP;

    while (cap < need) {
        if (cap > buf->max / 2) {
            return buf->max;
        }
        cap *= 2;
    }
    return cap < buf->max ? cap : buf->max;
}

int mkv_buf_reserve(struct mkv_buf *buf, size_t n)
{
    if (n <= buf->cap - buf->len) {
        return 0;
    }
    if (n > buf->max - buf->len) {
        return MKV_E_TOO_LARGE;
    }

    size_t cap = grown_cap(buf, buf->len + n);
    uint8_t *at = mkv_mem_resize(buf->at, cap);

    if (at == NULL) {
        return MKV_E_NO_MEMORY;
    }
    buf->at = at;
    buf->cap = cap;
    return 0;
}

int mkv_buf_append(struct mkv_buf *buf, struct mkv_bytes bytes)
{
    int error = mkv_buf_reserve(buf, bytes.len);

    if (error != 0) {
        return error;
    }
    if (bytes.len > 0) {
        memcpy(buf->at + buf->len, bytes.at, bytes.len);
        buf->len += bytes.len;
    }
    return 0;
}

int mkv_buf_append_u8(struct mkv_buf *buf, uint8_t byte)
{
    return mkv_buf_append(buf, mkv_bytes(&byte, 1));
}

int mkv_buf_append_be32(struct mkv_buf *buf, uint32_t number)
{
    uint8_t bytes[4];

    for (unsigned i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(number >> (24 - 8 * i));
    }
    return mkv_buf_append(buf, mkv_bytes(bytes, sizeof(bytes)));
}

int mkv_buf_append_be64(struct mkv_buf *buf, uint64_t number)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    }
    return mkv_buf_append(buf, mkv_bytes(bytes, sizeof(bytes)));
}

void mkv_buf_truncate(struct mkv_buf *buf, size_t len)
{
    MKV_ASSERT(len <= buf->len);
    buf->len = len;
}

void mkv_buf_consume(struct mkv_buf *buf, size_t n)
{
    MKV_ASSERT(n <= buf->len);
    if (n > 0) {
        memmove(buf->at, buf->at + n, buf->len - n);
        buf->len -= n;
    }
}
