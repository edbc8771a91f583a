/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing two trees, of which one is here and the other answers: against looking at each key.
 */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "core/walk.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/prng.h"

#define ASKED_MAX 4096U /* ranges fetched that are remembered */

static const uint8_t digest_key[MKV_DIGEST_KEY_LEN] = "0123456789abcde";

/* What a walk took. */
struct cost {
    unsigned n_splits; /* rounds */
    unsigned n_fetches;
    uint64_t n_pieces;
    uint64_t n_rows;
    uint64_t most_own; /* of our entries in the ranges of one fetch */
};

struct fetched {
    struct mkv_buf from;
    struct mkv_buf to;
};

static struct mkv_tree ours;
static struct mkv_tree theirs;
static struct mkv_walk walk;
static struct fetched fetched[ASKED_MAX];
static unsigned n_fetched;

static void put(struct mkv_tree *tree, struct mkv_bytes key, uint64_t tock, bool present)
{
    struct mkv_head head = {.tock = tock,
                            .seq = 1,
                            .counter = 1,
                            .vhash = present ? 1 : 0,
                            .name = mkv_bytes_of("w"),
                            .present = present};

    assert_int_equal(mkv_tree_put(tree, key, &head, 1), 0);
}

static void put_number(struct mkv_tree *tree, unsigned number, uint64_t tock)
{
    char key[16];

    (void)snprintf(key, sizeof(key), "%08u", number);
    put(tree, mkv_bytes_of(key), tock, true);
}

static int setup(void **state)
{
    (void)state;
    mkv_tree_init(&ours, digest_key);
    mkv_tree_init(&theirs, digest_key);
    return 0;
}

static void forget_fetched(void)
{
    while (n_fetched > 0) {
        n_fetched--;
        mkv_buf_deinit(&fetched[n_fetched].from);
        mkv_buf_deinit(&fetched[n_fetched].to);
    }
}

static int teardown(void **state)
{
    (void)state;
    mkv_tree_deinit(&ours);
    mkv_tree_deinit(&theirs);
    mkv_walk_deinit(&walk);
    forget_fetched();
    assert_int_equal(mem_fault_live(), 0);
    return 0;
}

/* --- The other side ----------------------------------------------------------------------- */

static void answer_range(struct mkv_cbor_writer *w, struct mkv_range range, struct cost *cost)
{
    struct mkv_tree_piece found[MKV_PIECES_MAX];
    struct mkv_piece pieces[MKV_PIECES_MAX];
    uint32_t n = mkv_tree_split(&theirs, range.from, range.to, MKV_PIECES_MAX, found);

    for (uint32_t i = 0; i < n; i++) {
        pieces[i] = (struct mkv_piece){.upto = found[i].upto, .count = found[i].sum.n_entries};
        mkv_digest_bytes(found[i].sum.digest, pieces[i].digest);
    }
    mkv_pieces_write(w, pieces, n);
    cost->n_pieces += n;
}

static uint32_t count_asked(void)
{
    struct mkv_range_reader r;
    struct mkv_range range;
    uint32_t n = 0;

    assert_int_equal(mkv_range_reader_init(&r, mkv_buf_bytes(&walk.asked)), 0);
    while (mkv_range_reader_next(&r, &range)) {
        n++;
    }
    assert_int_equal(r.cbor.error, 0);
    return n;
}

static int answer_split(struct cost *cost)
{
    struct mkv_range_reader r;
    struct mkv_range range;
    struct mkv_buf sums;
    struct mkv_cbor_writer w;
    int error;

    mem_fault_pause(true);
    mkv_buf_init(&sums, MKV_FRAME_MAX);
    mkv_cbor_writer_init(&w, &sums);
    mkv_cbor_write_array(&w, count_asked());
    assert_int_equal(mkv_range_reader_init(&r, mkv_buf_bytes(&walk.asked)), 0);
    while (mkv_range_reader_next(&r, &range)) {
        answer_range(&w, range, cost);
    }
    assert_int_equal(w.error, 0);
    mem_fault_pause(false);
    error = mkv_walk_sums(&walk, &ours, mkv_buf_bytes(&sums));
    mkv_buf_deinit(&sums);
    return error;
}

