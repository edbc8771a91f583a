/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/path.h"

#include "base/assert.h"
#include "wire/key.h"

int mkv_path_append(struct mkv_buf *key, const struct mkv_element *element)
{
    struct mkv_key_writer w;

    mkv_key_writer_init(&w, key);
    mkv_key_write(&w, element);
    return mkv_key_finish(&w);
}

int mkv_path_from_cbor(struct mkv_cbor_reader *r, struct mkv_buf *key)
{
    struct mkv_key_writer w;
    uint64_t n = mkv_cbor_read_array(r, UINT64_MAX);

    mkv_key_writer_init(&w, key);
    for (uint64_t i = 0; i < n && r->error == 0; i++) {
        struct mkv_element element;

        mkv_element_from_cbor(r, &element);
        if (r->error != 0) {
            break;
        }
        mkv_key_write(&w, &element);
        if (w.error != 0) {
            mkv_cbor_fail(r, w.error);
        }
    }
    if (r->error != 0) {
        mkv_key_fail(&w, r->error);
    }
    return mkv_key_finish(&w);
}

void mkv_path_to_cbor(struct mkv_bytes key, struct mkv_cbor_writer *w)
{
    uint8_t room[MKV_PATH_KEY_MAX];

    mkv_cbor_write_array(w, mkv_path_depth(key));
    while (key.len > 0) {
        struct mkv_element element = mkv_key_unpack(mkv_path_cut(&key), room);

        mkv_element_to_cbor(&element, w);
    }
}

int mkv_path_check(struct mkv_bytes key)
{
    unsigned n = 0;

    if (key.len > MKV_PATH_KEY_MAX) {
        return MKV_E_PATH_TOO_LONG;
    }
    while (key.len > 0) {
        size_t len = mkv_key_element_len(key);

        if (len == 0 || !mkv_key_element_valid(mkv_bytes(key.at, len))) {
            return MKV_E_BAD_PATH;
        }
        key = mkv_bytes_after(key, len);
        n++;
    }
    return n > MKV_PATH_LEVELS_MAX ? MKV_E_PATH_TOO_LONG : 0;
}

struct mkv_bytes mkv_path_cut(struct mkv_bytes *rest)
{
    if (rest->len == 0) {
        return *rest;
    }

    size_t len = mkv_key_element_len(*rest);
    struct mkv_bytes encoding = mkv_bytes(rest->at, len);

    MKV_ASSERT(len > 0);
    *rest = mkv_bytes_after(*rest, len);
    return encoding;
}

unsigned mkv_path_depth(struct mkv_bytes key)
{
    unsigned n = 0;

    while (key.len > 0) {
        (void)mkv_path_cut(&key); /* only counted */
        n++;
    }
    return n;
}

struct mkv_bytes mkv_path_head(struct mkv_bytes key, unsigned n)
{
    struct mkv_bytes rest = key;

    for (; n > 0 && rest.len > 0; n--) {
        (void)mkv_path_cut(&rest); /* only passed over */
    }
    return mkv_bytes(key.at, key.len - rest.len);
}

unsigned mkv_path_shared(struct mkv_bytes a, struct mkv_bytes b)
{
    unsigned n = 0;

    while (a.len > 0 && b.len > 0 && mkv_bytes_equal(mkv_path_cut(&a), mkv_path_cut(&b))) {
        n++;
    }
    return n;
}

int mkv_element_decode(struct mkv_bytes encoding,
                       struct mkv_buf *scratch,
                       struct mkv_element *ret_element)
{
    uint8_t room[MKV_PATH_KEY_MAX];
    struct mkv_element element = mkv_key_unpack(encoding, room);

    mkv_buf_clear(scratch);

    int error = mkv_buf_append(scratch, element.text);

    if (error != 0) {
        return error;
    }
    element.text = mkv_buf_bytes(scratch);
    *ret_element = element;
    return 0;
}
