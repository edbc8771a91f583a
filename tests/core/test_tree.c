/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index against a naive model: a sorted array that is searched and summed from end to end.
 */
#include "core/tree.h"
#include "core/tree_load.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/prng.h"

#define MODEL_MAX 4096U
#define KEY_MAX   24U

struct item {
    uint8_t key[KEY_MAX];
    size_t key_len;
    char name[MKV_NAME_MAX];
    size_t name_len;
    struct mkv_head head; /* its name is set when it is used */
    uint64_t position;
};

struct model {
    struct item at[MODEL_MAX];
    unsigned n;
};

static const uint8_t digest_key[MKV_DIGEST_KEY_LEN] = "0123456789abcde";
static struct model model;

static struct mkv_bytes item_key(const struct item *item)
{
    return mkv_bytes(item->key, item->key_len);
}

static struct mkv_head item_head(const struct item *item)
{
    struct mkv_head head = item->head;

    head.name = mkv_bytes(item->name, item->name_len);
    return head;
}

/* Few letters and lengths, so that keys repeat and are prefixes of each other. */
static struct item random_item(struct prng *prng, unsigned letters, unsigned len_max)
{
    struct item item = {0};

    item.key_len = prng_below(prng, len_max + 1);
    for (size_t i = 0; i < item.key_len; i++) {
        item.key[i] = (uint8_t)(prng_below(prng, letters) * (255 / letters));
    }
    item.name_len = 1 + prng_below(prng, prng_below(prng, 8) == 0 ? MKV_NAME_MAX : 4);
    memset(item.name, 'a' + (int)prng_below(prng, 26), item.name_len);
    item.head = (struct mkv_head){
        .tock = prng_any_width(prng) >> 1,
        .seq = prng_any_width(prng) >> 1,
        .counter = prng_any_width(prng) >> 1,
        .vhash = prng_next(prng),
        .present = prng_below(prng, 4) > 0,
    };
    item.position = prng_any_width(prng);
    return item;
}

/* The first item whose key is not less than @key. */
static unsigned model_at(struct mkv_bytes key)
{
    unsigned i = 0;

    while (i < model.n && mkv_bytes_compare(item_key(&model.at[i]), key) < 0) {
        i++;
    }
    return i;
}

static bool model_has(unsigned i, struct mkv_bytes key)
{
    return i < model.n && mkv_bytes_equal(item_key(&model.at[i]), key);
}

static void model_put(const struct item *item)
{
    unsigned i = model_at(item_key(item));

    if (!model_has(i, item_key(item))) {
        assert_true(model.n < MODEL_MAX);
        memmove(&model.at[i + 1], &model.at[i], (model.n - i) * sizeof(*item));
        model.n++;
    }
    model.at[i] = *item;
}

static void model_remove(struct mkv_bytes key)
{
    unsigned i = model_at(key);

    if (model_has(i, key)) {
        model.n--;
        memmove(&model.at[i], &model.at[i + 1], (model.n - i) * sizeof(struct item));
    }
}

static void assert_entry(bool found, const struct mkv_tree_entry *entry, unsigned i)
{
    assert_int_equal(found, i < model.n);
    if (!found) {
        return;
    }

    struct mkv_head head = item_head(&model.at[i]);

    assert_true(mkv_bytes_equal(entry->key, item_key(&model.at[i])));
    assert_int_equal(mkv_head_compare(&entry->head, &head), 0);
    assert_int_equal(entry->position, model.at[i].position);
}

static struct mkv_summary model_sums(unsigned from, unsigned to)
{
    struct mkv_summary sums = {0};

    for (unsigned i = from; i < to; i++) {
        struct mkv_head head = item_head(&model.at[i]);

        sums.n_entries++;
        sums.n_live += head.present;
        mkv_digest_add(&sums.digest, mkv_entry_digest(digest_key, item_key(&model.at[i]), &head));
    }
    return sums;
}

static void assert_sums(struct mkv_summary got, struct mkv_summary want)
{
    assert_int_equal(got.n_entries, want.n_entries);
    assert_int_equal(got.n_live, want.n_live);
    assert_int_equal(got.digest.high, want.digest.high);
    assert_int_equal(got.digest.low, want.digest.low);
}

static unsigned model_tombstone(unsigned i)
{
    while (i < model.n && model.at[i].head.present) {
        i++;
    }
    return i;
}

