/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/say.h"

#define PIECE 65536U

static enum mkv_exit fail(const char *name)
{
    return mkv_say(MKV_EXIT_BAD_DATA, "%s: %s", strcmp(name, "-") == 0 ? "standard input" : name,
                   strerror(errno));
}

enum mkv_exit mkv_file_open(const char *name, int *ret_fd)
{
    int fd = strcmp(name, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                    : open(name, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return fail(name);
    }
    *ret_fd = fd;
    return MKV_EXIT_OK;
}

enum mkv_exit mkv_file_read(int fd, const char *name, size_t max, struct mkv_buf *out)
{
    int error = mkv_buf_reserve(out, max);

    if (error != 0) {
        return mkv_say(mkv_exit_of(error), "%s: %s", name,
                       error == MKV_E_TOO_LARGE ? "the file is too large for this"
                                                : mkv_error_text(error));
    }
    for (;;) {
        ssize_t n = read(fd, out->at + out->len, max);

        if (n >= 0) {
            out->len += (size_t)n;
            return MKV_EXIT_OK;
        }
        if (errno != EINTR) {
            return fail(name);
        }
    }
}

enum mkv_exit mkv_file_read_all(const char *name, struct mkv_buf *out)
{
    int fd = -1;
    size_t before;
    enum mkv_exit status = mkv_file_open(name, &fd);

    if (status != MKV_EXIT_OK) {
        return status;
    }
    do {
        before = out->len;
        status = mkv_file_read(fd, name, PIECE, out);
    } while (status == MKV_EXIT_OK && out->len > before);
    (void)close(fd); /* it was only read */
    return status;
}

static enum mkv_exit write_all(int fd, const char *name, struct mkv_bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.at, bytes.len);

        if (n < 0 && errno != EINTR) {
            return fail(name);
        }
        bytes = mkv_bytes_after(bytes, n > 0 ? (size_t)n : 0);
    }
    return MKV_EXIT_OK;
}

static enum mkv_exit copy(int from, const char *name, int to)
{
    struct mkv_buf piece;
    enum mkv_exit status;

    mkv_buf_init(&piece, PIECE);
    do {
        mkv_buf_clear(&piece);
        status = mkv_file_read(from, name, PIECE, &piece);
        if (status == MKV_EXIT_OK) {
            status = write_all(to, "a temporary file", mkv_buf_bytes(&piece));
        }
    } while (status == MKV_EXIT_OK && piece.len > 0);
    mkv_buf_deinit(&piece);
    return status;
}

static enum mkv_exit copy_to_nameless(int from, const char *name, int *ret_fd)
{
    FILE *file = tmpfile();
    int fd = file != NULL ? fcntl(fileno(file), F_DUPFD_CLOEXEC, 3) : -1;
    enum mkv_exit status = fd < 0 ? fail("a temporary file") : copy(from, name, fd);

    if (file != NULL) {
        (void)fclose(file); /* the other descriptor stays */
    }
    if (status == MKV_EXIT_OK && lseek(fd, 0, SEEK_SET) < 0) {
        status = fail("a temporary file");
    }
    if (status != MKV_EXIT_OK && fd >= 0) {
        (void)close(fd); /* nothing in it is wanted */
    } else {
        *ret_fd = fd;
    }
    return status;
}

enum mkv_exit mkv_file_open_twice(const char *name, int *ret_fd)
{
    int fd = -1;
    enum mkv_exit status = mkv_file_open(name, &fd);

    if (status != MKV_EXIT_OK) {
        return status;
    }
    if (lseek(fd, 0, SEEK_CUR) == 0) {
        *ret_fd = fd;
        return MKV_EXIT_OK;
    }
    status = copy_to_nameless(fd, name, ret_fd);
    (void)close(fd); /* it was only read */
    return status;
}

/* A device or a pipe is written as it is: nothing may take its place. */
static bool is_special(const char *name)
{
    struct stat info;

    return stat(name, &info) == 0 && !S_ISREG(info.st_mode);
}

/* Where the name leads to: a link stays one. */
static char *resolve(const char *name)
{
    char *target = realpath(name, NULL);
    const char *source = target != NULL ? target : name;
    size_t size = strlen(source) + 1;
    char *copy = mkv_mem_alloc(size);

    if (copy != NULL) {
        memcpy(copy, source, size);
    }
    free(target);
    return copy;
}

static char *append_ending(const char *name)
{
    static const char ending[] = ".XXXXXX";
    size_t len = strlen(name);
    char *longer = mkv_mem_alloc(len + sizeof(ending));

    if (longer != NULL) {
        memcpy(longer, name, len);
        memcpy(longer + len, ending, sizeof(ending));
    }
    return longer;
}

enum mkv_exit mkv_file_create(struct mkv_file *file, const char *name)
{
    *file = (struct mkv_file){.name = name, .fd = -1};
    if (is_special(name)) {
        file->fd = open(name, O_WRONLY | O_CLOEXEC);
        return file->fd >= 0 ? MKV_EXIT_OK : fail(name);
    }
    file->target = resolve(name);
    file->temporary = file->target != NULL ? append_ending(file->target) : NULL;
    if (file->temporary == NULL) {
        return mkv_say(MKV_EXIT_BAD_DATA, "%s: %s", name, mkv_error_text(MKV_E_NO_MEMORY));
    }
    file->fd = mkostemp(file->temporary, O_CLOEXEC);
    return file->fd >= 0 ? MKV_EXIT_OK : fail(name);
}

/* A new name is on the disk when its folder is. */
static void sync_folder(const char *name)
{
    size_t size = strlen(name) + 1;
    char *scratch = mkv_mem_alloc(size); /* dirname() may write into it */

    if (scratch == NULL) {
        return; /* the file is in place, only a power cut just now could take it */
    }
    memcpy(scratch, name, size);

    int fd = open(dirname(scratch), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        (void)fsync(fd); /* as above */
        (void)close(fd);
    }
    mkv_mem_free(scratch);
}

/* A temporary file is only the owner's; the result has the rights that any new file has. */
static int widen_rights(int fd)
{
    mode_t mask = umask(0);

    (void)umask(mask);
    return fchmod(fd, 0666 & ~mask);
}

enum mkv_exit mkv_file_commit(struct mkv_file *file)
{
    if (file->temporary != NULL && (widen_rights(file->fd) != 0 || fsync(file->fd) != 0 ||
                                    rename(file->temporary, file->target) != 0)) {
        return fail(file->name);
    }

    int fd = file->fd;

    file->fd = -1;
    if (close(fd) != 0) {
        return fail(file->name);
    }
    if (file->target != NULL) {
        sync_folder(file->target);
    }
    return MKV_EXIT_OK;
}

void mkv_file_deinit(struct mkv_file *file)
{
    if (file->name != NULL && file->fd >= 0) {
        (void)close(file->fd); /* nothing in it is wanted */
        if (file->temporary != NULL) {
            (void)unlink(file->temporary);
        }
    }
    mkv_mem_free(file->temporary);
    mkv_mem_free(file->target);
    *file = (struct mkv_file){.fd = -1};
}
