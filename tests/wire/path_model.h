/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths as lists of elements, which is what tests think in: random ones, and the order they should
 * have.
 */
#ifndef MKV_TESTS_WIRE_PATH_MODEL_H
#define MKV_TESTS_WIRE_PATH_MODEL_H

#include "base/buf.h"
#include "lib/prng.h"
#include "wire/path.h"

#define MODEL_ELEMENTS_MAX 8U
#define MODEL_TEXT_MAX     64U /* bytes of one element */

struct model_path {
    unsigned n;
    struct mkv_element at[MODEL_ELEMENTS_MAX]; /* text points into @room */
    uint8_t room[MODEL_ELEMENTS_MAX][MODEL_TEXT_MAX];
};

/* A path of up to @n_max elements of all kinds, with a taste for what is hard to escape. */
void model_random(struct prng *prng, unsigned n_max, struct model_path *path);

/* Empties @key and appends the path's key, which must succeed. */
void model_key(const struct model_path *path, struct mkv_buf *key);

/* Less than, equal to, or greater than 0, from the elements and not from their keys. */
int model_compare(const struct model_path *a, const struct model_path *b);
bool model_element_equal(const struct mkv_element *a, const struct mkv_element *b);

/* Writes @character as UTF-8 and returns its length; 0 for a surrogate. */
size_t model_utf8(uint32_t character, uint8_t *utf8);

#endif
