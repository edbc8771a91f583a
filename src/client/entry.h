/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry as the application sees it.
 */
#ifndef MKV_CLIENT_ENTRY_H
#define MKV_CLIENT_ENTRY_H

#include <moatkv/client.h>

#include "base/buf.h"
#include "wire/update.h"

/* While borrowed, all bytes are somebody else's; in a copy they lie behind this struct. */
struct moatkv_entry {
    struct mkv_bytes path; /* dotted, followed by a NUL */
    struct mkv_update update;
};

/*
 * Fills @entry for a callback: the path is written to @path, which must be kept as long.  Without
 * memory for the path it is empty.
 */
void mkv_entry_present(struct moatkv_entry *entry,
                       struct mkv_bytes key,
                       const struct mkv_update *update,
                       struct mkv_buf *path);

/* Writes the dotted text of @key and a NUL to @path, and returns it without the NUL. */
struct mkv_bytes mkv_entry_dotted(struct mkv_bytes key, struct mkv_buf *path);

#endif
