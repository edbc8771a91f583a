/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/source.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 65536U

void mkv_source_init(struct mkv_source *source, const char *path)
{
    *source = (struct mkv_source){.path = path};
}

static bool is_same(const struct mkv_source *source, const struct stat *status)
{
    return source->present && source->device == status->st_dev && source->inode == status->st_ino &&
           source->size == status->st_size && source->changed.tv_sec == status->st_mtim.tv_sec &&
           source->changed.tv_nsec == status->st_mtim.tv_nsec;
}

bool mkv_source_has_changed(struct mkv_source *source)
{
    struct stat status = {0};
    bool present = stat(source->path, &status) == 0;

    if (source->looked && source->present == present && (!present || is_same(source, &status))) {
        return false;
    }
    source->looked = true;
    source->present = present;
    source->device = status.st_dev;
    source->inode = status.st_ino;
    source->size = status.st_size;
    source->changed = status.st_mtim;
    return true;
}

static int read_all(int fd, struct mkv_buf *out)
{
    uint8_t piece[PIECE];
    ssize_t n;

    do {
        n = read(fd, piece, sizeof(piece));
        if (n > 0) {
            int error = mkv_buf_append(out, mkv_bytes(piece, (size_t)n));

            if (error != 0) {
                return error;
            }
        }
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 ? MKV_E_IO : 0;
}

int mkv_source_read(const struct mkv_source *source, struct mkv_buf *out)
{
    struct stat status;
    int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int error = MKV_E_IO;

    if (fd < 0) {
        return errno == ENOENT ? MKV_E_NOT_FOUND : MKV_E_IO;
    }
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
        error = read_all(fd, out);
    }
    (void)close(fd); /* nothing was written */
    return error;
}