static void assert_queries(const struct mkv_tree *tree, struct mkv_bytes key)
{
    struct mkv_tree_entry entry;
    unsigned at = model_at(key);
    unsigned behind = at;

    while (behind < model.n && mkv_bytes_starts_with(item_key(&model.at[behind]), key)) {
        behind++;
    }
    if (model_has(at, key)) {
        assert_entry(mkv_tree_find(tree, key, &entry), &entry, at);
    } else {
        assert_false(mkv_tree_find(tree, key, &entry));
    }
    assert_entry(mkv_tree_at(tree, key, &entry), &entry, at);
    assert_entry(mkv_tree_next(tree, key, &entry), &entry, at + model_has(at, key));
    assert_entry(mkv_tree_behind(tree, key, &entry), &entry, behind);

    assert_entry(mkv_tree_at_tombstone(tree, key, &entry), &entry, model_tombstone(at));
    assert_entry(mkv_tree_next_tombstone(tree, key, &entry), &entry,
                 model_tombstone(at + model_has(at, key)));
    assert_sums(mkv_tree_summary(tree, key), model_sums(at, behind));
}

/* Whatever the ends are, in whatever order. */
static void assert_range(const struct mkv_tree *tree,
                         struct mkv_bytes from,
                         struct mkv_bytes to,
                         uint32_t n_max)
{
    struct mkv_tree_piece pieces[MKV_TREE_PIECES_MAX];
    unsigned start = model_at(from);
    unsigned end = to.len == 0 ? model.n : model_at(to);
    unsigned n = end > start ? end - start : 0;
    uint32_t n_pieces = mkv_tree_split(tree, from, to, n_max, pieces);

    assert_sums(mkv_tree_range(tree, from, to), model_sums(start, start + n));
    assert_int_equal(n_pieces, n == 0 ? 1 : n < n_max ? n : n_max);
    for (uint32_t i = 0; i < n_pieces; i++) {
        uint64_t n_piece = pieces[i].sum.n_entries;

        assert_true(n_piece == n / n_pieces || n_piece == n / n_pieces + 1);
        assert_sums(pieces[i].sum, model_sums(start, start + (unsigned)n_piece));
        start += (unsigned)n_piece;
        assert_true(
            mkv_bytes_equal(pieces[i].upto, i + 1 == n_pieces ? to : item_key(&model.at[start])));
    }
    assert_int_equal(start, n == 0 ? model_at(from) : end);
}

static void assert_same(const struct mkv_tree *tree)
{
    struct mkv_tree_entry entry;
    bool found = mkv_tree_at(tree, (struct mkv_bytes){0}, &entry);

    for (unsigned i = 0; i < model.n; i++) {
        assert_entry(found, &entry, i);
        found = mkv_tree_next(tree, entry.key, &entry);
    }
    assert_false(found);
}

static int put(struct mkv_tree *tree, const struct item *item)
{
    struct mkv_head head = item_head(item);

    return mkv_tree_put(tree, item_key(item), &head, item->position);
}

static void run(uint64_t seed, unsigned letters, unsigned len_max, unsigned n_ops)
{
    struct prng prng = {.state = seed};
    struct mkv_tree tree;
    uint64_t growth = 1 + prng_below(&prng, 8); /* of 10: puts rather than removals */

    print_message("# seed %llu\n", (unsigned long long)seed);
    model.n = 0;
    mkv_tree_init(&tree, digest_key);
    for (unsigned i = 0; i < n_ops; i++) {
        struct item item = random_item(&prng, letters, len_max);

        if (prng_below(&prng, 10) < growth) {
            assert_int_equal(put(&tree, &item), 0);
            model_put(&item);
        } else {
            mkv_tree_remove(&tree, item_key(&item));
            model_remove(item_key(&item));
        }
        if (model.n < 64 || i % 64 == 0) {
            mkv_tree_check(&tree);
        }
        item = random_item(&prng, letters, len_max);
        assert_queries(&tree, item_key(&item));

        struct item to = random_item(&prng, letters, len_max);

        assert_range(&tree, item_key(&item), item_key(&to), 1 + i % MKV_TREE_PIECES_MAX);
    }
    assert_same(&tree);
    assert_queries(&tree, (struct mkv_bytes){0});
    assert_range(&tree, (struct mkv_bytes){0}, (struct mkv_bytes){0}, MKV_TREE_PIECES_MAX);
    mkv_tree_deinit(&tree);
    assert_int_equal(mem_fault_live(), 0);
}

static void test_small(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run(seed, 2, 4, 600);
    }
}

static void test_large(void **state)
{
    (void)state;
    for (uint64_t seed = 1000; seed < 1006; seed++) {
        run(seed, 3, 10, 4000);
    }
}

/* Sorted input is the worst case of a tree without balance. */
static void test_sorted(void **state)
{
    (void)state;
    for (unsigned order = 0; order < 2; order++) {
        struct mkv_tree tree;

        model.n = 0;
        mkv_tree_init(&tree, digest_key);
        for (unsigned i = 0; i < 3000; i++) {
            unsigned number = order == 0 ? i : 3000 - i;
            struct item item = {.key = {(uint8_t)(number >> 8), (uint8_t)number},
                                .key_len = 2,
                                .name = "s",
                                .name_len = 1,
                                .position = i};

            assert_int_equal(put(&tree, &item), 0);
            model_put(&item);
        }
        mkv_tree_check(&tree);
        assert_same(&tree);
        mkv_tree_deinit(&tree);
    }
}

