/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/dumpfile.h"
#include "daemon/quarantine.h"
#include "lib/check.h"
#include "lib/prng.h"
#include "wire/path.h"

#define ROOM     (1U << 20)
#define BATCHES  3U
#define PER_CALL 4U

static char folder[] = "/tmp/moat-quarantine-XXXXXX";
static const uint8_t store[MKV_STORE_ID_LEN] = "0123456789abcdef";
static struct mkv_quarantine_file file;
static struct mkv_buf rows;
static struct mkv_buf after;

static void remove_files(void)
{
    char name[MKV_QUARANTINE_NAME_MAX];

    for (unsigned i = 1; i <= MKV_QUARANTINE_FILES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "%s/quarantine-%u.mkv", folder, i);
        (void)unlink(name);
    }
}

static int set_up(void **state)
{
    (void)state;
    mkv_buf_init(&rows, ROOM);
    mkv_buf_init(&after, ROOM);
    mkv_quarantine_file_init(&file, folder, store);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mkv_quarantine_file_deinit(&file);
    mkv_buf_deinit(&rows);
    mkv_buf_deinit(&after);
    remove_files();
    return 0;
}

/* Rows number @first to @first + @n - 1: the value of each is its number; each third is a tombstone. */
static void make_rows(uint64_t first, uint64_t n)
{
    mkv_buf_clear(&rows);
    for (uint64_t i = first; i < first + n; i++) {
        const struct mkv_element element = {.kind = MKV_ELEMENT_UINT, .number = i};
        struct mkv_update entry = {.has_tock = true, .tock = i, .present = i % 3 != 0};
        struct mkv_cbor_writer w;
        struct mkv_buf key;
        struct mkv_buf value;

        mkv_buf_init(&key, MKV_PATH_KEY_MAX);
        mkv_buf_init(&value, 64);
        assert_int_equal(mkv_path_append(&key, &element), 0);
        mkv_cbor_writer_init(&w, &value);
        mkv_cbor_write_uint(&w, i);
        assert_int_equal(w.error, 0);
        entry.value = mkv_buf_bytes(&value);
        entry.ticks = (struct mkv_ticks){.n = 1, .at = {{mkv_bytes_of("srv"), 1, i + 1}}};
        assert_int_equal(mkv_dump_cbor_row(mkv_buf_bytes(&key), &entry, &rows), 0);
        mkv_buf_deinit(&key);
        mkv_buf_deinit(&value);
    }
}

static void keep(uint64_t first, uint64_t n)
{
    struct mkv_why why = {{0}};

    make_rows(first, n);
    assert_int_equal(mkv_quarantine_file_keep(&file, mkv_buf_bytes(&rows), &why), 0);
    assert_string_equal(why.text, "");
}

static void read_file(const char *name, struct mkv_buf *out)
{
    uint8_t piece[4096];
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    assert_true(fd >= 0);
    mkv_buf_clear(out);
    while ((n = read(fd, piece, sizeof(piece))) > 0) {
        assert_int_equal(mkv_buf_append(out, mkv_bytes(piece, (size_t)n)), 0);
    }
    assert_int_equal(n, 0);
    (void)close(fd);
}

/*
 * How many rows of @bytes some end vouches for; those must be the rows from @first on.  *ret_whole:
 * that was all of the file.
 */
static uint64_t count(struct mkv_bytes bytes, uint64_t first, bool *ret_whole)
{
    struct mkv_problem problem = {0};
    struct mkv_dump_reader r;
    struct mkv_bytes key;
    struct mkv_update entry;
    enum mkv_dump_verdict verdict;
    uint64_t n_right = 0;
    uint64_t n = 0;

    mkv_dump_reader_init(&r, &problem);
    while ((verdict = mkv_dump_reader_next(&r, &key, &entry)) <= MKV_DUMP_ROW) {
        if (verdict == MKV_DUMP_MORE && bytes.len == 0) {
            mkv_dump_reader_close(&r);
        } else if (verdict == MKV_DUMP_MORE) {
            assert_int_equal(mkv_dump_reader_feed(&r, bytes), 0);
            bytes.len = 0;
        } else if (entry.tock == first + n && entry.ticks.at[0].counter == first + n + 1 &&
                   entry.present == ((first + n) % 3 != 0) && n_right == n++) {
            n_right++;
        }
    }
    *ret_whole = verdict == MKV_DUMP_END;
    if (*ret_whole) {
        assert_memory_equal(r.header.store.at, store, sizeof(store));
        assert_int_equal(r.header.path.len, 0);
    }
    n = r.n_whole;
    mkv_dump_reader_deinit(&r);
    assert_true(n_right >= n);
    return n;
}

static uint64_t count_whole(uint64_t first)
{
    bool whole;
    uint64_t n;

    read_file(file.name, &after);
    n = count(mkv_buf_bytes(&after), first, &whole);
    assert_true(whole);
    assert_int_equal(n, file.n_rows);
    return n;
}

