/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of rights on the disk: whether it is another one than before, and its bytes.
 *
 * Whoever writes it makes a new file and gives it the name, so a file that is there is whole.
 */
#ifndef MKV_GUARD_SOURCE_H
#define MKV_GUARD_SOURCE_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "base/buf.h"
#include "base/error.h"

struct mkv_source {
    const char *path; /* borrowed */
    bool looked;      /* all below is what the last look has shown */
    bool present;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

/* `path` must outlive it. */
void mkv_source_init(struct mkv_source *source, const char *path);

/* Whether it is another file than at the last call, or has come or gone; true the first time. */
bool mkv_source_has_changed(struct mkv_source *source);

/*
 * Appends what is in it.  NOT_FOUND; TOO_LARGE beyond what @out may hold; IO, also for what is no
 * plain file; NO_MEMORY.
 */
int mkv_source_read(const struct mkv_source *source, struct mkv_buf *out) MKV_MUST_CHECK;

#endif
