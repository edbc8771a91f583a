/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/header.h"

void mkv_header_init(struct mkv_header *h, struct mkv_bytes in)
{
    h->n_keys = 0;
    mkv_cbor_reader_init(&h->cbor, in);
    h->left = mkv_cbor_read_map(&h->cbor, MKV_HEADER_KEYS_MAX);
}

bool mkv_header_has(const struct mkv_header *h, uint64_t key)
{
    for (uint32_t i = 0; i < h->n_keys; i++) {
        if (h->keys[i] == key) {
            return true;
        }
    }
    return false;
}

bool mkv_header_next(struct mkv_header *h, uint64_t *ret_key)
{
    if (h->left == 0) {
        return false;
    }

    uint64_t key = mkv_cbor_read_uint(&h->cbor);

    if (h->cbor.error == 0 && mkv_header_has(h, key)) {
        mkv_cbor_fail(&h->cbor, MKV_E_DUPLICATE_KEY);
    }
    if (h->cbor.error != 0) {
        return false;
    }
    h->left--;
    h->keys[h->n_keys++] = key;
    *ret_key = key;
    return true;
}

int mkv_header_finish(struct mkv_header *h)
{
    return mkv_cbor_finish(&h->cbor);
}
