/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of conflicts against a naive model: what is kept, counted and dropped, in which order
 * it is told, and that it is just what the store holds, whatever fails on the way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "core/conflicts.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/prng.h"
#include "store/log_memory.h"
#include "store/store.h"
#include "wire/path.h"

#define ROWS_MAX 64U
#define PATHS    6U

static const struct mkv_conflict_limits small[MKV_CONFLICT_CLASSES] = {
    {.n_max = 12, .bytes_max = 6000, .rows = {20, 5}, .bytes = {6000, 800}},
    {.n_max = 3, .bytes_max = 1000, .rows = {4, 2}, .bytes = {1000, 300}},
};

/* --- The model: rows in the order of being told ----------------------------------------------- */

struct model_row {
    uint64_t id;
    uint64_t number;
    uint64_t more;
    uint64_t more_stored;
    unsigned path;
    uint32_t class_;
    size_t size;
    uint8_t value; /* its byte */
};

struct model {
    unsigned n;
    struct model_row rows[ROWS_MAX];
    uint64_t number;
    int64_t kept_ms[PATHS];
    struct mkv_bucket rows_used[MKV_CONFLICT_CLASSES];
    struct mkv_bucket bytes_used[MKV_CONFLICT_CLASSES];
};

static void model_remove(struct model *model, unsigned at)
{
    model->n--;
    memmove(&model->rows[at], &model->rows[at + 1], (model->n - at) * sizeof(model->rows[0]));
}

static unsigned model_of_path(const struct model *model, unsigned path)
{
    unsigned n = 0;

    for (unsigned i = 0; i < model->n; i++) {
        n += model->rows[i].path == path;
    }
    return n;
}

/* The one of a path with the least or the greatest number; ROWS_MAX if there is none. */
static unsigned model_extreme(const struct model *model, unsigned path, bool greatest)
{
    unsigned at = ROWS_MAX;

    for (unsigned i = 0; i < model->n; i++) {
        if (model->rows[i].path == path &&
            (at == ROWS_MAX || greatest == (model->rows[i].number > model->rows[at].number))) {
            at = i;
        }
    }
    return at;
}

static bool model_over(const struct model *model, uint32_t class_)
{
    size_t bytes = 0;
    unsigned n = 0;

    for (unsigned i = 0; i < model->n; i++) {
        if (model->rows[i].class_ == class_) {
            bytes += model->rows[i].size;
            n++;
        }
    }
    return n > small[class_].n_max || bytes > small[class_].bytes_max;
}

static void model_make_room(struct model *model, uint32_t class_)
{
    while (model_over(model, class_)) {
        unsigned at = 0;

        while (model->rows[at].class_ != class_) {
            at++;
        }
        model_remove(model, at);
    }
}

static enum mkv_conflict_verdict model_count(struct model *model, unsigned path)
{
    unsigned at = model_extreme(model, path, true);

    if (at == ROWS_MAX) {
        return MKV_CONFLICT_BEYOND;
    }
    model->rows[at].more++;
    return MKV_CONFLICT_COUNTED;
}

static enum mkv_conflict_verdict model_add(struct model *model,
                                           int64_t now_ms,
                                           struct model_row row)
{
    const struct mkv_conflict_limits *limits = &small[row.class_];

    if (model_of_path(model, row.path) > 0 && now_ms - model->kept_ms[row.path] < 1000) {
        return model_count(model, row.path);
    }
    if (mkv_bucket_room(&model->rows_used[row.class_], &limits->rows, now_ms) < 1 ||
        mkv_bucket_room(&model->bytes_used[row.class_], &limits->bytes, now_ms) < row.size) {
        return model_count(model, row.path);
    }
    mkv_bucket_use(&model->rows_used[row.class_], 1);
    mkv_bucket_use(&model->bytes_used[row.class_], row.size);
    if (model_of_path(model, row.path) == MKV_CONFLICTS_OF_PATH) {
        model_remove(model, model_extreme(model, row.path, false));
    }
    row.number = ++model->number;
    model->kept_ms[row.path] = now_ms;
    model->rows[model->n++] = row;
    model_make_room(model, row.class_);
    return MKV_CONFLICT_KEPT;
}

