/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/tick.h"

#include "base/assert.h"

#define TICK_PARTS 3U

static bool name_char_valid(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool mkv_name_valid(struct mkv_bytes name)
{
    if (name.len == 0 || name.len > MKV_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (!name_char_valid(name.at[i])) {
            return false;
        }
    }
    return true;
}

bool mkv_tick_same_stream(const struct mkv_tick *a, const struct mkv_tick *b)
{
    return a->seq == b->seq && mkv_bytes_equal(a->name, b->name);
}

bool mkv_tick_equal(const struct mkv_tick *a, const struct mkv_tick *b)
{
    return a->counter == b->counter && mkv_tick_same_stream(a, b);
}

static void read_tick(struct mkv_cbor_reader *r, struct mkv_tick *ret_tick)
{
    if (mkv_cbor_read_array(r, UINT64_MAX) != TICK_PARTS) {
        mkv_cbor_fail(r, MKV_E_MALFORMED);
    }
    struct mkv_tick tick = {.name = mkv_cbor_read_text(r)};

    if (!mkv_name_valid(tick.name)) {
        mkv_cbor_fail(r, MKV_E_BAD_NAME);
    }
    tick.seq = mkv_cbor_read_uint_below(r, (uint64_t)MKV_INTEGER_MAX + 1);
    tick.counter = mkv_cbor_read_uint_below(r, (uint64_t)MKV_INTEGER_MAX + 1);
    if (tick.counter == 0) {
        mkv_cbor_fail(r, MKV_E_BAD_NUMBER);
    }
    *ret_tick = tick;
}

static bool has_stream(const struct mkv_ticks *ticks, const struct mkv_tick *tick)
{
    for (uint32_t i = 0; i < ticks->n; i++) {
        if (mkv_tick_same_stream(&ticks->at[i], tick)) {
            return true;
        }
    }
    return false;
}

void mkv_ticks_read(struct mkv_cbor_reader *r, struct mkv_ticks *ret_ticks)
{
    struct mkv_ticks ticks = {0};
    uint64_t n = mkv_cbor_read_array(r, UINT64_MAX);

    if (n == 0 || n > MKV_TICKS_MAX) {
        mkv_cbor_fail(r, MKV_E_BAD_TICK);
    }
    while (r->error == 0 && ticks.n < n) {
        struct mkv_tick tick;

        read_tick(r, &tick);
        if (has_stream(&ticks, &tick)) {
            mkv_cbor_fail(r, MKV_E_BAD_TICK);
        }
        ticks.at[ticks.n++] = tick;
    }
    if (r->error == 0) {
        *ret_ticks = ticks;
    }
}

void mkv_ticks_write(struct mkv_cbor_writer *w, const struct mkv_ticks *ticks)
{
    MKV_ASSERT(ticks->n > 0);
    MKV_ASSERT(ticks->n <= MKV_TICKS_MAX);

    mkv_cbor_write_array(w, ticks->n);
    for (uint32_t i = 0; i < ticks->n; i++) {
        mkv_cbor_write_array(w, TICK_PARTS);
        mkv_cbor_write_text(w, ticks->at[i].name);
        mkv_cbor_write_uint(w, ticks->at[i].seq);
        mkv_cbor_write_uint(w, ticks->at[i].counter);
    }
}