static void test_empty(void **state)
{
    struct mkv_tree tree;
    struct mkv_tree_entry entry;

    (void)state;
    model.n = 0;
    mkv_tree_init(&tree, digest_key);
    assert_queries(&tree, (struct mkv_bytes){0});
    assert_queries(&tree, mkv_bytes_of("a"));
    assert_range(&tree, (struct mkv_bytes){0}, (struct mkv_bytes){0}, 16);
    assert_range(&tree, mkv_bytes_of("b"), mkv_bytes_of("a"), 1);
    assert_false(mkv_tree_find(&tree, (struct mkv_bytes){0}, &entry));
    mkv_tree_remove(&tree, mkv_bytes_of("a"));
    mkv_tree_check(&tree);
    mkv_tree_deinit(&tree);
    mkv_tree_deinit(&tree);
}

/* What it replaces or removes is known by its position. */
static bool change(struct mkv_tree *tree,
                   const struct item *item,
                   bool removes,
                   struct mkv_tree_change *change)
{
    struct mkv_head head = item_head(item);
    struct mkv_tree_entry old;
    bool found = mkv_tree_find(tree, item_key(item), &old);

    if (removes) {
        assert_int_equal(mkv_tree_withdraw(tree, item_key(item), change), found);
    } else {
        assert_int_equal(mkv_tree_change(tree, item_key(item), &head, item->position, change), 0);
        assert_int_equal(change->replaced != NULL, found);
    }
    if (found) {
        assert_int_equal(mkv_tree_replaced_position(*change), old.position);
    }
    return found || !removes;
}

/* Changes and removals in batches, each of which is settled, or undone from its end. */
static void test_undo(void **state)
{
    struct mkv_tree_change changes[40];

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct prng prng = {.state = seed};
        struct mkv_tree tree;

        print_message("# seed %llu\n", (unsigned long long)seed);
        model.n = 0;
        mkv_tree_init(&tree, digest_key);
        for (unsigned batch = 0; batch < 60; batch++) {
            unsigned n = (unsigned)prng_below(&prng, 40);
            bool keep = prng_below(&prng, 3) > 0;

            for (unsigned i = 0; i < n;) {
                struct item item = random_item(&prng, 2, 5);

                if (!change(&tree, &item, prng_below(&prng, 3) == 0, &changes[i])) {
                    continue; /* a removal of what is not there */
                }
                i++;
                if (keep && changes[i - 1].placed != NULL) {
                    model_put(&item);
                } else if (keep) {
                    model_remove(item_key(&item));
                }
            }
            for (unsigned i = n; i > 0; i--) {
                if (keep) {
                    mkv_tree_settle(changes[i - 1]);
                } else {
                    mkv_tree_undo(&tree, changes[i - 1]);
                }
            }
            mkv_tree_check(&tree);
            assert_same(&tree);
        }
        mkv_tree_deinit(&tree);
        assert_int_equal(mem_fault_live(), 0);
    }
}

static void add(struct mkv_tree_loader *loader,
                const struct mkv_tree *tree,
                const struct item *item,
                bool gone)
{
    struct mkv_head head = item_head(item);

    if (gone) {
        assert_int_equal(mkv_tree_loader_add_gone(loader, tree, item_key(item), item->position), 0);
        model_remove(item_key(item));
    } else {
        assert_int_equal(mkv_tree_loader_add(loader, tree, item_key(item), &head, item->position),
                         0);
        model_put(item);
    }
}

/* Takes what has been left behind; returns how much of it says that its key is gone. */
static unsigned take_rest(struct mkv_tree_loader *loader, unsigned n_left, const bool *last_gone)
{
    uint64_t position;
    unsigned n_gone = 0;
    bool gone_since;

    while (mkv_tree_loader_take(loader, &position, &gone_since)) {
        for (unsigned i = 0; i < model.n; i++) {
            assert_int_not_equal(model.at[i].position, position);
        }
        assert_int_equal(gone_since, last_gone[position]);
        n_gone += gone_since;
        assert_true(n_left-- > 0);
    }
    assert_int_equal(n_left, 0);
    return n_gone;
}