static void test_whole_after_each_call(void **state)
{
    struct stat status;
    uint64_t n = 0;

    (void)state;
    assert_int_equal(mkv_quarantine_count(folder), 0);
    for (uint64_t size = 1; size < 200; size = size * 2 + 1) {
        keep(n, size);
        n += size;
        assert_int_equal(count_whole(0), n);
        assert_int_equal(mkv_quarantine_count(folder), 1);
    }
    assert_int_equal(stat(file.name, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void test_a_file_of_its_own_for_each_run(void **state)
{
    char name[MKV_QUARANTINE_NAME_MAX];

    (void)state;
    keep(0, 3);
    (void)snprintf(name, sizeof(name), "%s", file.name);
    mkv_quarantine_file_deinit(&file);
    mkv_quarantine_file_init(&file, folder, store);
    keep(100, 2);
    assert_string_not_equal(file.name, name);
    assert_int_equal(count_whole(100), 2);
    assert_int_equal(mkv_quarantine_count(folder), 2);
}

/*
 * Of the last call any part may be on the disk, and something else behind it: not the very byte that
 * is missing, which may be the only one.
 */
static void check_torn(size_t whole_len, uint64_t n_before, struct prng *prng)
{
    for (size_t done = whole_len; done <= after.len; done++) {
        struct mkv_buf torn;
        bool whole;
        uint64_t n_junk = prng_below(prng, 2) * prng_below(prng, 100);

        mkv_buf_init(&torn, ROOM);
        assert_int_equal(mkv_buf_append(&torn, mkv_bytes(after.at, done)), 0);
        for (uint64_t i = 0; done < after.len && i < n_junk; i++) {
            uint8_t byte = (uint8_t)(prng_below(prng, 2) * prng_below(prng, 256));

            byte ^= i == 0 && byte == after.at[done];

            assert_int_equal(mkv_buf_append_u8(&torn, byte), 0);
        }
        assert_int_equal(count(mkv_buf_bytes(&torn), 0, &whole),
                         n_before + (done == after.len ? PER_CALL : 0));
        assert_int_equal(whole, done == after.len || (done == whole_len && torn.len == done));
        mkv_buf_deinit(&torn);
    }
}

static void test_cut_off_by_a_crash(void **state)
{
    struct prng prng = {1};

    (void)state;
    for (uint64_t batch = 0; batch < BATCHES; batch++) {
        size_t size = (size_t)file.size;

        keep(batch * PER_CALL, PER_CALL);
        read_file(file.name, &after);
        for (unsigned i = 0; batch > 0 && i < 20; i++) {
            check_torn(size, batch * PER_CALL, &prng);
        }
    }
}

static void limit_size(rlim_t size)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* At each place where the disk may be full: nothing is lost, and the next rows find another file. */
static void test_full_disk(void **state)
{
    struct mkv_why why = {{0}};
    uint64_t size;

    (void)state;
    keep(0, PER_CALL);
    size = file.size;
    for (rlim_t at = 0; at < 2 * size; at += 3) {
        remove_files();
        mkv_quarantine_file_deinit(&file);
        mkv_quarantine_file_init(&file, folder, store);
        if (at % 2 == 0) { /* else the first file of all cannot be written */
            keep(0, PER_CALL);
        }
        make_rows(PER_CALL, 20 * PER_CALL);
        limit_size(at);
        assert_int_equal(mkv_quarantine_file_keep(&file, mkv_buf_bytes(&rows), &why),
                         MKV_E_DISK_FULL);
        limit_size(RLIM_INFINITY);
        assert_non_null(strstr(why.text, file.name));
        assert_int_equal(file.fd, -1);
        if (at % 2 == 0) {
            bool whole;

            read_file(file.name, &after);
            assert_int_equal(count(mkv_buf_bytes(&after), 0, &whole), PER_CALL);
            assert_true(whole);
        }
        assert_int_equal(mkv_quarantine_count(folder), at % 2 == 0 ? 1 : 0);
        keep(7, 5);
        assert_int_equal(count_whole(7), 5);
    }
}

static void test_no_more_files(void **state)
{
    char name[MKV_QUARANTINE_NAME_MAX];
    struct mkv_why why = {{0}};

    (void)state;
    for (unsigned i = 1; i <= MKV_QUARANTINE_FILES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "%s/quarantine-%u.mkv", folder, i);
        int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        (void)close(fd);
    }
    make_rows(1, 1);
    assert_int_equal(mkv_quarantine_file_keep(&file, mkv_buf_bytes(&rows), &why), MKV_E_TOO_MANY);
    assert_non_null(strstr(why.text, "restore what you want"));
    assert_int_equal(mkv_quarantine_count(folder), MKV_QUARANTINE_FILES_MAX);
    (void)unlink(name);
    keep(1, 1);
    assert_string_equal(file.name, name);
}

static void test_no_directory(void **state)
{
    struct mkv_why why = {{0}};

    (void)state;
    mkv_quarantine_file_init(&file, "/nowhere/at/all", store);
    make_rows(1, 1);
    assert_int_equal(mkv_quarantine_file_keep(&file, mkv_buf_bytes(&rows), &why), MKV_E_IO);
    assert_non_null(strstr(why.text, "/nowhere/at/all/quarantine-1.mkv"));
    assert_int_equal(mkv_quarantine_file_keep(&file, mkv_buf_bytes(&rows), NULL), MKV_E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole_after_each_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_of_its_own_for_each_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_off_by_a_crash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_more_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_directory, set_up, tear_down),
    };
    int failed;

    (void)signal(SIGXFSZ, SIG_IGN);
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(folder);
    return failed;
}
