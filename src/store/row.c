/* SPDX-License-Identifier: Apache-2.0 */
#include "store/row.h"

#include <sodium.h>

#include "base/assert.h"
#include "base/limits.h"

#define FLAG_PRESENT 1U
#define TICKS_SHIFT  1U
#define FLAG_GONE    0x10U
#define VHASH_LEN    8U
#define VARINT_MAX   9U /* bytes of a number below 2^63 */
#define FIXED_LEN    (MKV_SEAL_LEN + 3U)

_Static_assert(MKV_TICKS_MAX < 8, "the number of ticks has 3 bits");
_Static_assert(FIXED_LEN + VHASH_LEN + MKV_PATH_KEY_MAX + VARINT_MAX +
                       MKV_TICKS_MAX * (1 + MKV_NAME_MAX + 2 * VARINT_MAX) + MKV_VALUE_MAX <=
                   MKV_ROW_LEN_MAX,
               "the longest row must fit");

static uint8_t *put_be(uint8_t *at, uint64_t number, unsigned n_bytes)
{
    for (unsigned i = 0; i < n_bytes; i++) {
        at[i] = (uint8_t)(number >> (8 * (n_bytes - 1 - i)));
    }
    return at + n_bytes;
}

static uint64_t get_be(const uint8_t *at, unsigned n_bytes)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < n_bytes; i++) {
        number = number << 8 | at[i];
    }
    return number;
}

static uint8_t *put_bytes(uint8_t *at, struct mkv_bytes bytes)
{
    if (bytes.len > 0) {
        memcpy(at, bytes.at, bytes.len);
    }
    return at + bytes.len;
}

static size_t varint_len(uint64_t number)
{
    size_t len = 1;

    while (number >= 0x80) {
        number >>= 7;
        len++;
    }
    return len;
}

static uint8_t *put_varint(uint8_t *at, uint64_t number)
{
    while (number >= 0x80) {
        *at++ = (uint8_t)(number | 0x80);
        number >>= 7;
    }
    *at++ = (uint8_t)number;
    return at;
}

/*
 * Half of the hash's key says what the content belongs to, so that a row that turns up in another
 * one's place is noticed, too.
 */
static uint64_t checksum(uint64_t owner, const uint8_t *at, size_t len)
{
    uint8_t key[crypto_shorthash_KEYBYTES] = "MoaT-KV";
    uint8_t hash[crypto_shorthash_BYTES];

    _Static_assert(sizeof(key) == 16 && sizeof(hash) == 8, "the key is two halves");
    (void)put_be(key + 8, owner, 8);
    (void)crypto_shorthash(hash, at, len, key); /* cannot fail */
    return get_be(hash, 8);
}

void mkv_position_encode(uint64_t position, uint8_t ret_bytes[MKV_POSITION_LEN])
{
    (void)put_be(ret_bytes, position, MKV_POSITION_LEN);
}

int mkv_position_decode(struct mkv_bytes in, uint64_t *ret_position)
{
    if (in.len != MKV_POSITION_LEN) {
        return MKV_E_CORRUPT;
    }
    *ret_position = get_be(in.at, MKV_POSITION_LEN);
    return 0;
}

int mkv_row_check(const struct mkv_row *row)
{
    const struct mkv_update *update = &row->update;

    if (row->key.len > MKV_PATH_KEY_MAX || update->value.len > MKV_VALUE_MAX) {
        return MKV_E_TOO_LARGE;
    }
    if (row->gone) {
        return 0;
    }
    if (update->ticks.n == 0 || update->ticks.n > MKV_TICKS_MAX) {
        return MKV_E_TOO_LARGE;
    }
    if (update->tock > (uint64_t)MKV_INTEGER_MAX) {
        return MKV_E_TOO_LARGE;
    }
    for (uint32_t i = 0; i < update->ticks.n; i++) {
        const struct mkv_tick *tick = &update->ticks.at[i];

        if (tick->name.len > MKV_NAME_MAX || tick->seq > (uint64_t)MKV_INTEGER_MAX ||
            tick->counter > (uint64_t)MKV_INTEGER_MAX) {
            return MKV_E_TOO_LARGE;
        }
    }
    return 0;
}

size_t mkv_row_len(const struct mkv_row *row)
{
    const struct mkv_update *update = &row->update;

    if (row->gone) {
        return FIXED_LEN + row->key.len;
    }

    size_t len = FIXED_LEN + row->key.len + varint_len(update->tock);

    for (uint32_t i = 0; i < update->ticks.n; i++) {
        const struct mkv_tick *tick = &update->ticks.at[i];

        len += 1 + tick->name.len + varint_len(tick->seq) + varint_len(tick->counter);
    }
    return update->present ? len + VHASH_LEN + update->value.len : len;
}

static uint8_t *put_content(uint8_t *at, const struct mkv_row *row)
{
    const struct mkv_update *update = &row->update;

    *at++ = (uint8_t)(update->ticks.n << TICKS_SHIFT | (update->present ? FLAG_PRESENT : 0));
    at = put_be(at, row->key.len, 2);
    if (update->present) {
        at = put_be(at, row->vhash, VHASH_LEN);
    }
    at = put_bytes(at, row->key);
    at = put_varint(at, update->tock);
    for (uint32_t i = 0; i < update->ticks.n; i++) {
        const struct mkv_tick *tick = &update->ticks.at[i];

        *at++ = (uint8_t)tick->name.len;
        at = put_bytes(at, tick->name);
        at = put_varint(at, tick->seq);
        at = put_varint(at, tick->counter);
    }
    return update->present ? put_bytes(at, update->value) : at;
}

