/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/utf8.h"

/*
 * The well-formed sequences, by first byte (Unicode, table 3-7).  Only the second byte's range
 * varies: it is what keeps out longer-than-shortest forms, surrogates and U+110000 upwards.  All
 * further bytes are 80..bf.
 */
struct lead {
    uint8_t first;
    uint8_t last;
    uint8_t second_min;
    uint8_t second_max;
    uint8_t len; /* of the whole sequence */
};

static const struct lead leads[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

static const struct lead *find_lead(uint8_t byte)
{
    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
        if (leads[i].first <= byte && byte <= leads[i].last) {
            return &leads[i];
        }
    }
    return NULL;
}

/* The length of the sequence of several bytes that @rest begins with; 0 if it is not valid. */
static size_t sequence_len(struct mkv_bytes rest)
{
    const struct lead *lead = find_lead(rest.at[0]);

    if (lead == NULL || lead->len > rest.len) {
        return 0;
    }
    if (rest.at[1] < lead->second_min || rest.at[1] > lead->second_max) {
        return 0;
    }
    for (size_t i = 2; i < lead->len; i++) {
        if ((rest.at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return lead->len;
}

/* How many bytes at the start are ASCII, as far as they come in eights. */
static size_t ascii_len(struct mkv_bytes text)
{
    size_t i = 0;
    uint64_t eight;

    for (; text.len - i >= sizeof(eight); i += sizeof(eight)) {
        memcpy(&eight, text.at + i, sizeof(eight));
        if ((eight & UINT64_C(0x8080808080808080)) != 0) {
            break;
        }
    }
    return i;
}

bool mkv_utf8_valid(struct mkv_bytes text)
{
    size_t i = ascii_len(text);

    while (i < text.len) {
        size_t len = text.at[i] < 0x80 ? 1 : sequence_len(mkv_bytes_after(text, i));

        if (len == 0) {
            return false;
        }
        i += len;
    }
    return true;
}
