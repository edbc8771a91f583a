/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sorted arrays and a journal of what the open transaction has done to them.  A removed item
 * stays in its array until the commit, which closes all holes in one go.
 */
#include "store/log_memory.h"

#include "base/assert.h"
#include "base/mem.h"

#define N_TABLES      2U
#define FIRST_CAP     16U
#define ITEM_OVERHEAD 32U

struct item {
    size_t value_len;
    bool removed;
    uint8_t key_len;
    uint8_t bytes[]; /* the key, then the value */
};

struct table {
    struct item **at; /* owned, as are the items; in the order of their keys */
    size_t n;
    size_t cap;
};

/* One of: placed where nothing was; placed where @replaced was; @placed marked as removed. */
struct step {
    enum mkv_log_table table;
    struct item *placed;
    struct item *replaced; /* owned */
    bool removal;
};

struct mkv_disk {
    struct table tables[N_TABLES];
    struct step *steps; /* owned; of the open transaction */
    size_t n_steps;
    size_t steps_cap;
    uint64_t size_max;
    uint64_t used; /* bytes, as of the open transaction; removals count when committed */
    uint64_t n_commits;
    uint8_t note[MKV_LOG_NOTE_MAX];
    size_t note_len;
    uint64_t fail_in;
    int fail_with;
    bool failed;
    enum mkv_log_purpose purpose;
    bool open;
};

struct memory_log {
    struct mkv_log log; /* first, so that one pointer is the other */
    struct mkv_disk *disk;
    bool owns;
};

static struct mkv_disk *disk_of(struct mkv_log *log)
{
    return ((struct memory_log *)(void *)log)->disk;
}

static struct mkv_bytes item_key(const struct item *item)
{
    return mkv_bytes(item->bytes, item->key_len);
}

static struct mkv_bytes item_value(const struct item *item)
{
    return mkv_bytes(item->bytes + item->key_len, item->value_len);
}

static uint64_t item_size(const struct item *item)
{
    return item->key_len + item->value_len + ITEM_OVERHEAD;
}

static int access_disk(struct mkv_disk *disk)
{
    if (disk->fail_in > 0 && --disk->fail_in == 0) {
        disk->failed = true;
        return disk->fail_with;
    }
    return 0;
}

