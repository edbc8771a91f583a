/* SPDX-License-Identifier: Apache-2.0 */
#include "path_model.h"

#include <string.h>

#include "base/assert.h"

size_t model_utf8(uint32_t character, uint8_t *utf8)
{
    if (character >= 0xd800 && character < 0xe000) {
        return 0;
    }
    if (character < 0x80) {
        utf8[0] = (uint8_t)character;
        return 1;
    }
    if (character < 0x800) {
        utf8[0] = (uint8_t)(0xc0 + character / 64);
        utf8[1] = (uint8_t)(0x80 + character % 64);
        return 2;
    }
    if (character < 0x10000) {
        utf8[0] = (uint8_t)(0xe0 + character / 4096);
        utf8[1] = (uint8_t)(0x80 + character / 64 % 64);
        utf8[2] = (uint8_t)(0x80 + character % 64);
        return 3;
    }
    utf8[0] = (uint8_t)(0xf0 + character / 262144);
    utf8[1] = (uint8_t)(0x80 + character / 4096 % 64);
    utf8[2] = (uint8_t)(0x80 + character / 64 % 64);
    utf8[3] = (uint8_t)(0x80 + character % 64);
    return 4;
}

static uint32_t random_character(struct prng *prng)
{
    static const char hard[] = ":./_+#$ *-eupth0\n\x7f,'|\\";
    static const uint32_t edges[] = {0x80,   0x9f,   0xa0,   0xe9,   0xfdcf,  0xfdd0,  0xfdef,
                                     0xfdf0, 0xfffd, 0xfffe, 0xffff, 0x1fffe, 0x1f600, 0x10ffff};

    switch (prng_below(prng, 4)) {
    case 0:
        return (uint32_t)prng_below(prng, 0x20);
    case 1:
        return (uint32_t)('a' + prng_below(prng, 3));
    case 2:
        return edges[prng_below(prng, sizeof(edges) / sizeof(edges[0]))];
    default:
        return (uint8_t)hard[prng_below(prng, sizeof(hard) - 1)];
    }
}

static size_t random_text(struct prng *prng, uint8_t *room)
{
    size_t n = prng_below(prng, 9);
    size_t len = 0;

    if (prng_below(prng, 12) == 0) {
        memcpy(room, "$NULL", 5);
        len = 5;
        n = prng_below(prng, 2);
    }
    for (size_t i = 0; i < n; i++) {
        len += model_utf8(random_character(prng), room + len);
    }
    return len;
}

static size_t random_bytes(struct prng *prng, uint8_t *room)
{
    static const uint8_t edges[] = {0, 1, 0xff, ' ', '.', ':', '~', 0x7f};
    size_t n = prng_below(prng, 7);

    for (size_t i = 0; i < n; i++) {
        room[i] = prng_below(prng, 2) == 0 ? edges[prng_below(prng, sizeof(edges))]
                                           : (uint8_t)prng_next(prng);
    }
    return n;
}

static double random_float(struct prng *prng)
{
    double real = mkv_float_of_bits(prng_next(prng));

    switch (prng_below(prng, 4)) {
    case 0:
        return (double)(int64_t)prng_any_width(prng) / 8;
    case 1:
        return prng_below(prng, 2) == 0 ? 0.0 : -0.0;
    default:
        return mkv_float_bits_finite(mkv_float_bits(real)) ? real : 1.5;
    }
}

static void random_element(struct prng *prng, uint8_t *room, struct mkv_element *element)
{
    *element = (struct mkv_element){.kind = (enum mkv_element_kind)prng_below(prng, 8)};
    switch (element->kind) {
    case MKV_ELEMENT_NULL:
    case MKV_ELEMENT_FALSE:
    case MKV_ELEMENT_TRUE:
        break;
    case MKV_ELEMENT_NINT:
        element->number = ~(prng_any_width(prng) >> 1);
        break;
    case MKV_ELEMENT_UINT:
        element->number = prng_any_width(prng);
        break;
    case MKV_ELEMENT_FLOAT:
        element->real = random_float(prng);
        break;
    case MKV_ELEMENT_TEXT:
        element->text = mkv_bytes(room, random_text(prng, room));
        break;
    case MKV_ELEMENT_BYTES:
        element->text = mkv_bytes(room, random_bytes(prng, room));
        break;
    }
}

void model_random(struct prng *prng, unsigned n_max, struct model_path *path)
{
    path->n = (unsigned)prng_below(prng, n_max + 1U);
    for (unsigned i = 0; i < path->n; i++) {
        random_element(prng, path->room[i], &path->at[i]);
    }
}

void model_key(const struct model_path *path, struct mkv_buf *key)
{
    mkv_buf_clear(key);
    for (unsigned i = 0; i < path->n; i++) {
        int error = mkv_path_append(key, &path->at[i]);

        MKV_ASSERT(error == 0);
    }
}

static int compare_elements(const struct mkv_element *a, const struct mkv_element *b)
{
    if (a->kind != b->kind) { /* the enum is in the order of the keys */
        return a->kind < b->kind ? -1 : 1;
    }
    if (a->kind == MKV_ELEMENT_NINT) {
        return ((int64_t)a->number > (int64_t)b->number) -
               ((int64_t)a->number < (int64_t)b->number);
    }
    if (a->kind == MKV_ELEMENT_UINT) {
        return (a->number > b->number) - (a->number < b->number);
    }
    if (a->kind == MKV_ELEMENT_FLOAT) {
        int order = (a->real > b->real) - (a->real < b->real);
        int sign_a = (int)(mkv_float_bits(a->real) >> 63);
        int sign_b = (int)(mkv_float_bits(b->real) >> 63);

        return order != 0 ? order : sign_b - sign_a; /* -0.0 before 0.0 */
    }
    return mkv_bytes_compare(a->text, b->text);
}

int model_compare(const struct model_path *a, const struct model_path *b)
{
    for (unsigned i = 0; i < a->n && i < b->n; i++) {
        int order = compare_elements(&a->at[i], &b->at[i]);

        if (order != 0) {
            return order;
        }
    }
    return (a->n > b->n) - (a->n < b->n);
}

bool model_element_equal(const struct mkv_element *a, const struct mkv_element *b)
{
    return compare_elements(a, b) == 0;
}