/* Takes over what they have in the range. */
static void take_range(struct mkv_range range, struct cost *cost)
{
    struct mkv_tree_entry entry;
    bool found = mkv_tree_at(&theirs, range.from, &entry);

    while (found && (range.to.len == 0 || mkv_bytes_compare(entry.key, range.to) < 0)) {
        assert_int_equal(mkv_tree_put(&ours, entry.key, &entry.head, 1), 0);
        cost->n_rows++;
        found = mkv_tree_next(&theirs, entry.key, &entry);
    }
    assert_true(n_fetched < ASKED_MAX);
    mkv_buf_init(&fetched[n_fetched].from, 2000);
    mkv_buf_init(&fetched[n_fetched].to, 2000);
    assert_int_equal(mkv_buf_append(&fetched[n_fetched].from, range.from), 0);
    assert_int_equal(mkv_buf_append(&fetched[n_fetched].to, range.to), 0);
    n_fetched++;
}

static void answer_fetch(struct cost *cost)
{
    struct mkv_range_reader r;
    struct mkv_range range;
    uint64_t own = 0;

    mem_fault_pause(true);
    assert_true(mkv_ranges_ascend(mkv_buf_bytes(&walk.asked)));
    assert_int_equal(mkv_range_reader_init(&r, mkv_buf_bytes(&walk.asked)), 0);
    while (mkv_range_reader_next(&r, &range)) {
        own += mkv_tree_range(&ours, range.from, range.to).n_entries;
        take_range(range, cost);
    }
    assert_int_equal(r.cbor.error, 0);
    cost->most_own = own > cost->most_own ? own : cost->most_own;
    mem_fault_pause(false);
}

static int run(struct cost *ret_cost)
{
    enum mkv_walk_need need = MKV_WALK_SPLIT;
    int error = mkv_walk_start(&walk);

    *ret_cost = (struct cost){0};
    while (error == 0) {
        error = mkv_walk_next(&walk, &ours, &need);
        if (error != 0 || need == MKV_WALK_DONE) {
            break;
        }
        if (need == MKV_WALK_SPLIT) {
            ret_cost->n_splits++;
            error = answer_split(ret_cost);
        } else {
            ret_cost->n_fetches++;
            answer_fetch(ret_cost);
        }
        assert_true(ret_cost->n_splits + ret_cost->n_fetches < 100000);
    }
    return error;
}

/* --- The naive way ------------------------------------------------------------------------ */

static bool is_fetched(struct mkv_bytes key)
{
    for (unsigned i = 0; i < n_fetched; i++) {
        struct mkv_bytes to = mkv_buf_bytes(&fetched[i].to);

        if (mkv_bytes_compare(key, mkv_buf_bytes(&fetched[i].from)) >= 0 &&
            (to.len == 0 || mkv_bytes_compare(key, to) < 0)) {
            return true;
        }
    }
    return false;
}

/* All that they have is here; and where they have nothing, we have been told. */
static void assert_complete(void)
{
    struct mkv_tree_entry entry;
    struct mkv_tree_entry other;
    bool found;

    for (found = mkv_tree_at(&theirs, mkv_bytes(NULL, 0), &entry); found;
         found = mkv_tree_next(&theirs, entry.key, &entry)) {
        assert_true(mkv_tree_find(&ours, entry.key, &other));
        assert_int_equal(mkv_head_compare(&entry.head, &other.head), 0);
    }
    for (found = mkv_tree_at(&ours, mkv_bytes(NULL, 0), &entry); found;
         found = mkv_tree_next(&ours, entry.key, &entry)) {
        assert_true(mkv_tree_find(&theirs, entry.key, &other) || is_fetched(entry.key));
    }
}

static void put_random(struct prng *prng, unsigned letters, unsigned len_max)
{
    uint8_t key[32];
    size_t len = prng_below(prng, len_max + 1);
    uint64_t tock = 1 + prng_below(prng, 3);
    unsigned whose = (unsigned)prng_below(prng, 10);
    bool present = prng_below(prng, 4) > 0;

    for (size_t i = 0; i < len; i++) {
        key[i] = (uint8_t)(prng_below(prng, letters) * (255 / letters));
    }
    if (whose != 0) { /* mostly both have it */
        put(&ours, mkv_bytes(key, len), tock, present);
    }
    if (whose != 1) {
        put(&theirs, mkv_bytes(key, len), whose == 2 ? tock + 1 : tock, present);
    }
}

