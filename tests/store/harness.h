/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store under test, on LMDB or in memory, and a naive model of what it must hold.
 *
 * Values are not kept: each is made from a seed, and made again to be compared.
 */
#ifndef MKV_TESTS_STORE_HARNESS_H
#define MKV_TESTS_STORE_HARNESS_H

#include <stdio.h>

#include "lib/check.h"
#include "lib/prng.h"
#include "store/log_memory.h"
#include "store/store.h"

#define MODEL_KEYS  80U
#define MODEL_METAS 24U

struct harness {
    bool lmdb;
    uint8_t digest_key[16]; /* to open with */
    char directory[256];
    struct mkv_disk *disk; /* without LMDB */
    struct mkv_store *store;
    struct mkv_store_report report; /* of the last opening */
    char detail[MKV_DETAIL_MAX];
    uint64_t n_boots;
    uint64_t size_max;
};

/* An empty place for a store; nothing is opened. */
void harness_init(struct harness *h, bool lmdb);
void harness_deinit(struct harness *h);

/* Opens with a nonce never used before. */
int harness_open(struct harness *h);
void harness_close(struct harness *h);

/* The end without warning: nothing more is written, not even the note beside the log. */
void harness_crash(struct harness *h);

struct backup {
    struct mkv_disk *disk; /* without LMDB */
    uint8_t *bytes;        /* with */
    size_t len;
};

/* Of what has been committed; restored while the store is closed.  A backup stays until it is freed. */
void harness_back_up(const struct harness *h, struct backup *ret_backup);
void harness_restore(struct harness *h, const struct backup *backup);
void backup_deinit(struct backup *backup);

/* The bytes of a file of the store's, "data.mdb" say: owned by the caller, to be freed. */
uint8_t *harness_read(const struct harness *h, const char *name, size_t *ret_len);
void harness_write(const struct harness *h, const char *name, const uint8_t *at, size_t len);

struct model_entry {
    bool exists;
    bool present;
    uint64_t position;
    uint64_t seed; /* of its whole content */
    size_t value_len;
};

struct model_meta {
    bool exists;
    uint64_t seed;
    size_t len;
};

struct model {
    struct model_entry entries[MODEL_KEYS];
    struct model_meta metas[MODEL_METAS];
    uint64_t position;
    uint64_t forgotten; /* places before it are not valid */
    uint64_t n_rows;    /* dead ones included */
};

#define PLACES_MAX 12U

struct places {
    struct mkv_place at[PLACES_MAX]; /* each of a committed state */
    unsigned n;
};

/* In the place of another one if there are too many. */
void note_place(struct places *places, struct mkv_place place);

/* The key of entry @i, and the name of meta row @i; from static memory, until the next call. */
struct mkv_bytes model_key(unsigned i);
struct mkv_bytes model_meta_name(unsigned i);

/* A put of entry @i with content made from @seed, done to the store and, if it went well, noted. */
int model_put(struct model *model, struct harness *h, unsigned i, uint64_t seed, size_t value_len);
int model_remove(struct model *model, struct harness *h, unsigned i);
int model_put_meta(struct model *model, struct harness *h, unsigned i, uint64_t seed, size_t len);
int model_delete_meta(struct model *model, struct harness *h, unsigned i);

/* The row of entry @i that the store must hold. */
void assert_entry(const struct model *model, struct harness *h, unsigned i);

/* Whether each of the places, which were all of committed states, is valid, and only those. */
void assert_places(const struct model *model, struct harness *h, const struct places *places);

/* All of it: rows, tree, meta rows, and a scan from the start. */
void assert_model(const struct model *model, struct harness *h);

/* What a scan from @position must find. */
void assert_scan(const struct model *model, struct harness *h, uint64_t position);

/* Tidies until there is no more. */
void tidy_all(struct harness *h);

#endif
