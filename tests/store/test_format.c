/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores of other formats: of the future, of the past, and of no store at all.
 */
#include "harness.h"
#include "store/inner.h"
#include "store/meta.h"

static unsigned n_steps;

static struct mkv_bytes word(const char *text)
{
    return mkv_bytes_of(text);
}

/* A store of the first format has no meta row "second", one of the second has no "third". */
static int to_second(struct mkv_log *log)
{
    n_steps++;
    return mkv_meta_put(log, MKV_META_CORE, word("second"), word("2"));
}

static int to_third(struct mkv_log *log)
{
    struct mkv_bytes value;
    int error = mkv_meta_get(log, MKV_META_CORE, word("second"), &value);

    n_steps++;
    return error != 0 ? error : mkv_meta_put(log, MKV_META_CORE, word("third"), word("3"));
}

static mkv_format_step *const steps[] = {to_second, to_third};
static const struct mkv_format first = {.version = 1, .oldest = 1, .steps = NULL};
static const struct mkv_format third = {.version = 3, .oldest = 1, .steps = steps};
static const struct mkv_format only_third = {.version = 3, .oldest = 3, .steps = NULL};

static int open_as(struct harness *h, const struct mkv_format *format)
{
    const struct mkv_store_options options = {.boot_nonce = ++h->n_boots};
    const struct mkv_opening opening = {
        .where = "somewhere", .format = format, .options = &options, .detail = h->detail};
    struct mkv_log *log;
    int error = mkv_log_memory_open(h->disk, false, &log);

    return error != 0 ? error : mkv_store_open_log(log, &opening, &h->store, &h->report);
}

static void start(struct harness *h)
{
    harness_init(h, false);
    assert_int_equal(open_as(h, &first), 0);
    assert_int_equal(mkv_store_meta_put(h->store, word("old"), word("1")), 0);
    assert_int_equal(mkv_store_commit(h->store), 0);
    harness_close(h);
    n_steps = 0;
}

static void assert_meta(struct harness *h, const char *name, const char *want)
{
    struct mkv_buf value;

    mkv_buf_init(&value, 100);
    assert_int_equal(mkv_store_meta_get(h->store, word(name), &value), 0);
    assert_true(mkv_bytes_equal(mkv_buf_bytes(&value), word(want)));
    mkv_buf_deinit(&value);
}

static void test_step_by_step(void **state)
{
    struct harness h;

    (void)state;
    start(&h);
    assert_int_equal(open_as(&h, &third), 0);
    assert_int_equal(n_steps, 2);
    assert_meta(&h, "old", "1");
    assert_meta(&h, "second", "2");
    assert_meta(&h, "third", "3");
    harness_close(&h);
    assert_int_equal(open_as(&h, &third), 0);
    assert_int_equal(n_steps, 2);
    harness_deinit(&h);
}

/* Fails at an access, if there are so many; but without the note beside the log it opens, too. */
static bool open_failing(struct harness *h, const struct mkv_format *format, unsigned n)
{
    mkv_disk_fail_at(h->disk, n, MKV_E_IO);

    int error = open_as(h, format);
    bool failed = mkv_disk_failed(h->disk);

    mkv_disk_fail_at(h->disk, 0, 0);
    assert_true(error == 0 || (failed && error == MKV_E_IO));
    if (error != 0) {
        assert_true(h->detail[0] != '\0');
        assert_int_equal(open_as(h, format), 0);
    }
    return failed;
}

/* Whatever fails in the middle, it goes on from there the next time. */
static void test_interrupted(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        struct harness h;

        start(&h);

        bool failed = open_failing(&h, &third, n);

        assert_meta(&h, "old", "1");
        assert_meta(&h, "third", "3");
        harness_deinit(&h);
        if (!failed) {
            break;
        }
    }
}

static void test_future(void **state)
{
    struct harness h;

    (void)state;
    start(&h);
    assert_int_equal(open_as(&h, &third), 0);
    harness_close(&h);
    assert_int_equal(open_as(&h, &mkv_format_now), MKV_E_FORMAT);
    assert_non_null(strstr(h.detail, "somewhere"));
    assert_non_null(strstr(h.detail, "format 3"));
    assert_non_null(strstr(h.detail, "formats 1 to 2"));
    assert_int_equal(open_as(&h, &third), 0); /* and is as it was */
    assert_meta(&h, "third", "3");
    harness_deinit(&h);
}