/* All at once, in any order and with many a key twice: as if put one after the other. */
static void run_load(uint64_t seed, unsigned letters, unsigned len_max, unsigned n)
{
    static struct item items[MODEL_MAX];
    bool last_gone[MODEL_MAX] = {false};
    struct prng prng = {.state = seed};
    struct mkv_tree_loader loader;
    struct mkv_tree tree;
    unsigned n_gone = 0;

    print_message("# seed %llu\n", (unsigned long long)seed);
    model.n = 0;
    mkv_tree_init(&tree, digest_key);
    mkv_tree_loader_init(&loader, seed);
    for (unsigned i = 1; i <= n; i++) {
        items[i] = random_item(&prng, letters, len_max);
        items[i].position = i;
        last_gone[i] = prng_below(&prng, 5) == 0;
        add(&loader, &tree, &items[i], last_gone[i]);
        for (unsigned old = 1; old < i; old++) {
            if (mkv_bytes_equal(item_key(&items[old]), item_key(&items[i]))) {
                last_gone[old] = false;
            }
        }
    }
    for (unsigned i = 1; i <= n; i++) {
        n_gone += last_gone[i];
    }
    mkv_tree_loader_finish(&loader, &tree);
    mkv_tree_check(&tree);
    assert_same(&tree);
    assert_int_equal(take_rest(&loader, n - model.n, last_gone), n_gone);
    for (unsigned i = 0; i < 50; i++) { /* and it is a tree like any other */
        struct item item = random_item(&prng, letters, len_max);

        assert_int_equal(put(&tree, &item), 0);
        model_put(&item);
        item = random_item(&prng, letters, len_max);
        mkv_tree_remove(&tree, item_key(&item));
        model_remove(item_key(&item));
    }
    mkv_tree_check(&tree);
    assert_same(&tree);
    mkv_tree_loader_deinit(&loader);
    mkv_tree_deinit(&tree);
    assert_int_equal(mem_fault_live(), 0);
}

static void test_load(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        run_load(seed, 2, 4, (unsigned)seed - 1);
        run_load(seed, 2, KEY_MAX, 400);
        run_load(seed, 3, 9, 1000);
        run_load(seed, 1, KEY_MAX, 300);
        run_load(seed, 200, KEY_MAX, 1000);
    }
}

static void test_load_no_memory(void **state)
{
    struct item item = {.key = {1}, .key_len = 1, .name = "s", .name_len = 1};
    struct mkv_head head = item_head(&item);
    struct mkv_tree_loader loader;
    struct mkv_tree tree;

    (void)state;
    mkv_tree_init(&tree, digest_key);
    mkv_tree_loader_init(&loader, 1);
    for (unsigned n = 1; n <= 2; n++) {
        mem_fault_at(n);
        assert_int_equal(mkv_tree_loader_add(&loader, &tree, item_key(&item), &head, 1),
                         MKV_E_NO_MEMORY);
    }
    mem_fault_at(0);
    assert_int_equal(mkv_tree_loader_add(&loader, &tree, item_key(&item), &head, 1), 0);
    mkv_tree_loader_deinit(&loader); /* without finishing */
    assert_int_equal(mem_fault_live(), 0);
}

static void test_borrowed_from_itself(void **state)
{
    struct item item = {.key = {1, 2}, .key_len = 2, .name = "abc", .name_len = 3};
    struct mkv_tree tree;
    struct mkv_tree_entry entry;

    (void)state;
    model.n = 0;
    mkv_tree_init(&tree, digest_key);
    assert_int_equal(put(&tree, &item), 0);
    assert_true(mkv_tree_find(&tree, item_key(&item), &entry));
    entry.head.tock = 7;
    assert_int_equal(mkv_tree_put(&tree, entry.key, &entry.head, 9), 0);
    item.head.tock = 7;
    item.position = 9;
    model_put(&item);
    assert_queries(&tree, item_key(&item));
    assert_true(mkv_tree_find(&tree, item_key(&item), &entry));
    mkv_tree_remove(&tree, entry.key);
    model.n = 0;
    assert_queries(&tree, item_key(&item));
    mkv_tree_deinit(&tree);
}

static void test_no_memory(void **state)
{
    struct prng prng = {.state = 5};
    struct mkv_tree tree;

    (void)state;
    model.n = 0;
    mkv_tree_init(&tree, digest_key);
    for (unsigned i = 0; i < 500; i++) {
        struct item item = random_item(&prng, 2, 6);
        bool fails = i % 3 == 0;

        mem_fault_at(fails ? 1 : 0);
        assert_int_equal(put(&tree, &item), fails ? MKV_E_NO_MEMORY : 0);
        mem_fault_at(0);
        if (!fails) {
            model_put(&item);
        }
        mkv_tree_check(&tree);
        assert_same(&tree);
    }
    mkv_tree_deinit(&tree);
    assert_int_equal(mem_fault_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),     cmocka_unit_test(test_small),
        cmocka_unit_test(test_large),     cmocka_unit_test(test_sorted),
        cmocka_unit_test(test_undo),      cmocka_unit_test(test_borrowed_from_itself),
        cmocka_unit_test(test_load),      cmocka_unit_test(test_load_no_memory),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
