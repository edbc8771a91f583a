/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A damaged data file gives a clear error when it is opened, or some rows less, which are counted.
 * It never takes the process down, neither then nor later, and never gives wrong values.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

/* A sanitized process takes ten times as long to start. */
#ifdef __SANITIZE_ADDRESS__
#    define N_CASES 400U
#else
#    define N_CASES 1500U
#endif

enum outcome {
    OPENED,
    REFUSED,
    WRONG, /* a row that was never written */
    LOST,  /* a row is missing, and nothing said so */
    CRASHED,
    N_OUTCOMES,
};

/* Rows small and large, some of them dead, over enough pages for a tree of three levels. */
static void make_store(struct harness *h, struct model *model)
{
    struct prng prng = {.state = 7};

    *model = (struct model){0};
    harness_init(h, true);
    assert_int_equal(harness_open(h), 0);
    for (unsigned batch = 0; batch < 90; batch++) {
        for (unsigned i = 0; i < 40; i++) {
            unsigned entry = (unsigned)prng_below(&prng, MODEL_KEYS);

            if (i % 8 == 7) {
                assert_int_equal(model_remove(model, h, entry), 0);
                continue;
            }
            assert_int_equal(model_put(model, h, entry, prng_next(&prng),
                                       i == 5 ? 6000 : prng_below(&prng, 200)),
                             0);
        }
        for (unsigned i = 0; i < MODEL_METAS; i++) {
            assert_int_equal(model_put_meta(model, h, i, prng_next(&prng), 30), 0);
        }
        assert_int_equal(mkv_store_commit(h->store), 0);
    }
    for (bool more = true; more;) {
        assert_int_equal(mkv_store_tidy(h->store, &more), 0);
        break; /* and leave some */
    }
    harness_close(h);
}

/* What is lost must be known to be lost, and what had been removed is still. */
static bool all_is_there(const struct model *model, struct harness *h)
{
    for (unsigned i = 0; i < MODEL_KEYS; i++) {
        struct mkv_tree_entry entry;
        struct mkv_bytes key;
        struct mkv_update update;

        if (!model->entries[i].exists &&
            mkv_tree_find(mkv_store_tree(h->store), model_key(i), &entry)) {
            return false;
        }
        if (model->entries[i].exists &&
            (!mkv_tree_find(mkv_store_tree(h->store), model_key(i), &entry) ||
             entry.position != model->entries[i].position ||
             mkv_store_row(h->store, entry.position, &key, &update) != 0)) {
            return false;
        }
    }
    return true;
}

/* Reads everything, then writes and tidies. */
static void use(struct harness *h)
{
    const struct mkv_tree *tree = mkv_store_tree(h->store);
    struct mkv_tree_entry entry;
    struct mkv_store_stats stats;
    struct mkv_bytes key;
    struct mkv_update update;
    struct model ignored = {0};
    uint64_t position = 0;
    bool more;

    mkv_tree_check(tree);
    for (bool found = mkv_tree_at(tree, (struct mkv_bytes){0}, &entry); found;
         found = mkv_tree_next(tree, entry.key, &entry)) {
        if (mkv_store_row(h->store, entry.position, &key, &update) == 0 &&
            !mkv_bytes_equal(key, entry.key)) {
            _exit(WRONG);
        }
    }
    while (mkv_store_scan(h->store, position, &position) == 0 && position > 0) {
        (void)position;
    }
    mkv_store_stats(h->store, &stats);
    for (unsigned i = 0; i < 200; i++) {
        if (model_put(&ignored, h, i % MODEL_KEYS, i, 100) != 0 ||
            (i % 20 == 19 && mkv_store_commit(h->store) != 0)) {
            mkv_store_abort(h->store);
        }
    }
    if (mkv_store_tidy(h->store, &more) != 0) {
        mkv_store_abort(h->store);
    }
}

static _Noreturn void open_and_use(const struct model *model, struct harness *h)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};

    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        (void)signal(signals[i], SIG_DFL); /* cmocka has its own */
    }
    (void)alarm(30);
    if (freopen("/dev/null", "w", stderr) == NULL) {
        _exit(CRASHED);
    }
    if (harness_open(h) != 0) {
        _exit(h->detail[0] != '\0' ? REFUSED : WRONG);
    }
    if (h->report.n_corrupt == 0 && !all_is_there(model, h)) {
        _exit(LOST);
    }
    use(h);
    harness_close(h);
    _exit(OPENED);
}

static enum outcome try(const struct model *model, struct harness *h)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        open_and_use(model, h);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? (enum outcome)WEXITSTATUS(status) : CRASHED;
}

