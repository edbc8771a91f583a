/* SPDX-License-Identifier: Apache-2.0 */
#include "core/floor.h"

#include <string.h>

#include "base/limits.h"
#include "wire/cbor.h"

void mkv_floor_raise_horizon(struct mkv_floor *floor, uint64_t horizon)
{
    if (horizon > floor->horizon) {
        floor->horizon = horizon;
        floor->changed = true;
    }
}

void mkv_floor_raise(struct mkv_floor *floor, uint64_t to)
{
    if (to > floor->floor) {
        floor->floor = to;
        floor->changed = true;
    }
}

void mkv_floor_go_over(struct mkv_floor *floor, uint64_t theirs)
{
    if (floor->floor > theirs) {
        floor->floor = theirs;
        floor->changed = true;
    }
}

static void drop_first(struct mkv_floor *floor)
{
    floor->n_samples--;
    memmove(floor->samples, floor->samples + 1, floor->n_samples * sizeof(*floor->samples));
}

static void add_sample(struct mkv_floor *floor, struct mkv_now now, uint64_t tock)
{
    if (floor->n_samples == MKV_SAMPLES_MAX) {
        drop_first(floor);
    }
    floor->samples[floor->n_samples++] = (struct mkv_sample){now.ms, tock};
}

int64_t mkv_floor_sample(
    struct mkv_floor *floor, struct mkv_now now, uint64_t tock, int64_t horizon_ms, bool in_use)
{
    int64_t step_ms = horizon_ms / MKV_SAMPLES_PER_HORIZON;

    if (floor->n_samples == 0 || now.ms - floor->samples[floor->n_samples - 1].ms >= step_ms) {
        add_sample(floor, now, tock);
        floor->changed = floor->changed || in_use;
    }
    while (floor->n_samples > 1 && floor->samples[1].ms <= now.ms - horizon_ms) {
        drop_first(floor);
    }
    if (in_use && floor->samples[0].ms <= now.ms - horizon_ms) {
        mkv_floor_raise_horizon(floor, floor->samples[0].tock);
    }
    return floor->samples[floor->n_samples - 1].ms + step_ms;
}

int mkv_floor_encode(const struct mkv_floor *floor, struct mkv_now now, struct mkv_buf *out)
{
    struct mkv_cbor_writer w;

    mkv_cbor_writer_init(&w, out);
    mkv_cbor_write_array(&w, 2 + 2 * (uint64_t)floor->n_samples);
    mkv_cbor_write_uint(&w, floor->horizon);
    mkv_cbor_write_uint(&w, floor->floor);
    for (uint32_t i = 0; i < floor->n_samples; i++) { /* as an age: the clock starts anew */
        mkv_cbor_write_uint(&w, (uint64_t)(now.ms - floor->samples[i].ms));
        mkv_cbor_write_uint(&w, floor->samples[i].tock);
    }
    return w.error;
}

int mkv_floor_decode(struct mkv_bytes in, struct mkv_now now, struct mkv_floor *ret_floor)
{
    struct mkv_floor floor = {0};
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, in);
    uint64_t n = mkv_cbor_read_array(&r, 2 + 2 * (uint64_t)MKV_SAMPLES_MAX);

    if (n < 2 || n % 2 != 0) {
        mkv_cbor_fail(&r, MKV_E_MALFORMED);
    }
    floor.horizon = mkv_cbor_read_uint_below(&r, MKV_INTEGER_MAX);
    floor.floor = mkv_cbor_read_uint_below(&r, MKV_INTEGER_MAX);
    for (; r.error == 0 && n > 2; n -= 2) {
        uint64_t age_ms = mkv_cbor_read_uint_below(&r, MKV_INTEGER_MAX / 2);
        uint64_t tock = mkv_cbor_read_uint_below(&r, MKV_INTEGER_MAX);

        floor.samples[floor.n_samples++] = (struct mkv_sample){now.ms - (int64_t)age_ms, tock};
    }
    if (mkv_cbor_finish(&r) != 0) {
        return MKV_E_CORRUPT;
    }
    *ret_floor = floor;
    return 0;
}