/* Those with news move to the end, class by class. */
static void model_say(struct model *model, unsigned n_max)
{
    unsigned n = 0;

    for (uint32_t class_ = 0; class_ < MKV_CONFLICT_CLASSES; class_++) {
        unsigned n_left = model->n;

        for (unsigned i = 0; n_left > 0; n_left--) {
            struct model_row row = model->rows[i];

            if (row.class_ != class_ || row.more == row.more_stored || n == n_max) {
                i++;
                continue;
            }
            row.more_stored = row.more;
            model_remove(model, i);
            model->rows[model->n++] = row;
            n++;
        }
    }
}

static int by_number(const void *a, const void *b)
{
    const struct model_row *x = a;
    const struct model_row *y = b;

    return x->number < y->number ? -1 : x->number > y->number;
}

/* What is left after a start: no counts but those stored, no times, the order of the store. */
static void model_reload(struct model *model)
{
    model->number = 0;
    for (unsigned i = 0; i < model->n; i++) {
        model->rows[i].more = model->rows[i].more_stored;
        model->number =
            model->rows[i].number > model->number ? model->rows[i].number : model->number;
    }
    for (unsigned i = 0; i < PATHS; i++) {
        model->kept_ms[i] = -1000000;
    }
    qsort(model->rows, model->n, sizeof(model->rows[0]), by_number);
}

/* --- A record beside it ------------------------------------------------------------------------ */

struct world {
    struct prng prng;
    struct mkv_disk *disk;
    struct mkv_store *store;
    struct mkv_conflicts conflicts;
    struct model model;
    struct model committed;
    uint64_t boots;
    uint64_t ids;
    int64_t now_ms;
};

static void open_store(struct world *world)
{
    struct mkv_store_options options = {.boot_nonce = ++world->boots};
    struct mkv_store_report report;

    assert_int_equal(mkv_store_open_disk(world->disk, &options, &world->store, &report), 0);
}

static void start(struct world *world, uint64_t seed)
{
    *world = (struct world){.prng = {seed}, .disk = mkv_disk_new(0), .now_ms = 5000};
    assert_non_null(world->disk);
    open_store(world);
    model_reload(&world->model);
    model_reload(&world->committed);
    assert_int_equal(mkv_conflicts_load(&world->conflicts, small, world->store), 0);
}

static void stop(struct world *world)
{
    mkv_conflicts_deinit(&world->conflicts);
    mkv_store_close(world->store);
    mkv_disk_free(world->disk);
}

static struct mkv_bytes key_of(unsigned path, uint8_t space[2])
{
    space[0] = 0x41;
    space[1] = (uint8_t)(path + 1);
    return path == 0 ? mkv_bytes(space, 0) : mkv_bytes(space, 2);
}

static const char *path_of(unsigned path)
{
    static const char *const paths[PATHS] = {"\x80",     "\x81\x02", "\x81\x03",
                                             "\x81\x04", "\x81\x05", "\x81\x06"};

    return paths[path];
}

struct written {
    struct mkv_conflict_row row;
    uint8_t value[300];
};

static void write_row(const struct model_row *from, size_t value_len, struct written *written)
{
    memset(written->value, from->value, sizeof(written->value));
    written->value[0] = 0x59;
    written->value[1] = (uint8_t)((value_len - 3) >> 8);
    written->value[2] = (uint8_t)(value_len - 3);
    written->row = (struct mkv_conflict_row){
        .id = from->id,
        .path = mkv_bytes(path_of(from->path), from->path == 0 ? 1 : 2),
        .class_ = from->class_,
        .when = from->id + 1000,
        .more = 77, /* not looked at */
        .loser = {.has_tock = true,
                  .present = true,
                  .tock = from->id,
                  .value = mkv_bytes(written->value, value_len),
                  .ticks = {.n = 1, .at = {{mkv_bytes_of("a"), 1, 1 + from->id}}}},
        .winner = {.has_tock = true,
                   .tock = from->id + 1,
                   .ticks = {.n = 1, .at = {{mkv_bytes_of("b"), 1, 1}}}},
    };
}

