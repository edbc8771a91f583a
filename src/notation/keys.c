/* SPDX-License-Identifier: Apache-2.0 */
#include "notation/keys.h"

#include <stdint.h>

#include "wire/path.h"

static const char *const words[] = {
    [MKV_KEY_BYTES] = "bytes", [MKV_KEY_FLOAT] = "float", [MKV_KEY_SIMPLE] = "simple",
    [MKV_KEY_MAP] = "map",     [MKV_KEY_TAG] = "tag",     [MKV_KEY_VALUE] = "value",
};

static size_t leading(struct mkv_bytes text, uint8_t character)
{
    size_t n = 0;

    while (n < text.len && text.at[n] == character) {
        n++;
    }
    return n;
}

enum mkv_key_word mkv_key_word(struct mkv_bytes text, size_t *ret_n_dollars)
{
    size_t n = leading(text, '$');
    struct mkv_bytes rest = mkv_bytes_after(text, n);

    for (unsigned i = MKV_KEY_BYTES; n > 0 && i <= MKV_KEY_VALUE; i++) {
        if (mkv_bytes_equal(rest, mkv_bytes_of(words[i]))) {
            *ret_n_dollars = n;
            return (enum mkv_key_word)i;
        }
    }
    *ret_n_dollars = 0;
    return MKV_KEY_NONE;
}

/* The key of the path that is the single element spelled @text; BAD_PATH if it is text or many. */
static int element_key(struct mkv_bytes text, struct mkv_buf *key)
{
    struct mkv_buf scratch;
    struct mkv_element element;
    int error = mkv_path_from_dotted(text, key);

    if (error != 0) {
        return error;
    }
    if (mkv_path_depth(mkv_buf_bytes(key)) != 1) {
        return MKV_E_BAD_PATH;
    }
    mkv_buf_init(&scratch, MKV_PATH_KEY_MAX);
    error = mkv_element_decode(mkv_buf_bytes(key), &scratch, &element);
    mkv_buf_deinit(&scratch);
    if (error == 0 && element.kind == MKV_ELEMENT_TEXT) {
        error = MKV_E_BAD_PATH;
    }
    return error;
}

int mkv_key_colons(struct mkv_bytes text, size_t *ret_n_colons)
{
    size_t n = leading(text, ':');
    struct mkv_buf key;
    struct mkv_buf again;

    *ret_n_colons = 0;
    if (n == 0) {
        return 0;
    }

    struct mkv_bytes spelling = mkv_bytes_after(text, n - 1);

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&again, SIZE_MAX / 2);

    int error = element_key(spelling, &key);

    if (error == 0) {
        error = mkv_path_to_dotted(mkv_buf_bytes(&key), &again);
    }
    if (error == 0 && mkv_bytes_equal(mkv_buf_bytes(&again), spelling)) {
        *ret_n_colons = n;
    }
    mkv_buf_deinit(&key);
    mkv_buf_deinit(&again);
    return error == MKV_E_NO_MEMORY ? error : 0; /* any other just says that it is plain text */
}

int mkv_key_element(struct mkv_bytes encoding, struct mkv_buf *item)
{
    struct mkv_buf scratch;
    struct mkv_element element;
    struct mkv_cbor_writer w;

    mkv_buf_init(&scratch, MKV_PATH_KEY_MAX);
    mkv_cbor_writer_init(&w, item);

    int error = mkv_element_decode(encoding, &scratch, &element);

    if (error == 0 && element.kind == MKV_ELEMENT_FLOAT) {
        mkv_cbor_write_float_short(&w, element.real);
    } else if (error == 0) {
        mkv_element_to_cbor(&element, &w);
    }
    mkv_buf_deinit(&scratch);
    return error != 0 ? error : w.error;
}

int mkv_key_to_cbor(struct mkv_bytes text, struct mkv_buf *item)
{
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);

    int error = element_key(text, &key);

    if (error == 0) {
        error = mkv_key_element(mkv_buf_bytes(&key), item);
    }
    mkv_buf_deinit(&key);
    return error;
}

static int item_to_element(const struct mkv_cbor_item *item, struct mkv_element *element)
{
    *element = (struct mkv_element){0};
    switch (item->kind) {
    case MKV_CBOR_NULL:
        element->kind = MKV_ELEMENT_NULL;
        return 0;
    case MKV_CBOR_FALSE:
        element->kind = MKV_ELEMENT_FALSE;
        return 0;
    case MKV_CBOR_TRUE:
        element->kind = MKV_ELEMENT_TRUE;
        return 0;
    case MKV_CBOR_UINT:
        element->kind = MKV_ELEMENT_UINT;
        element->number = item->number;
        return 0;
    case MKV_CBOR_NINT:
        element->kind = MKV_ELEMENT_NINT;
        element->number = ~item->number;
        return item->number > INT64_MAX ? MKV_E_BAD_NUMBER : 0;
    case MKV_CBOR_FLOAT:
        element->kind = MKV_ELEMENT_FLOAT;
        element->real = item->real;
        return 0;
    case MKV_CBOR_BYTES:
        element->kind = MKV_ELEMENT_BYTES;
        element->text = item->text;
        return 0;
    case MKV_CBOR_TEXT:
    case MKV_CBOR_ARRAY:
    case MKV_CBOR_MAP:
    case MKV_CBOR_TAG:
    case MKV_CBOR_UNDEFINED:
    case MKV_CBOR_SIMPLE:
    case MKV_CBOR_BREAK:
    case MKV_CBOR_END:
        break;
    }
    return MKV_E_BAD_ELEMENT;
}

int mkv_key_spell(const struct mkv_cbor_item *item, struct mkv_buf *text)
{
    struct mkv_element element;
    struct mkv_buf key;
    int error = item_to_element(item, &element);

    if (error != 0) {
        return error;
    }
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    error = mkv_path_append(&key, &element);
    if (error == 0) {
        error = mkv_path_to_dotted(mkv_buf_bytes(&key), text);
    }
    mkv_buf_deinit(&key);
    return error;
}