/* Changes the bytes of a copy in one of several ways. */
static size_t damage(struct prng *prng, uint8_t *at, size_t len)
{
    size_t page = prng_below(prng, len / 4096) * 4096;
    size_t other = prng_below(prng, len / 4096) * 4096;

    switch (prng_below(prng, 8)) {
    case 0:
    case 1: /* a bit anywhere */
        at[prng_below(prng, len)] ^= (uint8_t)(1U << prng_below(prng, 8));
        return len;
    case 2:
    case 3: /* a bit in a page's head, or the offsets behind it */
        at[page + prng_below(prng, 40)] ^= (uint8_t)(1U << prng_below(prng, 8));
        return len;
    case 4: /* a byte in one of the first pages, where the roots are */
        at[prng_below(prng, 2 * 4096)] = (uint8_t)prng_next(prng);
        return len;
    case 5: /* a page of another place, or of another time */
        memcpy(at + page, at + other, 4096);
        return len;
    case 6: /* a sector that was never written */
        memset(at + page + 512 * prng_below(prng, 8), 0, 512);
        return len;
    default: /* the end is missing */
        return prng_below(prng, len);
    }
}

static void test_damage(void **state)
{
    static struct model model;
    unsigned counts[N_OUTCOMES] = {0};
    struct harness h;
    size_t len;

    (void)state;
    make_store(&h, &model);

    uint8_t *good = harness_read(&h, "data.mdb", &len);
    uint8_t *bad = malloc(len);

    assert_non_null(bad);
    for (uint64_t seed = 1; seed <= N_CASES; seed++) {
        struct prng prng = {.state = seed};

        memcpy(bad, good, len);
        harness_write(&h, "data.mdb", bad, damage(&prng, bad, len));

        enum outcome outcome = try(&model, &h);

        counts[outcome]++;
        if (outcome != OPENED && outcome != REFUSED) {
            print_message("# seed %llu: outcome %d\n", (unsigned long long)seed, (int)outcome);
        }
    }
    print_message("# opened %u, refused %u\n", counts[OPENED], counts[REFUSED]);
    assert_int_equal(counts[OPENED] + counts[REFUSED], N_CASES);
    assert_true(counts[OPENED] > 100);
    assert_true(counts[REFUSED] > 100);
    free(good);
    free(bad);
    harness_deinit(&h);
}

/* Rows that are lost: counted, kept, and all earlier places are invalid from then on, once. */
static void test_corrupt_row(void **state)
{
    static struct model model;
    struct harness h;
    struct mkv_place before;
    struct mkv_place after;
    bool more;

    (void)state;
    model = (struct model){0};
    harness_init(&h, false);
    assert_int_equal(harness_open(&h), 0);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(model_put(&model, &h, i, i + 1, 30), 0);
    }
    assert_int_equal(mkv_store_commit(h.store), 0);
    before = mkv_store_place(h.store);
    mkv_disk_damage(h.disk, MKV_LOG_ROWS, 6);

    struct mkv_bytes key;
    struct mkv_update update;

    assert_int_equal(mkv_store_row(h.store, 7, &key, &update), MKV_E_CORRUPT);
    harness_close(&h);
    assert_int_equal(harness_open(&h), 0);
    assert_int_equal(h.report.n_corrupt, 1);
    assert_int_equal(h.report.n_rows, 20);
    assert_false(mkv_store_place_valid(h.store, before));
    assert_false(mkv_tree_find(mkv_store_tree(h.store), model_key(6), &(struct mkv_tree_entry){0}));
    after = mkv_store_place(h.store);
    for (unsigned i = 0; i < 3000; i++) {
        assert_int_equal(model_put(&model, &h, i % 20, i + 100, 30), 0);
    }
    assert_int_equal(mkv_store_commit(h.store), 0);
    for (more = true; more;) {
        assert_int_equal(mkv_store_tidy(h.store, &more), 0);
    }
    harness_close(&h);
    assert_int_equal(harness_open(&h), 0);
    assert_int_equal(h.report.n_corrupt, 1); /* it is still there, and no news */
    assert_true(mkv_store_place_valid(h.store, after));
    mkv_disk_damage(h.disk, MKV_LOG_ROWS, 3);
    harness_close(&h);
    assert_int_equal(harness_open(&h), 0);
    assert_int_equal(h.report.n_corrupt, 2);
    assert_false(mkv_store_place_valid(h.store, after));
    harness_deinit(&h);
}

/* Of the store's own meta rows, the identity must be there; the rest can be done without. */
static void test_corrupt_meta(void **state)
{
    static struct model model;
    unsigned n_opened = 0;
    unsigned n_refused = 0;

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        struct harness h;
        struct mkv_place before;

        model = (struct model){0};
        harness_init(&h, false);
        assert_int_equal(harness_open(&h), 0);
        assert_int_equal(model_put(&model, &h, 1, 1, 30), 0);
        assert_int_equal(model_put_meta(&model, &h, 1, 1, 30), 0);
        assert_int_equal(mkv_store_commit(h.store), 0);
        before = mkv_store_place(h.store);
        harness_close(&h);
        mkv_disk_damage(h.disk, MKV_LOG_META, i);
        if (harness_open(&h) == 0) {
            n_opened++;
            assert_entry(&model, &h, 1);
            assert_true(mkv_store_place(h.store).position >= before.position);
        } else {
            n_refused++;
        }
        harness_deinit(&h);
    }
    assert_int_equal(n_refused, 2);
    assert_int_equal(n_opened, 6); /* boots, corrupt, forgotten, generation, the core's, and none */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corrupt_row),
        cmocka_unit_test(test_corrupt_meta),
        cmocka_unit_test(test_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