static size_t size_of(const struct written *written, struct mkv_bytes key)
{
    struct mkv_conflict_row row = written->row;
    struct mkv_cbor_writer w;
    struct mkv_buf out;

    row.more = 0;
    mkv_buf_init(&out, 4096);
    mkv_cbor_writer_init(&w, &out);
    mkv_conflict_row_write(&w, &row);
    assert_int_equal(w.error, 0);

    size_t size = out.len + key.len + 128;

    mkv_buf_deinit(&out);
    return size;
}

static struct model_row draw(struct world *world, struct written *written)
{
    uint8_t space[2];
    struct model_row row = {
        .id = ++world->ids * UINT64_C(0x9e3779b97f4a7c15),
        .path = (unsigned)prng_below(&world->prng, PATHS),
        .class_ = prng_below(&world->prng, 3) == 0,
        .value = (uint8_t)prng_next(&world->prng),
    };

    row.id >>= 1; /* a tock is made of it */
    write_row(&row, 3 + (size_t)prng_below(&world->prng, 290), written);
    row.size = size_of(written, key_of(row.path, space));
    return row;
}

static int add(struct world *world)
{
    uint8_t space[2];
    struct written written;
    enum mkv_conflict_verdict verdict;

    mem_fault_pause(true);

    struct model_row row = draw(world, &written);

    mem_fault_pause(false);

    int error = mkv_conflicts_add(&world->conflicts, world->store, world->now_ms,
                                  key_of(row.path, space), &written.row, &verdict);

    if (error == 0) {
        assert_int_equal(verdict, model_add(&world->model, world->now_ms, row));
        assert_int_equal(mkv_conflicts_know(&world->conflicts, row.id),
                         verdict == MKV_CONFLICT_KEPT);
    }
    return error;
}

static void check_row(struct world *world,
                      const struct mkv_conflict_kept *kept,
                      const struct model_row *expected,
                      struct mkv_buf *space)
{
    struct mkv_conflict_row row;

    assert_true(kept->id == expected->id);
    assert_int_equal(kept->class_, expected->class_);
    assert_int_equal(kept->size, expected->size);
    assert_int_equal(mkv_conflicts_read(kept, world->store, space, &row), 0);
    assert_true(row.id == expected->id);
    assert_true(row.more == expected->more);
    assert_int_equal(row.class_, expected->class_);
    assert_true(
        mkv_bytes_equal(row.path, mkv_bytes(path_of(expected->path), expected->path == 0 ? 1 : 2)));
    assert_true(row.when == expected->id + 1000);
    assert_true(row.loser.tock == expected->id);
    assert_int_equal(row.loser.value.at[row.loser.value.len - 1],
                     row.loser.value.len > 3 ? expected->value : row.loser.value.at[2]);
    assert_true(row.winner.tock == expected->id + 1);
}

/* From the start, and from any place on. */
static void check(struct world *world)
{
    struct mkv_conflicts_walk walk;
    const struct mkv_conflict_kept *kept;
    struct mkv_buf space;
    uint64_t stamp = 0;
    unsigned from = (unsigned)prng_below(&world->prng, world->model.n + 1);

    mkv_buf_init(&space, MKV_STORE_META_MAX);
    assert_int_equal(mkv_conflicts_n(&world->conflicts), world->model.n);
    mkv_conflicts_walk_init(&walk, &world->conflicts, 0);
    for (unsigned i = 0; i < world->model.n; i++) {
        kept = mkv_conflicts_walk_next(&walk);
        assert_non_null(kept);
        check_row(world, kept, &world->model.rows[i], &space);
        stamp = i < from ? kept->stamp : stamp;
    }
    assert_null(mkv_conflicts_walk_next(&walk));
    mkv_conflicts_walk_init(&walk, &world->conflicts, stamp);
    for (unsigned i = from; i < world->model.n; i++) {
        kept = mkv_conflicts_walk_next(&walk);
        assert_non_null(kept);
        assert_true(kept->id == world->model.rows[i].id);
    }
    assert_null(mkv_conflicts_walk_next(&walk));
    mkv_buf_deinit(&space);
}

