/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/quarantine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "wire/cbor.h"

#define END_MAX    128U
#define HEADER_MAX 256U

void mkv_quarantine_file_init(struct mkv_quarantine_file *file,
                              const char *directory,
                              const uint8_t store[MKV_STORE_ID_LEN])
{
    file->directory = directory;
    memcpy(file->store, store, MKV_STORE_ID_LEN);
    file->name[0] = '\0';
    file->fd = -1;
}

void mkv_quarantine_file_deinit(struct mkv_quarantine_file *file)
{
    if (file->fd >= 0) {
        (void)close(file->fd); /* what counts of it is on the disk */
        file->fd = -1;
    }
}

static void name_file(char name[MKV_QUARANTINE_NAME_MAX], const char *directory, uint32_t number)
{
    (void)snprintf(name, MKV_QUARANTINE_NAME_MAX, "%s/quarantine-%" PRIu32 ".mkv", directory,
                   number);
}

uint32_t mkv_quarantine_count(const char *directory)
{
    char name[MKV_QUARANTINE_NAME_MAX];
    uint32_t n = 0;

    for (uint32_t i = 1; i <= MKV_QUARANTINE_FILES_MAX; i++) {
        name_file(name, directory, i);
        n += access(name, F_OK) == 0 ? 1 : 0;
    }
    return n;
}

static int error_of(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return MKV_E_DISK_FULL;
    default:
        return MKV_E_IO;
    }
}

static int fail(const struct mkv_quarantine_file *file, const char *what, struct mkv_why *why)
{
    int number = errno;

    return mkv_why_error(why, error_of(number), "cannot %s '%s', where entries are set aside: %s",
                         what, file->name, strerror(number));
}

/* Makes sure that a file that has been made is found after a crash. */
static int sync_directory(const struct mkv_quarantine_file *file)
{
    int fd = open(file->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 ? -1 : fsync(fd);

    if (fd >= 0) {
        (void)close(fd);
    }
    return error;
}

static int make_file(struct mkv_quarantine_file *file, struct mkv_why *why)
{
    for (uint32_t i = 1; i <= MKV_QUARANTINE_FILES_MAX; i++) {
        name_file(file->name, file->directory, i);
        file->fd = open(file->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (file->fd >= 0) {
            file->size = 0;
            file->n_rows = 0;
            return sync_directory(file) == 0 ? 0 : fail(file, "make", why);
        }
        if (errno != EEXIST) {
            return fail(file, "make", why);
        }
    }
    return mkv_why_error(why, MKV_E_TOO_MANY,
                         "there are %u files '%s/quarantine-*.mkv' already: restore what you want "
                         "of them, and move them away",
                         MKV_QUARANTINE_FILES_MAX, file->directory);
}

/* Returns 0, or -1 with errno. */
static int put(int fd, struct mkv_bytes bytes, uint64_t offset)
{
    while (bytes.len > 0) {
        ssize_t n = pwrite(fd, bytes.at, bytes.len, (off_t)offset);

        if (n < 0 && errno != EINTR) {
            return -1;
        }
        if (n > 0) {
            bytes = mkv_bytes_after(bytes, (size_t)n);
            offset += (uint64_t)n;
        }
    }
    return 0;
}

/* As the file was before; the next rows go into another one. */
static void give_up(struct mkv_quarantine_file *file)
{
    if (file->fd >= 0 && file->size == 0) {
        (void)unlink(file->name);
    } else if (file->fd >= 0) {
        (void)!ftruncate(file->fd, (off_t)file->size); /* else a damaged end stays there */
    }
    mkv_quarantine_file_deinit(file);
}

static int count_rows(struct mkv_bytes rows, uint64_t *ret_n)
{
    struct mkv_cbor_reader r;
    uint64_t n = 0;

    mkv_cbor_reader_init(&r, rows);
    while (r.rest.len > 0 && r.error == 0) {
        for (uint64_t left = mkv_cbor_read_array(&r, 4); left > 0; left--) {
            mkv_cbor_skip(&r); /* each by itself: the limits of a value are not those of its row */
        }
        n++;
    }
    *ret_n = n;
    return r.error;
}

/* What stands before and behind @rows to make them a dump. */
static int frame_rows(const struct mkv_quarantine_file *file,
                      struct mkv_bytes rows,
                      uint64_t n_rows,
                      struct mkv_buf *header,
                      struct mkv_buf *end)
{
    time_t now = time(NULL);
    const struct mkv_dump_header facts = {
        .store = mkv_bytes(file->store, sizeof(file->store)),
        .time_s = now > 0 ? (uint64_t)now : 0,
    };
    uint8_t digest[MKV_DUMP_DIGEST_LEN];
    struct mkv_dump_hash hash;
    int error = mkv_dump_cbor_header(&facts, header);

    if (error != 0) {
        return error;
    }
    mkv_dump_hash_init(&hash);
    mkv_dump_hash_add(&hash, mkv_buf_bytes(header));
    mkv_dump_hash_add(&hash, rows);
    mkv_dump_hash_finish(&hash, digest);
    return mkv_dump_cbor_end(n_rows, mkv_bytes(digest, sizeof(digest)), end);
}

static int append(struct mkv_quarantine_file *file,
                  struct mkv_bytes rows,
                  uint64_t n_rows,
                  struct mkv_why *why)
{
    struct mkv_buf header;
    struct mkv_buf end;

    mkv_buf_init(&header, HEADER_MAX);
    mkv_buf_init(&end, END_MAX);

    int error = frame_rows(file, rows, n_rows, &header, &end);
    uint64_t rows_at = file->size + header.len;

    if (error != 0) {
        (void)mkv_why_error(why, error, "'%s': %s", file->name, mkv_error_text(error));
    } else if (put(file->fd, mkv_buf_bytes(&header), file->size) != 0 ||
               put(file->fd, rows, rows_at) != 0 ||
               put(file->fd, mkv_buf_bytes(&end), rows_at + rows.len) != 0 ||
               fdatasync(file->fd) != 0) {
        error = fail(file, "write", why);
    } else {
        file->size = rows_at + rows.len + end.len;
        file->n_rows += n_rows;
    }
    mkv_buf_deinit(&header);
    mkv_buf_deinit(&end);
    return error;
}

int mkv_quarantine_file_keep(struct mkv_quarantine_file *file,
                             struct mkv_bytes rows,
                             struct mkv_why *why)
{
    uint64_t n_rows = 0;
    int error = count_rows(rows, &n_rows);

    if (error != 0) {
        return mkv_why_error(why, error, "rows to be set aside: %s", mkv_error_text(error));
    }
    if (file->fd < 0) {
        error = make_file(file, why);
    }
    if (error == 0) {
        error = append(file, rows, n_rows, why);
    }
    if (error != 0) {
        give_up(file);
    }
    return error;
}
