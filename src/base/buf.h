/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing run of bytes with a maximum that it has from birth.
 *
 * `= {0}` is a valid empty buffer that may not grow at all; mkv_buf_init() gives it room.
 * Invariant: len <= cap <= max.
 */
#ifndef MKV_BASE_BUF_H
#define MKV_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct mkv_buf {
    uint8_t *at; /* owned; NULL while nothing was ever stored */
    size_t len;
    size_t cap;
    size_t max;
};

/* Allocates nothing. */
void mkv_buf_init(struct mkv_buf *buf, size_t max);
void mkv_buf_deinit(struct mkv_buf *buf);

/* Empties @buf and keeps its room. */
void mkv_buf_clear(struct mkv_buf *buf);

/*
 * Makes sure that @n more bytes fit.  TOO_LARGE beyond the maximum, NO_MEMORY; then @buf is
 * unchanged.
 */
int mkv_buf_reserve(struct mkv_buf *buf, size_t n) MKV_MUST_CHECK;

/* Appends.  Errors as mkv_buf_reserve(); nothing is appended then. */
int mkv_buf_append(struct mkv_buf *buf, struct mkv_bytes bytes) MKV_MUST_CHECK;
int mkv_buf_append_u8(struct mkv_buf *buf, uint8_t byte) MKV_MUST_CHECK;
int mkv_buf_append_be32(struct mkv_buf *buf, uint32_t number) MKV_MUST_CHECK;
int mkv_buf_append_be64(struct mkv_buf *buf, uint64_t number) MKV_MUST_CHECK;

/* Shortens to @len bytes; @len is at most the present length. */
void mkv_buf_truncate(struct mkv_buf *buf, size_t len);

/* Removes the first @n bytes; @n is at most the present length. */
void mkv_buf_consume(struct mkv_buf *buf, size_t n);

/* What is in it; valid until it next changes. */
static inline struct mkv_bytes mkv_buf_bytes(const struct mkv_buf *buf)
{
    return mkv_bytes(buf->at, buf->len);
}

#endif