static void undo(struct world *world)
{
    struct mkv_bucket rows_used[MKV_CONFLICT_CLASSES];
    struct mkv_bucket bytes_used[MKV_CONFLICT_CLASSES];

    mkv_store_abort(world->store);
    memcpy(rows_used, world->model.rows_used, sizeof(rows_used));
    memcpy(bytes_used, world->model.bytes_used, sizeof(bytes_used));
    world->model = world->committed;
    memcpy(world->model.rows_used, rows_used, sizeof(rows_used));
    memcpy(world->model.bytes_used, bytes_used, sizeof(bytes_used));
    model_reload(&world->model);
    assert_int_equal(mkv_conflicts_load(&world->conflicts, small, world->store), 0);
}

static void restart(struct world *world)
{
    mkv_conflicts_deinit(&world->conflicts);
    mkv_store_close(world->store);
    open_store(world);
    world->conflicts = (struct mkv_conflicts){0};
    world->model = world->committed;
    memset(world->model.rows_used, 0, sizeof(world->model.rows_used));
    memset(world->model.bytes_used, 0, sizeof(world->model.bytes_used));
    model_reload(&world->model);
    assert_int_equal(mkv_conflicts_load(&world->conflicts, small, world->store), 0);
}

static bool model_unsaid(const struct model *model)
{
    for (unsigned i = 0; i < model->n; i++) {
        if (model->rows[i].more != model->rows[i].more_stored) {
            return true;
        }
    }
    return false;
}

static void say(struct world *world)
{
    unsigned n_max = 1 + (unsigned)prng_below(&world->prng, 4);

    assert_true(world->conflicts.unsaid || !model_unsaid(&world->model));
    assert_int_equal(mkv_conflicts_say(&world->conflicts, world->store, n_max), 0);
    model_say(&world->model, n_max);
    assert_int_equal(world->conflicts.unsaid, model_unsaid(&world->model));
}

static void step(struct world *world)
{
    switch (prng_below(&world->prng, 40)) {
    case 0:
        assert_int_equal(mkv_store_commit(world->store), 0);
        world->committed = world->model;
        break;
    case 1:
        undo(world);
        break;
    case 2:
        restart(world);
        break;
    case 3:
    case 4:
        say(world);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
        world->now_ms += (int64_t)prng_below(&world->prng, 1500);
        break;
    default:
        assert_int_equal(add(world), 0);
        break;
    }
}

static void it_agrees_with_the_model(void **state)
{
    unsigned n_kept = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct world world;

        start(&world, seed);
        for (unsigned i = 0; i < 400; i++) {
            step(&world);
            check(&world);
        }
        n_kept += world.model.n;
        stop(&world);
    }
    assert_true(n_kept > 300); /* it was not about empty records */
}

/* --- What fails --------------------------------------------------------------------------------- */

/* A transaction of a few, of which something may fail: then it is undone as if it had not been. */
static int transaction(struct world *world)
{
    int error = 0;

    for (unsigned i = 0; i < 10 && error == 0; i++) {
        error = add(world);
        world->now_ms += 300;
    }
    if (error == 0) {
        error = mkv_conflicts_say(&world->conflicts, world->store, 100);
        model_say(&world->model, 100);
    }
    return error == 0 ? mkv_store_commit(world->store) : error;
}

static bool strike(unsigned nth_allocation, uint64_t nth_access, uint64_t seed)
{
    struct world world;

    start(&world, seed);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(transaction(&world), 0);
    }
    world.committed = world.model;
    mem_fault_at(nth_allocation);
    mkv_disk_fail_at(world.disk, nth_access, MKV_E_IO);

    int error = transaction(&world);
    bool struck = mem_fault_struck() || mkv_disk_failed(world.disk);

    mem_fault_at(0);
    mkv_disk_fail_at(world.disk, 0, 0);
    assert_true(struck == (error != 0));
    if (error != 0) {
        undo(&world);
    }
    check(&world);
    stop(&world);
    return struck;
}

