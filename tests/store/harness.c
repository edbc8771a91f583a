/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

static const uint8_t store_id[16] = "the id of store";

void harness_init(struct harness *h, bool lmdb)
{
    *h = (struct harness){.lmdb = lmdb, .digest_key = "its digest keys"};
    if (lmdb) {
        /* In memory if possible: to survive a process, which is what is tested, it is as good. */
        const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

        (void)snprintf(h->directory, sizeof(h->directory), "%s/mkv-store-XXXXXX", base);
        assert_non_null(mkdtemp(h->directory));
    } else {
        h->disk = mkv_disk_new(0);
        assert_non_null(h->disk);
    }
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void harness_deinit(struct harness *h)
{
    harness_close(h);
    mkv_disk_free(h->disk);
    h->disk = NULL;
    if (h->lmdb) {
        assert_int_equal(nftw(h->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    }
}

int harness_open(struct harness *h)
{
    struct mkv_store_options options = {
        .boot_nonce = 1000 + ++h->n_boots,
        .size_max = h->size_max,
    };

    memcpy(options.id, store_id, sizeof(store_id));
    memcpy(options.digest_key, h->digest_key, sizeof(h->digest_key));
    if (h->lmdb) {
        return mkv_store_open(h->directory, &options, &h->store, &h->report, h->detail);
    }
    return mkv_store_open_disk(h->disk, &options, &h->store, &h->report);
}

void harness_close(struct harness *h)
{
    mkv_store_close(h->store);
    h->store = NULL;
}

static FILE *open_file(const struct harness *h, const char *name, const char *mode)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", h->directory, name);
    FILE *file = fopen(path, mode);

    assert_non_null(file);
    return file;
}

/* Where the directory has another name, no note can be written. */
void harness_crash(struct harness *h)
{
    char other[300];

    if (!h->lmdb) {
        mkv_store_abort(h->store);
        mkv_disk_fail_at(h->disk, 1, MKV_E_IO);
        harness_close(h);
        mkv_disk_fail_at(h->disk, 0, 0);
        return;
    }
    (void)snprintf(other, sizeof(other), "%s-moved", h->directory);
    assert_int_equal(rename(h->directory, other), 0);
    harness_close(h);
    assert_int_equal(rename(other, h->directory), 0);
}

void harness_back_up(const struct harness *h, struct backup *ret_backup)
{
    *ret_backup = (struct backup){0};
    if (h->lmdb) { /* nothing is being written now, so the file is a backup as good as any */
        ret_backup->bytes = harness_read(h, "data.mdb", &ret_backup->len);
    } else {
        assert_int_equal(mkv_disk_snapshot(h->disk, &ret_backup->disk), 0);
    }
}

void harness_restore(struct harness *h, const struct backup *backup)
{
    if (h->lmdb) {
        harness_write(h, "data.mdb", backup->bytes, backup->len);
    } else {
        assert_int_equal(mkv_disk_restore(h->disk, backup->disk), 0);
    }
}

void backup_deinit(struct backup *backup)
{
    mkv_disk_free(backup->disk);
    free(backup->bytes);
    *backup = (struct backup){0};
}

uint8_t *harness_read(const struct harness *h, const char *name, size_t *ret_len)
{
    FILE *file = open_file(h, name, "rb");

    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *ret_len = (size_t)ftell(file);
    rewind(file);

    uint8_t *at = malloc(*ret_len);

    assert_non_null(at);
    assert_int_equal(fread(at, 1, *ret_len, file), *ret_len);
    (void)fclose(file);
    return at;
}

void harness_write(const struct harness *h, const char *name, const uint8_t *at, size_t len)
{
    FILE *file = open_file(h, name, "wb");

    assert_int_equal(fwrite(at, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* Lengths from 0 to the maximum, and some are prefixes of others. */
struct mkv_bytes model_key(unsigned i)
{
    static uint8_t key[MKV_PATH_KEY_MAX];

    memset(key, 'k', sizeof(key));
    if (i == MODEL_KEYS - 1) {
        key[7] = 'z';
        return mkv_bytes(key, sizeof(key));
    }
    if (i % 2 == 0) {
        return mkv_bytes(key, i);
    }
    key[i % 11] = (uint8_t)i;
    return mkv_bytes(key, 12 + i);
}

struct mkv_bytes model_meta_name(unsigned i)
{
    static char name[201];
    int len = snprintf(name, sizeof(name), "%c/%u", 'a' + (int)(i % 4), i);

    if (i == MODEL_METAS - 1) {
        memset(name + len, 'm', sizeof(name) - (size_t)len);
        len = 200;
    }
    return mkv_bytes(name, (size_t)len);
}

static struct mkv_bytes content(uint64_t seed, size_t len)
{
    static uint8_t bytes[MKV_STORE_META_MAX];
    struct prng prng = {.state = seed};

    prng_fill(&prng, bytes, len);
    return mkv_bytes(bytes, len);
}

static bool present_by(uint64_t seed)
{
    return seed % 5 != 0;
}

/* Everything but the value, which needs not be CBOR here. */
static struct mkv_update update_from(uint64_t seed, size_t value_len)
{
    static char names[MKV_TICKS_MAX][MKV_NAME_MAX];
    struct prng prng = {.state = seed};
    struct mkv_update update = {.has_tock = true, .present = present_by(seed)};

    update.tock = prng_any_width(&prng) >> 1;
    update.ticks.n = 1 + (uint32_t)prng_below(&prng, MKV_TICKS_MAX);
    for (uint32_t i = 0; i < update.ticks.n; i++) {
        size_t name_len = 1 + prng_below(&prng, MKV_NAME_MAX);

        memset(names[i], 'a' + (int)prng_below(&prng, 26), name_len);
        update.ticks.at[i] = (struct mkv_tick){
            .name = mkv_bytes(names[i], name_len),
            .seq = prng_any_width(&prng) >> 1,
            .counter = prng_any_width(&prng) >> 1,
        };
    }
    if (update.present) {
        update.value = content(seed, value_len);
    }
    return update;
}

int model_put(struct model *model, struct harness *h, unsigned i, uint64_t seed, size_t value_len)
{
    struct mkv_update update = update_from(seed, value_len);
    struct mkv_head head = mkv_head_of(&update);
    int error = mkv_store_put(h->store, model_key(i), &head, &update);

    if (error == 0) {
        model->position++;
        model->n_rows++;
        model->entries[i] = (struct model_entry){
            .exists = true,
            .present = present_by(seed),
            .position = model->position,
            .seed = seed,
            .value_len = value_len,
        };
    }
    return error;
}

int model_remove(struct model *model, struct harness *h, unsigned i)
{
    struct model_entry *entry = &model->entries[i];
    int error = mkv_store_remove(h->store, model_key(i));

    if (error == 0 && entry->exists) {
        uint64_t until = entry->present ? ++model->position : entry->position;

        model->position += !entry->present;
        model->n_rows++;
        model->forgotten = model->forgotten > until ? model->forgotten : until;
        *entry = (struct model_entry){0};
    }
    return error;
}

int model_put_meta(struct model *model, struct harness *h, unsigned i, uint64_t seed, size_t len)
{
    int error = mkv_store_meta_put(h->store, model_meta_name(i), content(seed, len));

    if (error == 0) {
        model->metas[i] = (struct model_meta){.exists = true, .seed = seed, .len = len};
    }
    return error;
}

int model_delete_meta(struct model *model, struct harness *h, unsigned i)
{
    int error = mkv_store_meta_delete(h->store, model_meta_name(i));

    if (error == 0) {
        model->metas[i].exists = false;
    }
    return error;
}

static void assert_same_update(const struct mkv_update *got, uint64_t seed, size_t value_len)
{
    struct mkv_update want = update_from(seed, value_len);

    assert_true(got->has_tock);
    assert_int_equal(got->present, want.present);
    assert_int_equal(got->tock, want.tock);
    assert_int_equal(got->ticks.n, want.ticks.n);
    for (uint32_t i = 0; i < want.ticks.n; i++) {
        assert_true(mkv_tick_equal(&got->ticks.at[i], &want.ticks.at[i]));
    }
    assert_true(mkv_bytes_equal(got->value, want.value));
}

void assert_entry(const struct model *model, struct harness *h, unsigned i)
{
    const struct model_entry *want = &model->entries[i];
    struct mkv_tree_entry entry;
    bool found = mkv_tree_find(mkv_store_tree(h->store), model_key(i), &entry);

    assert_int_equal(found, want->exists);
    if (!found) {
        return;
    }
    assert_int_equal(entry.position, want->position);
    assert_int_equal(entry.head.present, want->present);

    struct mkv_bytes key;
    struct mkv_update update;

    assert_int_equal(mkv_store_row(h->store, entry.position, &key, &update), 0);
    assert_true(mkv_bytes_equal(key, model_key(i)));
    assert_same_update(&update, want->seed, want->value_len);

    struct mkv_head head = mkv_head_of(&update);

    assert_int_equal(mkv_head_compare(&head, &entry.head), 0);
}

static void assert_metas(const struct model *model, struct harness *h)
{
    struct mkv_buf value;
    struct mkv_bytes name;
    uint8_t after[200];
    size_t after_len = 0;
    unsigned n = 0;
    unsigned n_listed = 0;

    mkv_buf_init(&value, MKV_STORE_META_MAX);
    for (unsigned i = 0; i < MODEL_METAS; i++) {
        int error = mkv_store_meta_get(h->store, model_meta_name(i), &value);

        assert_int_equal(error, model->metas[i].exists ? 0 : MKV_E_NOT_FOUND);
        if (error == 0) {
            assert_true(mkv_bytes_equal(mkv_buf_bytes(&value),
                                        content(model->metas[i].seed, model->metas[i].len)));
            n++;
        }
        mkv_buf_clear(&value);
    }
    mkv_buf_deinit(&value);
    while (mkv_store_meta_next(h->store, mkv_bytes(NULL, 0), mkv_bytes(after, after_len), &name) ==
           0) {
        assert_true(mkv_bytes_compare(name, mkv_bytes(after, after_len)) > 0);
        memcpy(after, name.at, name.len);
        after_len = name.len;
        n_listed++;
    }
    assert_int_equal(n_listed, n);
}

void assert_scan(const struct model *model, struct harness *h, uint64_t position)
{
    for (;;) {
        uint64_t want = 0;
        uint64_t got;

        for (unsigned i = 0; i < MODEL_KEYS; i++) {
            const struct model_entry *entry = &model->entries[i];

            if (entry->exists && entry->position > position &&
                (want == 0 || entry->position < want)) {
                want = entry->position;
            }
        }
        assert_int_equal(mkv_store_scan(h->store, position, &got), 0);
        assert_int_equal(got, want);
        if (got == 0) {
            return;
        }
        position = got;
    }
}

void note_place(struct places *places, struct mkv_place place)
{
    places->at[places->n < PLACES_MAX ? places->n++ : place.position % PLACES_MAX] = place;
}

void assert_places(const struct model *model, struct harness *h, const struct places *places)
{
    for (unsigned i = 0; i < places->n; i++) {
        assert_int_equal(mkv_store_place_valid(h->store, places->at[i]),
                         places->at[i].position >= model->forgotten);
        assert_scan(model, h, places->at[i].position);
    }
}

void assert_model(const struct model *model, struct harness *h)
{
    uint64_t n = 0;

    mkv_tree_check(mkv_store_tree(h->store));
    for (unsigned i = 0; i < MODEL_KEYS; i++) {
        assert_entry(model, h, i);
        n += model->entries[i].exists;
    }
    assert_int_equal(mkv_tree_summary(mkv_store_tree(h->store), mkv_bytes(NULL, 0)).n_entries, n);
    assert_int_equal(mkv_store_place(h->store).position, model->position);
    assert_metas(model, h);
    assert_scan(model, h, 0);
    assert_true(mkv_store_place_valid(h->store, mkv_store_place_at(h->store, model->position)));
    if (model->forgotten > 0) {
        struct mkv_place before = mkv_store_place_at(h->store, model->forgotten - 1);

        assert_false(mkv_store_place_valid(h->store, before));
    }

    struct mkv_store_stats stats;

    mkv_store_stats(h->store, &stats);
    assert_int_equal(stats.n_rows, model->n_rows);
    if (!mkv_store_dirty(h->store)) {
        assert_int_equal(stats.n_rows - stats.n_dead, n);
    }
}

void tidy_all(struct harness *h)
{
    bool more = true;

    while (more) {
        assert_int_equal(mkv_store_tidy(h->store, &more), 0);
    }
}