static void test_too_old(void **state)
{
    struct harness h;

    (void)state;
    start(&h);
    assert_int_equal(open_as(&h, &only_third), MKV_E_FORMAT);
    assert_non_null(strstr(h.detail, "format 1"));
    harness_deinit(&h);
}

static void test_new_is_of_the_present(void **state)
{
    struct harness h;

    (void)state;
    harness_init(&h, false);
    assert_int_equal(open_as(&h, &third), 0);
    assert_true(h.report.created);
    harness_close(&h);
    assert_int_equal(open_as(&h, &only_third), 0);
    harness_deinit(&h);
}

/* What a program of the first format would leave: a longer identity, and no note beside the log. */
static void make_first(struct harness *h, struct model *model)
{
    struct mkv_log *log;
    struct mkv_disk *copy;
    uint8_t identity[32] = "the first formatits digest key..";

    harness_init(h, false);
    assert_int_equal(open_as(h, &first), 0);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(model_put(model, h, i % 30, i + 1, 20), 0);
    }
    assert_int_equal(model_put_meta(model, h, 1, 1, 20), 0);
    assert_int_equal(mkv_store_commit(h->store), 0);
    harness_close(h);
    assert_int_equal(mkv_log_memory_open(h->disk, false, &log), 0);
    assert_int_equal(log->methods->begin(log, MKV_LOG_WRITE), 0);
    assert_int_equal(
        mkv_meta_put(log, MKV_META_STORE, word("identity"), mkv_bytes(identity, sizeof(identity))),
        0);
    assert_int_equal(mkv_meta_remove(log, MKV_META_STORE, word("forgotten")), 0);
    assert_int_equal(mkv_meta_remove(log, MKV_META_STORE, word("generation")), 0);
    assert_int_equal(log->methods->commit(log), 0);
    log->methods->free(log);
    assert_int_equal(mkv_disk_snapshot(h->disk, &copy), 0);
    mkv_disk_free(h->disk);
    h->disk = copy;
}

static void test_from_the_first(void **state)
{
    static struct model model;
    uint32_t version;

    (void)state;
    for (unsigned n = 1;; n++) {
        struct harness h;
        struct mkv_log *log;

        model = (struct model){0};
        make_first(&h, &model);

        bool failed = open_failing(&h, &mkv_format_now, n);

        assert_false(h.report.restored);
        harness_close(&h);
        assert_int_equal(harness_open(&h), 0);
        assert_false(h.report.restored);
        assert_model(&model, &h);
        assert_memory_equal(mkv_store_id(h.store), "the first format", 16);
        assert_memory_equal(mkv_store_digest_key(h.store), "its digest keys", 16);
        harness_close(&h);
        assert_int_equal(mkv_log_memory_open(h.disk, false, &log), 0);
        assert_int_equal(mkv_format_read(log, &version), 0);
        assert_int_equal(version, 2);
        log->methods->free(log);
        harness_deinit(&h);
        if (!failed) {
            break;
        }
    }
}

static void test_no_store(void **state)
{
    struct harness h;
    struct mkv_log *log;
    uint8_t *at;

    (void)state;
    harness_init(&h, false);
    assert_int_equal(mkv_log_memory_open(h.disk, false, &log), 0);
    assert_int_equal(log->methods->begin(log, MKV_LOG_WRITE), 0);
    assert_int_equal(log->methods->put(log, MKV_LOG_META, word("else"), 1, &at), 0);
    *at = 0;
    assert_int_equal(log->methods->commit(log), 0);
    log->methods->free(log);
    assert_int_equal(open_as(&h, &mkv_format_now), MKV_E_CORRUPT);
    assert_non_null(strstr(h.detail, "somewhere"));
    harness_deinit(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step_by_step),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_future),
        cmocka_unit_test(test_too_old),
        cmocka_unit_test(test_new_is_of_the_present),
        cmocka_unit_test(test_from_the_first),
        cmocka_unit_test(test_no_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
