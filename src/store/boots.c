/* SPDX-License-Identifier: Apache-2.0 */
#include "store/boots.h"

#include "base/rule.h"
#include "store/row.h"

#define BOOT_LEN ((size_t)2 * MKV_POSITION_LEN)

static void forget_oldest(struct mkv_boots *boots, uint32_t n)
{
    boots->n -= n;
    memmove(&boots->at[0], &boots->at[n], boots->n * sizeof(boots->at[0]));
}

void mkv_boots_add(struct mkv_boots *boots, struct mkv_place boot)
{
    for (uint32_t i = boots->n; i > 0; i--) {
        if (boots->at[i - 1].nonce == boot.nonce) {
            forget_oldest(boots, i); /* one alone would widen the range of the boot before it */
            break;
        }
    }
    if (boots->n == MKV_BOOTS_MAX) {
        forget_oldest(boots, 1);
    }
    boots->at[boots->n++] = boot;
}

bool mkv_boots_know(const struct mkv_boots *boots, uint64_t position, struct mkv_place place)
{
    if (!MKV_RULE(PLACE_NONCE)) {
        return place.position <= position;
    }
    for (uint32_t i = 0; i < boots->n; i++) {
        if (boots->at[i].nonce == place.nonce) {
            uint64_t end = i + 1 < boots->n ? boots->at[i + 1].position : position;

            return boots->at[i].position <= place.position && place.position <= end;
        }
    }
    return false;
}

bool mkv_boots_may_know(const struct mkv_boots *boots, uint64_t position, struct mkv_place place)
{
    for (uint32_t i = 0; i < boots->n; i++) {
        if (boots->at[i].nonce == place.nonce) {
            return mkv_boots_know(boots, position, place);
        }
    }
    return boots->n > 0 && place.position <= boots->at[0].position;
}

uint64_t mkv_boots_nonce_at(const struct mkv_boots *boots, uint64_t position)
{
    uint32_t i = boots->n - 1;

    while (i > 0 && boots->at[i].position > position) {
        i--;
    }
    return boots->at[i].nonce;
}

size_t mkv_boots_encode(const struct mkv_boots *boots, uint8_t ret_bytes[MKV_BOOTS_BYTES_MAX])
{
    for (uint32_t i = 0; i < boots->n; i++) {
        uint8_t *at = ret_bytes + i * BOOT_LEN;

        mkv_position_encode(boots->at[i].nonce, at);
        mkv_position_encode(boots->at[i].position, at + MKV_POSITION_LEN);
    }
    return boots->n * BOOT_LEN;
}

int mkv_boots_decode(struct mkv_bytes in, struct mkv_boots *ret_boots)
{
    struct mkv_boots boots = {0};

    if (in.len % BOOT_LEN != 0 || in.len / BOOT_LEN > MKV_BOOTS_MAX) {
        return MKV_E_CORRUPT;
    }
    for (boots.n = 0; boots.n < in.len / BOOT_LEN; boots.n++) {
        const uint8_t *at = in.at + boots.n * BOOT_LEN;
        struct mkv_place *boot = &boots.at[boots.n];
        int error = mkv_position_decode(mkv_bytes(at, MKV_POSITION_LEN), &boot->nonce);

        if (error == 0) {
            error = mkv_position_decode(mkv_bytes(at + MKV_POSITION_LEN, MKV_POSITION_LEN),
                                        &boot->position);
        }
        if (error != 0 || (boots.n > 0 && boot->position < boot[-1].position)) {
            return MKV_E_CORRUPT;
        }
    }
    *ret_boots = boots;
    return 0;
}
