/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A path that the user named, in the forms that the program needs.
 */
#ifndef MKV_CLI_PLACE_H
#define MKV_CLI_PLACE_H

#include <moatkv/client.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "cli/exit.h"

struct mkv_place {
    struct mkv_buf key;  /* owned: the ordered key, see wire/path.h */
    struct mkv_buf text; /* owned: dotted, as this program writes it, and with a NUL behind it */
};

/* Reads @word, and tells the user if it is no path.  Deinitialise in any case. */
enum mkv_exit mkv_place_init(struct mkv_place *place, const char *word) MKV_MUST_CHECK;

/* The place of a key that is @relative to @base; the errors are those of wire/path.h. */
int mkv_place_below(struct mkv_place *place,
                    const struct mkv_place *base,
                    struct mkv_bytes relative) MKV_MUST_CHECK;

void mkv_place_deinit(struct mkv_place *place);

/* The dotted text, for the library, and as a C string. */
moatkv_bytes mkv_place_path(const struct mkv_place *place);
const char *mkv_place_text(const struct mkv_place *place);

/*
 * Whether the key is at or below [null, "servers"], which are the servers' own entries
 * (docs/protocol.md, 12.4): what is done to a whole tree is not meant for them.
 */
bool mkv_place_is_reserved(struct mkv_bytes key);

/* What the library hands out, as ours. */
struct mkv_bytes mkv_bytes_from(moatkv_bytes bytes);

/* Appends the key of a dotted text that the library handed out; NO_MEMORY. */
int mkv_place_key(moatkv_bytes path, struct mkv_buf *key) MKV_MUST_CHECK;

#endif