static void test_random_trees(void **state)
{
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct prng prng = {seed};
        unsigned letters = 1 + (unsigned)prng_below(&prng, 4);
        unsigned n = (unsigned)prng_below(&prng, seed % 10 == 0 ? 3000 : 200);
        struct cost cost;

        for (unsigned i = 0; i < n; i++) {
            put_random(&prng, letters, 1 + (unsigned)prng_below(&prng, 14));
        }
        assert_int_equal(run(&cost), 0);
        assert_complete();
        (void)teardown(state);
        (void)setup(state);
    }
}

/* --- What it costs ------------------------------------------------------------------------ */

static void test_equal_trees_cost_one_round(void **state)
{
    struct cost cost;

    (void)state;
    assert_int_equal(run(&cost), 0); /* both are empty */
    assert_int_equal(cost.n_splits, 1);
    assert_int_equal(cost.n_fetches, 0);
    for (unsigned i = 0; i < 1000; i++) {
        put_number(&ours, i, 1);
        put_number(&theirs, i, 1);
    }
    assert_int_equal(run(&cost), 0);
    assert_int_equal(cost.n_splits, 1);
    assert_int_equal(cost.n_pieces, MKV_PIECES_MAX);
    assert_int_equal(cost.n_fetches, 0);
}

/* Ten among 100,000: five rounds of 16 pieces for each, and hardly more rows than differ. */
static void test_few_differences_cost_little(void **state)
{
    struct cost cost;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        put_number(&ours, i, 1);
        put_number(&theirs, i, i % 10000 == 4711 ? 2 : 1);
    }
    assert_int_equal(run(&cost), 0);
    assert_complete();
    print_message("# %u rounds, %llu pieces, %u fetches, %llu rows\n", cost.n_splits,
                  (unsigned long long)cost.n_pieces, cost.n_fetches,
                  (unsigned long long)cost.n_rows);
    assert_true(cost.n_splits <= 6);
    assert_true(cost.n_pieces <= (uint64_t)10 * 5 * MKV_PIECES_MAX);
    assert_int_equal(cost.n_rows, 10);
    assert_true(cost.n_fetches <= 2);
}

/* The same where one side lacks them, or has more. */
static void test_missing_ones_cost_little(void **state)
{
    struct cost cost;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        if (i % 2000 != 77) {
            put_number(&ours, i, 1);
        }
        if (i % 2000 != 1234) {
            put_number(&theirs, i, 1);
        }
    }
    assert_int_equal(run(&cost), 0);
    assert_complete();
    assert_true(cost.n_pieces <= (uint64_t)20 * 5 * MKV_PIECES_MAX);
    assert_true(cost.n_rows <= 60);
}

static void test_everything_is_fetched_at_once_by_whoever_has_nothing(void **state)
{
    struct cost cost;

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        put_number(&theirs, i, 1);
    }
    assert_int_equal(run(&cost), 0);
    assert_complete();
    assert_int_equal(cost.n_splits, 1);
    assert_int_equal(cost.n_fetches, 1);
    assert_int_equal(n_fetched, 1); /* neighbours are joined */
}

/* What is to be done about our own entries must fit into batches. */
static void test_fetches_are_cut_by_what_we_hold(void **state)
{
    struct cost cost;
    struct mkv_bytes end = mkv_bytes(NULL, 0);

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        put_number(&ours, i, 1);
    }
    assert_int_equal(run(&cost), 0);
    assert_complete();
    assert_true(cost.most_own <= MKV_WALK_OWN_MAX);
    assert_true(cost.n_fetches >= 5 && cost.n_fetches <= 80);
    for (unsigned i = 0; i < n_fetched; i++) { /* one behind the other, from the start to the end */
        assert_true(mkv_bytes_equal(mkv_buf_bytes(&fetched[i].from), end));
        end = mkv_buf_bytes(&fetched[i].to);
    }
    assert_int_equal(end.len, 0);
}