/* The first item whose key is not less than @key, removed ones included. */
static size_t find(const struct table *table, struct mkv_bytes key)
{
    size_t low = 0;
    size_t high = table->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (mkv_bytes_compare(item_key(table->at[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_at(const struct table *table, size_t i, struct mkv_bytes key)
{
    return i < table->n && mkv_bytes_equal(item_key(table->at[i]), key);
}

static int memory_get(struct mkv_log *log,
                      enum mkv_log_table which,
                      struct mkv_bytes key,
                      struct mkv_bytes *ret_value)
{
    struct mkv_disk *disk = disk_of(log);
    const struct table *table = &disk->tables[which];
    size_t i = find(table, key);
    int error = access_disk(disk);

    if (error != 0) {
        return error;
    }
    if (!is_at(table, i, key) || table->at[i]->removed) {
        return MKV_E_NOT_FOUND;
    }
    *ret_value = item_value(table->at[i]);
    return 0;
}

static int memory_seek(struct mkv_log *log,
                       enum mkv_log_table which,
                       struct mkv_bytes key,
                       struct mkv_bytes *ret_key,
                       struct mkv_bytes *ret_value)
{
    struct mkv_disk *disk = disk_of(log);
    const struct table *table = &disk->tables[which];
    size_t i = find(table, key);
    int error = access_disk(disk);

    if (error != 0) {
        return error;
    }
    while (i < table->n && table->at[i]->removed) {
        i++;
    }
    if (i == table->n) {
        return MKV_E_NOT_FOUND;
    }
    *ret_key = item_key(table->at[i]);
    *ret_value = item_value(table->at[i]);
    return 0;
}

static int memory_begin(struct mkv_log *log, enum mkv_log_purpose purpose)
{
    struct mkv_disk *disk = disk_of(log);
    int error = access_disk(disk);

    MKV_ASSERT(!disk->open);
    if (error == 0) {
        disk->open = true;
        disk->purpose = purpose;
    }
    return error;
}

static void *grown(void *at, size_t n, size_t *cap, size_t item_len)
{
    if (n < *cap) {
        return at;
    }

    size_t more = *cap > 0 ? 2 * *cap : FIRST_CAP;
    void *moved = mkv_mem_resize(at, more * item_len);

    if (moved != NULL) {
        *cap = more;
    }
    return moved;
}

static int reserve(struct mkv_disk *disk, struct table *table)
{
    struct step *steps = grown(disk->steps, disk->n_steps, &disk->steps_cap, sizeof(*steps));

    if (steps == NULL) {
        return MKV_E_NO_MEMORY;
    }
    disk->steps = steps;

    struct item **at = grown(table->at, table->n, &table->cap, sizeof(struct item *));

    if (at == NULL) {
        return MKV_E_NO_MEMORY;
    }
    table->at = at;
    return 0;
}

static int item_new(struct mkv_disk *disk, struct mkv_bytes key, size_t len, struct item **ret_item)
{
    struct item *item = mkv_mem_alloc(sizeof(*item) + key.len + len);

    if (item == NULL) {
        return MKV_E_NO_MEMORY;
    }
    item->value_len = len;
    item->key_len = (uint8_t)key.len;
    memcpy(item->bytes, key.at, key.len);
    if (disk->size_max > 0 && disk->purpose == MKV_LOG_WRITE &&
        disk->used + item_size(item) > disk->size_max) {
        mkv_mem_free(item);
        return MKV_E_MAP_FULL;
    }
    disk->used += item_size(item);
    *ret_item = item;
    return 0;
}

static int memory_put(struct mkv_log *log,
                      enum mkv_log_table which,
                      struct mkv_bytes key,
                      size_t len,
                      uint8_t **ret_at)
{
    struct mkv_disk *disk = disk_of(log);
    struct table *table = &disk->tables[which];
    size_t i = find(table, key);
    struct item *item = NULL;
    int error = access_disk(disk);

    MKV_ASSERT(which == MKV_LOG_META || i == table->n);
    error = error != 0 ? error : reserve(disk, table);
    error = error != 0 ? error : item_new(disk, key, len, &item);
    if (error != 0) {
        return error;
    }

    struct step step = {.table = which, .placed = item};

    if (is_at(table, i, key)) {
        step.replaced = table->at[i];
    } else {
        memmove(&table->at[i + 1], &table->at[i], (table->n - i) * sizeof(struct item *));
        table->n++;
    }
    table->at[i] = item;
    disk->steps[disk->n_steps++] = step;
    *ret_at = item->bytes + item->key_len;
    return 0;
}

static int memory_remove(struct mkv_log *log, enum mkv_log_table which, struct mkv_bytes key)
{
    struct mkv_disk *disk = disk_of(log);
    struct table *table = &disk->tables[which];
    size_t i = find(table, key);
    int error = access_disk(disk);

    error = error != 0 ? error : reserve(disk, table);
    if (error != 0) {
        return error;
    }
    if (!is_at(table, i, key) || table->at[i]->removed) {
        return MKV_E_NOT_FOUND;
    }
    table->at[i]->removed = true;
    disk->steps[disk->n_steps++] =
        (struct step){.table = which, .placed = table->at[i], .removal = true};
    return 0;
}

static void undo(struct mkv_disk *disk, const struct step *step)
{
    struct table *table = &disk->tables[step->table];
    size_t i = find(table, item_key(step->placed));

    if (step->removal) {
        step->placed->removed = false;
        return;
    }
    if (step->replaced != NULL) {
        table->at[i] = step->replaced;
    } else {
        table->n--;
        memmove(&table->at[i], &table->at[i + 1], (table->n - i) * sizeof(struct item *));
    }
    disk->used -= item_size(step->placed);
    mkv_mem_free(step->placed);
}

static void memory_abort(struct mkv_log *log)
{
    struct mkv_disk *disk = disk_of(log);

    while (disk->n_steps > 0) {
        undo(disk, &disk->steps[--disk->n_steps]);
    }
    disk->open = false;
}

static void close_holes(struct mkv_disk *disk, struct table *table)
{
    size_t n = 0;

    for (size_t i = 0; i < table->n; i++) {
        struct item *item = table->at[i];

        if (item->removed) {
            disk->used -= item_size(item);
            mkv_mem_free(item);
        } else {
            table->at[n++] = item;
        }
    }
    table->n = n;
}

static int memory_commit(struct mkv_log *log)
{
    struct mkv_disk *disk = disk_of(log);
    int error = access_disk(disk);
    bool holes[N_TABLES] = {false};

    if (error != 0) {
        memory_abort(log);
        return error;
    }
    for (size_t i = 0; i < disk->n_steps; i++) {
        struct step *step = &disk->steps[i];

        holes[step->table] |= step->removal;
        if (step->replaced != NULL) {
            disk->used -= item_size(step->replaced);
            mkv_mem_free(step->replaced);
        }
    }
    disk->n_steps = 0;
    for (unsigned i = 0; i < N_TABLES; i++) {
        if (holes[i]) {
            close_holes(disk, &disk->tables[i]);
        }
    }
    disk->n_commits++;
    disk->open = false;
    return 0;
}

static uint64_t memory_number(struct mkv_log *log)
{
    return disk_of(log)->n_commits;
}

static int memory_note_read(struct mkv_log *log,
                            uint8_t ret_note[MKV_LOG_NOTE_MAX],
                            size_t *ret_len)
{
    struct mkv_disk *disk = disk_of(log);
    int error = access_disk(disk);

    if (error == 0) {
        memcpy(ret_note, disk->note, disk->note_len);
        *ret_len = disk->note_len;
    }
    return error;
}

static int memory_note_write(struct mkv_log *log, struct mkv_bytes note)
{
    struct mkv_disk *disk = disk_of(log);
    int error = access_disk(disk);

    if (error == 0) {
        disk->note_len = note.len < MKV_LOG_NOTE_MAX ? note.len : MKV_LOG_NOTE_MAX;
        memcpy(disk->note, note.at, disk->note_len);
    }
    return error;
}

static void memory_sizes(struct mkv_log *log, uint64_t *ret_bytes_used, uint64_t *ret_bytes_max)
{
    const struct mkv_disk *disk = disk_of(log);

    *ret_bytes_used = disk->used;
    *ret_bytes_max = disk->size_max > 0 ? disk->size_max : SIZE_MAX;
}

static void memory_free(struct mkv_log *base)
{
    struct memory_log *log = (struct memory_log *)(void *)base;

    if (log->disk->open) {
        memory_abort(base);
    }
    if (log->owns) {
        mkv_disk_free(log->disk);
    }
    mkv_mem_free(log);
}

static const struct mkv_log_methods memory_methods = {
    .get = memory_get,
    .seek = memory_seek,
    .begin = memory_begin,
    .put = memory_put,
    .remove = memory_remove,
    .commit = memory_commit,
    .abort = memory_abort,
    .number = memory_number,
    .note_read = memory_note_read,
    .note_write = memory_note_write,
    .sizes = memory_sizes,
    .free = memory_free,
};

struct mkv_disk *mkv_disk_new(uint64_t size_max)
{
    struct mkv_disk *disk = mkv_mem_alloc(sizeof(*disk));

    if (disk != NULL) {
        disk->size_max = size_max;
    }
    return disk;
}

static void free_tables(struct table tables[N_TABLES])
{
    for (unsigned i = 0; i < N_TABLES; i++) {
        for (size_t j = 0; j < tables[i].n; j++) {
            mkv_mem_free(tables[i].at[j]);
        }
        mkv_mem_free(tables[i].at);
        tables[i] = (struct table){0};
    }
}

void mkv_disk_free(struct mkv_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    free_tables(disk->tables);
    mkv_mem_free(disk->steps);
    mkv_mem_free(disk);
}

static int copy_table(const struct table *table, struct table *copy)
{
    if (table->n == 0) {
        return 0;
    }
    copy->at = mkv_mem_alloc(table->n * sizeof(struct item *));
    if (copy->at == NULL) {
        return MKV_E_NO_MEMORY;
    }
    copy->cap = table->n;
    for (; copy->n < table->n; copy->n++) {
        const struct item *item = table->at[copy->n];
        size_t len = sizeof(*item) + item->key_len + item->value_len;

        copy->at[copy->n] = mkv_mem_alloc(len);
        if (copy->at[copy->n] == NULL) {
            return MKV_E_NO_MEMORY;
        }
        memcpy(copy->at[copy->n], item, len);
    }
    return 0;
}

/* NO_MEMORY: nothing is left of the copy. */
static int copy_tables(const struct mkv_disk *disk, struct table ret_copies[N_TABLES])
{
    int error = 0;

    for (unsigned i = 0; i < N_TABLES && error == 0; i++) {
        error = copy_table(&disk->tables[i], &ret_copies[i]);
    }
    if (error != 0) {
        free_tables(ret_copies);
    }
    return error;
}

int mkv_disk_snapshot(const struct mkv_disk *disk, struct mkv_disk **ret_copy)
{
    if (disk->open) {
        return MKV_E_BAD_STATE;
    }

    struct mkv_disk *copy = mkv_disk_new(disk->size_max);

    if (copy == NULL || copy_tables(disk, copy->tables) != 0) {
        mkv_mem_free(copy);
        return MKV_E_NO_MEMORY;
    }
    copy->used = disk->used;
    copy->n_commits = disk->n_commits;
    *ret_copy = copy;
    return 0;
}

int mkv_disk_restore(struct mkv_disk *disk, const struct mkv_disk *copy)
{
    struct table tables[N_TABLES] = {0};
    int error = copy_tables(copy, tables);

    if (error == 0) {
        free_tables(disk->tables);
        memcpy(disk->tables, tables, sizeof(tables));
        disk->used = copy->used;
        disk->n_commits = copy->n_commits;
    }
    return error;
}

void mkv_disk_fail_at(struct mkv_disk *disk, uint64_t n, int error)
{
    disk->fail_in = n;
    disk->fail_with = error;
    disk->failed = false;
}

bool mkv_disk_failed(const struct mkv_disk *disk)
{
    return disk->failed;
}

uint64_t mkv_disk_commits(const struct mkv_disk *disk)
{
    return disk->n_commits;
}

void mkv_disk_resize(struct mkv_disk *disk, uint64_t size_max)
{
    disk->size_max = size_max;
}

void mkv_disk_damage(struct mkv_disk *disk, enum mkv_log_table table, size_t n)
{
    if (n < disk->tables[table].n && disk->tables[table].at[n]->value_len > 0) {
        struct item *item = disk->tables[table].at[n];

        item->bytes[item->key_len + item->value_len / 2] ^= 0x10;
    }
}

int mkv_log_memory_open(struct mkv_disk *disk, bool owns, struct mkv_log **ret_log)
{
    struct memory_log *log = mkv_mem_alloc(sizeof(*log));

    if (log == NULL) {
        return MKV_E_NO_MEMORY;
    }
    log->log.methods = &memory_methods;
    log->disk = disk;
    log->owns = owns;
    *ret_log = &log->log;
    return 0;
}
