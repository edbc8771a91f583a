/* SPDX-License-Identifier: Apache-2.0 */
#include "core/stamped.h"

#include <sodium.h>

#include "wire/cbor.h"

/*
 * Rows: "o" slot (2 bytes) = the stream's last tick that was stamped, as in a message.
 */
#define KEY_LEN 3U
#define ROW_MAX (MKV_NAME_MAX + 32U)

static struct mkv_bytes key_of(const struct mkv_tick *dot, uint8_t space[KEY_LEN])
{
    uint8_t text[8 + MKV_NAME_MAX];
    uint8_t hash[crypto_generichash_BYTES_MIN];

    for (unsigned i = 0; i < 8; i++) {
        text[i] = (uint8_t)(dot->seq >> (56 - 8 * i));
    }
    memcpy(text + 8, dot->name.at, dot->name.len);
    (void)crypto_generichash(hash, sizeof(hash), text, 8 + dot->name.len, NULL, 0);

    unsigned slot = ((unsigned)hash[0] << 8 | hash[1]) % MKV_STAMPED_ROWS;

    space[0] = 'o';
    space[1] = (uint8_t)(slot >> 8);
    space[2] = (uint8_t)slot;
    return mkv_bytes(space, KEY_LEN);
}

/* A row that is damaged, or of another kind, is none. */
int mkv_stamped_has(struct mkv_store *store, const struct mkv_tick *dot, bool *ret_has)
{
    uint8_t space[KEY_LEN];
    struct mkv_cbor_reader r;
    struct mkv_ticks ticks;
    struct mkv_buf row;

    mkv_buf_init(&row, ROW_MAX);

    int error = mkv_store_meta_get(store, key_of(dot, space), &row);

    *ret_has = false;
    if (error == 0) {
        mkv_cbor_reader_init(&r, mkv_buf_bytes(&row));
        mkv_ticks_read(&r, &ticks);
        *ret_has = mkv_cbor_finish(&r) == 0 && mkv_tick_same_stream(&ticks.at[0], dot) &&
                   ticks.at[0].counter >= dot->counter;
    }
    mkv_buf_deinit(&row);
    return error == MKV_E_NO_MEMORY || error == MKV_E_IO ? error : 0;
}

int mkv_stamped_add(struct mkv_store *store, const struct mkv_tick *dot)
{
    const struct mkv_ticks ticks = {.n = 1, .at = {*dot}};
    uint8_t space[KEY_LEN];
    struct mkv_cbor_writer w;
    struct mkv_buf row;
    bool has;
    int error = mkv_stamped_has(store, dot, &has);

    if (error != 0 || has) {
        return error;
    }
    mkv_buf_init(&row, ROW_MAX);
    mkv_cbor_writer_init(&w, &row);
    mkv_ticks_write(&w, &ticks);
    error = w.error;
    if (error == 0) {
        error = mkv_store_meta_put(store, key_of(dot, space), mkv_buf_bytes(&row));
    }
    mkv_buf_deinit(&row);
    return error;
}