static void test_different_everywhere(void **state)
{
    struct cost cost;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        put_number(&ours, i, 1);
        put_number(&theirs, i, 2);
    }
    assert_int_equal(run(&cost), 0);
    assert_complete();
    assert_true(cost.most_own <= MKV_WALK_OWN_MAX);
    assert_int_equal(cost.n_rows, 20000);
}

/* Bounds of 1,000 bytes each: what waits to be split has a limit, beyond which it is fetched. */
static void test_long_keys(void **state)
{
    uint8_t key[1000] = {0};
    struct cost cost;

    (void)state;
    for (unsigned i = 0; i < 9000; i++) {
        key[998] = (uint8_t)(i >> 8);
        key[999] = (uint8_t)i;
        put(&ours, mkv_bytes(key, sizeof(key)), 1, true);
        put(&theirs, mkv_bytes(key, sizeof(key)), 2, true);
    }
    assert_int_equal(run(&cost), 0);
    assert_complete();
    assert_int_equal(cost.n_rows, 9000);
}

/* Each key is the beginning of the next one. */
static void test_keys_in_a_chain(void **state)
{
    static uint8_t key[MKV_PATH_KEY_MAX];
    struct cost cost;

    (void)state;
    for (size_t len = 0; len <= sizeof(key); len++) {
        put(&ours, mkv_bytes(key, len), 1, true);
        put(&theirs, mkv_bytes(key, len), len % 100 == 0 ? 2 : 1, true);
    }
    assert_int_equal(run(&cost), 0);
    assert_complete();
    assert_int_equal(cost.n_rows, 11);
}

static void test_one_range_alone(void **state)
{
    enum mkv_walk_need need;
    struct mkv_range range = {mkv_bytes_of("00000010"), mkv_bytes_of("00000020")};
    struct cost cost = {0};

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        put_number(&theirs, i, 1);
    }
    assert_int_equal(mkv_walk_start_fetch(&walk, range), 0);
    assert_int_equal(mkv_walk_next(&walk, &ours, &need), 0);
    assert_int_equal(need, MKV_WALK_FETCH);
    answer_fetch(&cost);
    assert_int_equal(cost.n_rows, 10);
    assert_int_equal(mkv_walk_next(&walk, &ours, &need), 0);
    assert_int_equal(need, MKV_WALK_DONE);
}

/* --- Lies --------------------------------------------------------------------------------- */

/* A list of one range's pieces, of which all but the last end at @upto. */
static void lie(struct mkv_buf *sums, const struct mkv_piece *pieces, uint32_t n)
{
    struct mkv_cbor_writer w;

    mkv_buf_clear(sums);
    mkv_cbor_writer_init(&w, sums);
    mkv_cbor_write_array(&w, count_asked());
    for (uint32_t i = count_asked(); i > 0; i--) {
        mkv_pieces_write(&w, pieces, n);
    }
    assert_int_equal(w.error, 0);
}

/* Whatever they are cut to, all pieces differ: it comes to an end. */
static void test_sums_that_always_differ(void **state)
{
    enum mkv_walk_need need;
    struct mkv_buf sums;
    unsigned n_splits = 0;
    unsigned n_fetches = 0;

    (void)state;
    mkv_buf_init(&sums, MKV_FRAME_MAX);
    for (unsigned i = 0; i < 100; i++) {
        put_number(&ours, i, 1);
    }
    assert_int_equal(mkv_walk_start(&walk), 0);
    for (;;) {
        struct mkv_range_reader r;
        struct mkv_range range;
        struct mkv_cbor_writer w;

        assert_int_equal(mkv_walk_next(&walk, &ours, &need), 0);
        if (need == MKV_WALK_DONE) {
            break;
        }
        if (need == MKV_WALK_FETCH) {
            n_fetches++;
            continue;
        }
        assert_true(++n_splits < 24 * 100);
        mkv_buf_clear(&sums);
        mkv_cbor_writer_init(&w, &sums);
        mkv_cbor_write_array(&w, count_asked());
        assert_int_equal(mkv_range_reader_init(&r, mkv_buf_bytes(&walk.asked)), 0);
        while (mkv_range_reader_next(&r, &range)) { /* a tiny bit, and the rest */
            uint8_t upto[MKV_PATH_KEY_MAX + 1] = {0};
            struct mkv_piece pieces[2] = {{.count = 5}, {.upto = range.to, .count = 1000}};

            memcpy(upto, range.from.len > 0 ? range.from.at : upto, range.from.len);
            pieces[0].upto = mkv_bytes(upto, range.from.len + 1);
            mkv_pieces_write(&w, pieces, 2);
        }
        assert_int_equal(w.error, 0);
        assert_int_equal(mkv_walk_sums(&walk, &ours, mkv_buf_bytes(&sums)), 0);
    }
    assert_true(n_fetches > 0);
    mkv_buf_deinit(&sums);
}

