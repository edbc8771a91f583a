/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/filter.h"

static const char share[] = "$share/";

/* Up to the next slash, which is taken as well; @ret_more tells whether there was one. */
static struct mkv_bytes take_level(struct mkv_bytes *rest, bool *ret_more)
{
    const uint8_t *slash = rest->len > 0 ? memchr(rest->at, '/', rest->len) : NULL;
    size_t len = slash != NULL ? (size_t)(slash - rest->at) : rest->len;
    struct mkv_bytes level = mkv_bytes(rest->at, len);

    *ret_more = slash != NULL;
    *rest = mkv_bytes_after(*rest, slash != NULL ? len + 1 : len);
    return level;
}

static bool is(struct mkv_bytes level, char character)
{
    return level.len == 1 && level.at[0] == (uint8_t)character;
}

bool mkv_filter_unshare(struct mkv_bytes *filter)
{
    bool more;

    if (!mkv_bytes_starts_with(*filter, mkv_bytes_of(share))) {
        return false;
    }
    *filter = mkv_bytes_after(*filter, sizeof(share) - 1);
    (void)take_level(filter, &more);
    return true;
}

/*
 * Level by level, as long as both have any: what the filter has beyond the root matches something
 * below it, and a filter that ends before the root does, but for "#", matches nothing there.
 */
bool mkv_filter_reaches(struct mkv_bytes filter, struct mkv_bytes root)
{
    bool more_filter = true;
    bool more_root = true;

    while (more_root) {
        if (!more_filter) {
            return false;
        }

        struct mkv_bytes wanted = take_level(&filter, &more_filter);
        struct mkv_bytes level = take_level(&root, &more_root);

        if (is(wanted, '#')) {
            return true;
        }
        if (!is(wanted, '+') && !mkv_bytes_equal(wanted, level)) {
            return false;
        }
    }
    return true;
}
