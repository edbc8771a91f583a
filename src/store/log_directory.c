/* SPDX-License-Identifier: Apache-2.0 */
#include "store/log_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/lmdb_check.h"

#define NOTE     "generation"
#define NEW_NOTE "generation.new"

int mkv_log_directory_error(int number)
{
    switch (number) {
    case 0:
        return 0;
    case ENOMEM:
        return MKV_E_NO_MEMORY;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* the limit that the process was given */
        return MKV_E_DISK_FULL;
    default:
        return MKV_E_IO;
    }
}

/* Says "cannot ACTION DIRECTORY: why" of the present errno. */
static int say_errno(const char *action,
                     const char *directory,
                     const char *file,
                     char detail[MKV_DETAIL_MAX])
{
    int number = errno;

    (void)snprintf(detail, MKV_DETAIL_MAX, "cannot %s %s%s: %s", action, directory, file,
                   strerror(number));
    return mkv_log_directory_error(number);
}

/*
 * flock() rather than the locks of fcntl(), which a process loses when it closes any descriptor of
 * the file, and which would let one process open a store twice.
 */
static int lock(int dir_fd, const char *directory, int *ret_lock_fd, char detail[MKV_DETAIL_MAX])
{
    int fd = openat(dir_fd, "store.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        return say_errno("make", directory, "/store.lock", detail);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *ret_lock_fd = fd;
        return 0;
    }

    int error = MKV_E_LOCKED;

    if (errno == EWOULDBLOCK) {
        (void)snprintf(detail, MKV_DETAIL_MAX, "the store in %s is in use by another process",
                       directory);
    } else {
        error = say_errno("lock", directory, "/store.lock", detail);
    }
    (void)close(fd);
    return error;
}

static int check_bytes(struct mkv_bytes file, const char *directory, char detail[MKV_DETAIL_MAX])
{
    struct mkv_lmdb_damage damage;
    int error = mkv_lmdb_check(file, &damage);

    if (error == MKV_E_CORRUPT) {
        (void)snprintf(detail, MKV_DETAIL_MAX, "%s/data.mdb is damaged: page %llu: %s", directory,
                       (unsigned long long)damage.page, damage.what);
    } else if (error != 0) {
        (void)snprintf(detail, MKV_DETAIL_MAX, "cannot check %s/data.mdb: %s", directory,
                       mkv_error_text(error));
    }
    return error;
}

static int check_open_file(int fd, const char *directory, char detail[MKV_DETAIL_MAX])
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return say_errno("read", directory, "/data.mdb", detail);
    }
    if (st.st_size == 0) {
        return 0;
    }

    size_t len = (size_t)st.st_size;
    void *at = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);

    if (at == MAP_FAILED) {
        return say_errno("read", directory, "/data.mdb", detail);
    }

    int error = check_bytes(mkv_bytes(at, len), directory, detail);

    (void)munmap(at, len);
    return error;
}

/* A file that is missing or empty is as good as any: LMDB will make it. */
static int check_file(int dir_fd, const char *directory, char detail[MKV_DETAIL_MAX])
{
    int fd = openat(dir_fd, "data.mdb", O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return errno == ENOENT ? 0 : say_errno("read", directory, "/data.mdb", detail);
    }

    int error = check_open_file(fd, directory, detail);

    (void)close(fd);
    return error;
}

int mkv_log_directory_claim(const char *directory, int *ret_lock_fd, char detail[MKV_DETAIL_MAX])
{
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        return say_errno("make the directory", directory, "", detail);
    }

    int dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir_fd < 0) {
        return say_errno("open the directory", directory, "", detail);
    }

    int lock_fd = -1;
    int error = lock(dir_fd, directory, &lock_fd, detail);

    if (error == 0) {
        error = check_file(dir_fd, directory, detail);
        if (error == 0) {
            *ret_lock_fd = lock_fd;
        } else {
            (void)close(lock_fd);
        }
    }
    (void)close(dir_fd);
    return error;
}

static int open_directory(const char *directory, int *ret_fd)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return mkv_log_directory_error(errno);
    }
    *ret_fd = fd;
    return 0;
}

/* Files are read wholly, or to the end of the room there is; signals interrupt nothing so short. */
static int read_note(int dir_fd, uint8_t ret_note[MKV_LOG_NOTE_MAX], size_t *ret_len)
{
    int fd = openat(dir_fd, NOTE, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        *ret_len = 0;
        return errno == ENOENT ? 0 : mkv_log_directory_error(errno);
    }

    ssize_t len = read(fd, ret_note, MKV_LOG_NOTE_MAX);
    int error = len < 0 ? mkv_log_directory_error(errno) : 0;

    (void)close(fd);
    if (error == 0) {
        *ret_len = (size_t)len;
    }
    return error;
}

int mkv_log_directory_note(const char *directory,
                           uint8_t ret_note[MKV_LOG_NOTE_MAX],
                           size_t *ret_len)
{
    int dir_fd = -1;
    int error = open_directory(directory, &dir_fd);

    if (error == 0) {
        error = read_note(dir_fd, ret_note, ret_len);
        (void)close(dir_fd);
    }
    return error;
}

static int write_file(int fd, struct mkv_bytes bytes)
{
    ssize_t len = write(fd, bytes.at, bytes.len);

    if (len < 0) {
        return mkv_log_directory_error(errno);
    }
    if ((size_t)len < bytes.len) {
        return MKV_E_DISK_FULL; /* what else could it be, of so few bytes */
    }
    return fsync(fd) == 0 ? 0 : mkv_log_directory_error(errno);
}

/* Wholly or not at all: the old note is there until the new one is on the disk. */
static int replace_note(int dir_fd, struct mkv_bytes note)
{
    int fd = openat(dir_fd, NEW_NOTE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0) {
        return mkv_log_directory_error(errno);
    }

    int error = write_file(fd, note);

    if (close(fd) != 0 && error == 0) {
        error = mkv_log_directory_error(errno);
    }
    if (error == 0 && renameat(dir_fd, NEW_NOTE, dir_fd, NOTE) != 0) {
        error = mkv_log_directory_error(errno);
    }
    if (error != 0) {
        (void)unlinkat(dir_fd, NEW_NOTE, 0); /* if it stays, it is written over the next time */
        return error;
    }
    return fsync(dir_fd) == 0 ? 0 : mkv_log_directory_error(errno);
}

int mkv_log_directory_set_note(const char *directory, struct mkv_bytes note)
{
    int dir_fd = -1;
    int error = open_directory(directory, &dir_fd);

    if (error == 0) {
        error = replace_note(dir_fd, note);
        (void)close(dir_fd);
    }
    return error;
}

static bool is_beyond_process_limit(size_t len, size_t need)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
           (rlim_t)len + need > limit.rlim_cur;
}

/* Asks the file system for the space: only that knows about quotas and reserved blocks. */
bool mkv_log_directory_full(int fd, size_t need)
{
    struct statvfs fs;
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return false;
    }
    if (is_beyond_process_limit((size_t)st.st_size, need)) {
        return true;
    }
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, st.st_size, (off_t)need) == 0) {
        return false;
    }
    if (mkv_log_directory_error(errno) == MKV_E_DISK_FULL) {
        return true;
    }
    return fstatvfs(fd, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < need;
}