static void test_sums_that_do_not_fit(void **state)
{
    static const struct mkv_piece all = {.count = 7};
    const struct mkv_piece descending[2] = {{.upto = mkv_bytes_of("b"), .count = 7},
                                            {.upto = mkv_bytes_of("c"), .count = 7}};
    enum mkv_walk_need need;
    struct mkv_buf sums;
    struct mkv_cbor_writer w;

    (void)state;
    put_number(&ours, 1, 1);
    mkv_buf_init(&sums, MKV_FRAME_MAX);
    assert_int_equal(mkv_walk_start(&walk), 0);
    assert_int_equal(mkv_walk_next(&walk, &ours, &need), 0);
    assert_int_equal(need, MKV_WALK_SPLIT);

    /* The last piece ends before the range does. */
    lie(&sums, descending, 2);
    assert_int_equal(mkv_walk_sums(&walk, &ours, mkv_buf_bytes(&sums)), MKV_E_MALFORMED);

    /* More lists than ranges; fewer; none; no list at all. */
    mkv_buf_clear(&sums);
    mkv_cbor_writer_init(&w, &sums);
    mkv_cbor_write_array(&w, 2);
    mkv_pieces_write(&w, &all, 1);
    mkv_pieces_write(&w, &all, 1);
    assert_int_equal(mkv_walk_sums(&walk, &ours, mkv_buf_bytes(&sums)), MKV_E_MALFORMED);
    assert_int_equal(mkv_walk_sums(&walk, &ours, mkv_bytes("\x80", 1)), MKV_E_MALFORMED);
    assert_int_equal(mkv_walk_sums(&walk, &ours, mkv_bytes("\x81", 1)), MKV_E_TRUNCATED);
    assert_int_equal(mkv_walk_sums(&walk, &ours, mkv_bytes(NULL, 0)), MKV_E_TRUNCATED);

    /* What cannot be cut is fetched. */
    lie(&sums, &all, 1);
    assert_int_equal(mkv_walk_sums(&walk, &ours, mkv_buf_bytes(&sums)), 0);
    assert_int_equal(mkv_walk_next(&walk, &ours, &need), 0);
    assert_int_equal(need, MKV_WALK_FETCH);
    mkv_buf_deinit(&sums);
}

/* --- Memory ------------------------------------------------------------------------------- */

static void test_every_allocation_fails_in_turn(void **state)
{
    bool struck = true;

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        put_number(&ours, i, 1);
        put_number(&theirs, i, i % 100 == 0 ? 2 : 1);
    }
    for (unsigned i = 3000; i < 6000; i++) { /* more than one fetch may have */
        put_number(&ours, i, 1);
    }
    for (unsigned n = 1; struck; n++) {
        struct cost cost;
        int error;

        mem_fault_at(n);
        error = run(&cost);
        struck = mem_fault_struck();
        mem_fault_at(0);
        assert_int_equal(error, struck ? MKV_E_NO_MEMORY : 0);
        mkv_walk_deinit(&walk);
        forget_fetched();
        for (unsigned i = 0; i < 3000; i += 100) {
            put_number(&ours, i, 1);
        }
        assert_true(n < 1000);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_random_trees),
        CASE(test_equal_trees_cost_one_round),
        CASE(test_few_differences_cost_little),
        CASE(test_missing_ones_cost_little),
        CASE(test_everything_is_fetched_at_once_by_whoever_has_nothing),
        CASE(test_fetches_are_cut_by_what_we_hold),
        CASE(test_different_everywhere),
        CASE(test_long_keys),
        CASE(test_keys_in_a_chain),
        CASE(test_one_range_alone),
        CASE(test_sums_that_always_differ),
        CASE(test_sums_that_do_not_fit),
        CASE(test_every_allocation_fails_in_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