static uint8_t *put_gone(uint8_t *at, const struct mkv_row *row)
{
    *at++ = FLAG_GONE;
    return put_bytes(put_be(at, row->key.len, 2), row->key);
}

void mkv_row_encode(const struct mkv_row *row, uint64_t position, uint8_t *at)
{
    uint8_t *start = at + MKV_SEAL_LEN;
    uint8_t *end = row->gone ? put_gone(start, row) : put_content(start, row);

    (void)put_be(at, checksum(position, start, (size_t)(end - start)), MKV_SEAL_LEN);
}

/* After the first read beyond the end, or of a number that is too large, all reads give zero. */
struct cursor {
    struct mkv_bytes rest;
    bool bad;
};

static struct mkv_bytes take(struct cursor *c, size_t n)
{
    if (c->bad || n > c->rest.len) {
        c->bad = true;
        return (struct mkv_bytes){0};
    }

    struct mkv_bytes taken = mkv_bytes(c->rest.at, n);

    c->rest = mkv_bytes_after(c->rest, n);
    return taken;
}

static uint64_t take_be(struct cursor *c, unsigned n_bytes)
{
    struct mkv_bytes bytes = take(c, n_bytes);

    return c->bad ? 0 : get_be(bytes.at, n_bytes);
}

static uint64_t take_varint(struct cursor *c)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < VARINT_MAX; i++) {
        uint64_t byte = take_be(c, 1);

        number |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            return number;
        }
    }
    c->bad = true;
    return 0;
}

static void take_ticks(struct cursor *c, uint32_t n, struct mkv_ticks *ticks)
{
    if (n == 0 || n > MKV_TICKS_MAX) {
        c->bad = true;
        return;
    }
    ticks->n = n;
    for (uint32_t i = 0; i < n; i++) {
        size_t name_len = (size_t)take_be(c, 1);

        c->bad = c->bad || name_len > MKV_NAME_MAX;
        ticks->at[i].name = take(c, name_len);
        ticks->at[i].seq = take_varint(c);
        ticks->at[i].counter = take_varint(c);
    }
}

static void take_content(struct cursor *c, uint32_t flags, size_t key_len, struct mkv_row *row)
{
    row->update.has_tock = true;
    row->update.present = (flags & FLAG_PRESENT) != 0;
    row->vhash = row->update.present ? take_be(c, VHASH_LEN) : 0;
    row->key = take(c, key_len);
    row->update.tock = take_varint(c);
    take_ticks(c, flags >> TICKS_SHIFT, &row->update.ticks);
    if (row->update.present) {
        row->update.value = take(c, c->rest.len);
    }
}

int mkv_row_decode(struct mkv_bytes in, uint64_t position, struct mkv_row *ret_row)
{
    struct cursor c = {.rest = in};
    struct mkv_row row = {0};
    uint64_t sum = take_be(&c, MKV_SEAL_LEN);

    if (c.bad || sum != checksum(position, c.rest.at, c.rest.len)) {
        return MKV_E_CORRUPT;
    }

    uint32_t flags = (uint32_t)take_be(&c, 1);
    size_t key_len = (size_t)take_be(&c, 2);

    c.bad = c.bad || key_len > MKV_PATH_KEY_MAX;
    row.gone = flags == FLAG_GONE;
    if (row.gone) {
        row.key = take(&c, key_len);
    } else {
        take_content(&c, flags, key_len, &row);
    }
    if (c.bad || c.rest.len > 0) {
        return MKV_E_CORRUPT;
    }
    *ret_row = row;
    return 0;
}

int mkv_row_key(struct mkv_bytes in, struct mkv_bytes *ret_key)
{
    struct cursor c = {.rest = in};

    (void)take(&c, MKV_SEAL_LEN);
    uint64_t flags = take_be(&c, 1);
    size_t key_len = (size_t)take_be(&c, 2);

    (void)take(&c, (flags & FLAG_PRESENT) != 0 ? VHASH_LEN : 0);
    struct mkv_bytes key = take(&c, key_len);

    if (c.bad) {
        return MKV_E_CORRUPT;
    }
    *ret_key = key;
    return 0;
}

struct mkv_head mkv_row_head(const struct mkv_row *row)
{
    const struct mkv_tick *dot = &row->update.ticks.at[0];

    return (struct mkv_head){
        .tock = row->update.tock,
        .seq = dot->seq,
        .counter = dot->counter,
        .vhash = row->vhash,
        .name = dot->name,
        .present = row->update.present,
    };
}

static uint64_t meta_checksum(struct mkv_bytes name, const uint8_t *at, size_t len)
{
    return checksum(checksum(0, name.at, name.len), at, len);
}

void mkv_seal(struct mkv_bytes name, uint8_t *at, size_t len)
{
    (void)put_be(at, meta_checksum(name, at + MKV_SEAL_LEN, len), MKV_SEAL_LEN);
}

int mkv_unseal(struct mkv_bytes name, struct mkv_bytes in, struct mkv_bytes *ret_value)
{
    struct cursor c = {.rest = in};
    uint64_t sum = take_be(&c, MKV_SEAL_LEN);

    if (c.bad || sum != meta_checksum(name, c.rest.at, c.rest.len)) {
        return MKV_E_CORRUPT;
    }
    *ret_value = c.rest;
    return 0;
}