static void what_fails_is_undone(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        size_t live = mem_fault_live();
        unsigned n = 1;

        while (strike(n, 0, seed)) {
            n++;
        }
        assert_true(n > 8);
        n = 1;
        while (strike(0, n, seed)) {
            n++;
        }
        assert_true(n > 8);
        assert_int_equal(mem_fault_live(), live);
    }
}

/* Loading needs memory and the disk, too; when it fails, it can be tried again. */
static void a_load_that_fails_can_be_tried_again(void **state)
{
    struct world world;

    (void)state;
    start(&world, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(transaction(&world), 0);
    }
    world.committed = world.model;
    for (unsigned memory = 0; memory < 2; memory++) {
        bool struck = true;

        for (unsigned n = 1; struck; n++) {
            mem_fault_at(memory ? n : 0);
            mkv_disk_fail_at(world.disk, memory ? 0 : n, MKV_E_IO);

            int error = mkv_conflicts_load(&world.conflicts, small, world.store);

            struck = mem_fault_struck() || mkv_disk_failed(world.disk);
            assert_int_equal(error, !struck ? 0 : memory ? MKV_E_NO_MEMORY : MKV_E_IO);
        }
        mem_fault_at(0);
        mkv_disk_fail_at(world.disk, 0, 0);
    }
    model_reload(&world.model);
    check(&world);
    stop(&world);
}

/* --- Damage ------------------------------------------------------------------------------------- */

static unsigned n_meta_rows(struct world *world)
{
    uint8_t tags[] = {'x', 'y'};
    unsigned n = 0;

    for (unsigned i = 0; i < 2; i++) {
        struct mkv_bytes key = mkv_bytes(&tags[i], 1);
        uint8_t space[16];
        struct mkv_bytes next;

        while (mkv_store_meta_next(world->store, mkv_bytes(&tags[i], 1), key, &next) == 0) {
            memcpy(space, next.at, next.len);
            key = mkv_bytes(space, next.len);
            n++;
        }
    }
    return n;
}

/* Whichever row is damaged: the others are told, new ones are kept, and it goes in the end. */
static void a_damaged_row_costs_no_other(void **state)
{
    (void)state;
    for (size_t row = 0; row < 40; row++) {
        struct world world;

        start(&world, 7);
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(transaction(&world), 0);
        }

        unsigned n = world.model.n;

        mkv_disk_damage(world.disk, MKV_LOG_META, row);
        assert_int_equal(mkv_conflicts_load(&world.conflicts, small, world.store), 0);
        assert_true(mkv_conflicts_n(&world.conflicts) + world.conflicts.n_damaged == n);
        assert_true(world.conflicts.n_damaged <= 1);

        struct written written;
        uint8_t space[2];
        enum mkv_conflict_verdict verdict = MKV_CONFLICT_COUNTED;

        for (unsigned i = 0; i < 60; i++) {
            struct model_row drawn = draw(&world, &written);

            world.now_ms += 2000;
            assert_int_equal(mkv_conflicts_add(&world.conflicts, world.store, world.now_ms,
                                               key_of(drawn.path, space), &written.row, &verdict),
                             0);
            assert_int_equal(verdict, MKV_CONFLICT_KEPT);
        }
        assert_int_equal(mkv_store_commit(world.store), 0);
        assert_int_equal(mkv_conflicts_load(&world.conflicts, small, world.store), 0);
        assert_int_equal(world.conflicts.n_damaged, 0);
        assert_int_equal(n_meta_rows(&world), mkv_conflicts_n(&world.conflicts));
        stop(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_the_model),
        cmocka_unit_test(what_fails_is_undone),
        cmocka_unit_test(a_load_that_fails_can_be_tried_again),
        cmocka_unit_test(a_damaged_row_costs_no_other),
    };

    return cmocka_run_group_tests_name("conflicts", tests, NULL, NULL);
}
