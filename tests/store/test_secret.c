/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets: kept by name, in the transactions of all else, and seen by nothing else.
 */
#include "store/harness.h"

#define N_NAMES 12U

struct known {
    bool exists;
    uint8_t fill;
    size_t len;
};

static bool backend(void **state)
{
    return *(const bool *)*state;
}

/* Of 1 to 64 bytes; some are the start of others. */
static struct mkv_bytes name_of(unsigned i)
{
    static const char text[MKV_STORE_SECRET_NAME_MAX + 1] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    return mkv_bytes(&text[i % 4], i == 0 ? MKV_STORE_SECRET_NAME_MAX : 8 * (i % 4) + i);
}

static void assert_known(struct harness *h, const struct known known[N_NAMES])
{
    uint8_t after[MKV_STORE_SECRET_NAME_MAX];
    struct mkv_bytes name;
    struct mkv_buf value;
    size_t after_len = 0;
    unsigned n_known = 0;
    unsigned n_listed = 0;

    mkv_buf_init(&value, MKV_STORE_SECRET_MAX);
    for (unsigned i = 0; i < N_NAMES; i++) {
        int error = mkv_store_secret_get(h->store, name_of(i), &value);

        assert_int_equal(error, known[i].exists ? 0 : MKV_E_NOT_FOUND);
        if (error == 0) {
            assert_int_equal(value.len, known[i].len);
            for (size_t at = 0; at < value.len; at++) {
                assert_int_equal(value.at[at], known[i].fill);
            }
            n_known++;
        }
        mkv_buf_clear(&value);
    }
    mkv_buf_deinit(&value);
    while (mkv_store_secret_next(h->store, mkv_bytes(after, after_len), &name) == 0) {
        assert_true(mkv_bytes_compare(name, mkv_bytes(after, after_len)) > 0);
        memcpy(after, name.at, name.len);
        after_len = name.len;
        n_listed++;
    }
    assert_int_equal(n_listed, n_known);
}

static void change(struct harness *h, struct prng *prng, struct known known[N_NAMES])
{
    uint8_t bytes[MKV_STORE_SECRET_MAX];
    unsigned i = (unsigned)prng_below(prng, N_NAMES);
    struct known next = {true, (uint8_t)prng_below(prng, 256), prng_below(prng, 1025)};

    if (prng_below(prng, 3) == 0) {
        assert_int_equal(mkv_store_secret_delete(h->store, name_of(i)), 0);
        known[i] = (struct known){0};
        return;
    }
    memset(bytes, next.fill, sizeof(bytes));
    assert_int_equal(mkv_store_secret_put(h->store, name_of(i), mkv_bytes(bytes, next.len)), 0);
    known[i] = next;
}

static void test_model(void **state)
{
    struct prng prng = {.state = 4};
    struct known committed[N_NAMES] = {0};
    struct known now[N_NAMES] = {0};
    struct harness h;

    harness_init(&h, backend(state));
    assert_int_equal(harness_open(&h), 0);
    for (unsigned n = 0; n < 200; n++) {
        for (uint64_t i = prng_below(&prng, 6); i > 0; i--) {
            change(&h, &prng, now);
        }
        assert_known(&h, now);
        if (prng_below(&prng, 3) == 0) {
            mkv_store_abort(h.store);
            memcpy(now, committed, sizeof(now));
        } else {
            assert_int_equal(mkv_store_commit(h.store), 0);
            memcpy(committed, now, sizeof(now));
        }
        assert_known(&h, committed);
        if (n % 20 == 19) {
            change(&h, &prng, now); /* lost */
            n % 40 == 19 ? harness_close(&h) : harness_crash(&h);
            assert_int_equal(harness_open(&h), 0);
            memcpy(now, committed, sizeof(now));
            assert_known(&h, committed);
        }
    }
    harness_deinit(&h);
}

/* No meta row, no row of the log, and nothing in the digest. */
static void test_apart(void **state)
{
    struct harness h;
    struct mkv_bytes key;
    struct mkv_place place;
    struct mkv_buf value;
    uint64_t position = 7;

    harness_init(&h, backend(state));
    assert_int_equal(harness_open(&h), 0);
    place = mkv_store_place(h.store);
    mkv_buf_init(&value, MKV_STORE_META_MAX);
    assert_int_equal(mkv_store_meta_put(h.store, mkv_bytes_of("ann"), mkv_bytes_of("meta")), 0);
    assert_int_equal(mkv_store_secret_put(h.store, mkv_bytes_of("ann"), mkv_bytes_of("key")), 0);
    assert_int_equal(mkv_store_secret_put(h.store, mkv_bytes_of("bob"), mkv_bytes_of("key")), 0);
    assert_int_equal(mkv_store_commit(h.store), 0);
    assert_int_equal(mkv_store_place(h.store).position, place.position);
    assert_int_equal(mkv_store_scan(h.store, 0, &position), 0);
    assert_int_equal(position, 0);
    assert_int_equal(mkv_store_meta_get(h.store, mkv_bytes_of("bob"), &value), MKV_E_NOT_FOUND);
    assert_int_equal(mkv_store_meta_get(h.store, mkv_bytes_of("ann"), &value), 0);
    assert_true(mkv_bytes_equal(mkv_buf_bytes(&value), mkv_bytes_of("meta")));
    assert_int_equal(mkv_store_meta_next(h.store, mkv_bytes_of(""), mkv_bytes_of("ann"), &key),
                     MKV_E_NOT_FOUND);
    mkv_buf_deinit(&value);
    harness_deinit(&h);
}

static void test_limits(void **state)
{
    static const uint8_t bytes[MKV_STORE_SECRET_MAX + 1];
    struct mkv_bytes too_long = mkv_bytes(bytes, MKV_STORE_SECRET_NAME_MAX + 1);
    struct mkv_bytes found;
    struct mkv_buf value;
    struct harness h;

    harness_init(&h, backend(state));
    assert_int_equal(harness_open(&h), 0);
    mkv_buf_init(&value, 2);
    assert_int_equal(mkv_store_secret_get(h.store, too_long, &value), MKV_E_NOT_FOUND);
    assert_int_equal(mkv_store_secret_get(h.store, mkv_bytes_of(""), &value), MKV_E_NOT_FOUND);
    assert_int_equal(mkv_store_secret_delete(h.store, too_long), 0);
    assert_false(mkv_store_dirty(h.store));
    assert_int_equal(mkv_store_secret_next(h.store, too_long, &found), MKV_E_TOO_LARGE);
    assert_int_equal(mkv_store_secret_put(h.store, mkv_bytes_of("a"), mkv_bytes_of("abc")), 0);
    assert_int_equal(mkv_store_secret_get(h.store, mkv_bytes_of("a"), &value), MKV_E_TOO_LARGE);
    assert_int_equal(mkv_store_secret_put(h.store, mkv_bytes_of("a"),
                                          mkv_bytes(bytes, MKV_STORE_SECRET_MAX + 1)),
                     MKV_E_TOO_LARGE);
    assert_int_equal(mkv_store_secret_delete(h.store, mkv_bytes_of("a")), MKV_E_TOO_LARGE);
    assert_int_equal(mkv_store_commit(h.store), MKV_E_TOO_LARGE); /* all of it is undone */
    assert_int_equal(mkv_store_secret_get(h.store, mkv_bytes_of("a"), &value), MKV_E_NOT_FOUND);
    assert_int_equal(mkv_store_secret_put(h.store, too_long, mkv_bytes_of("")), MKV_E_TOO_LARGE);
    mkv_store_abort(h.store);
    mkv_buf_deinit(&value);
    harness_deinit(&h);
}

int main(void)
{
    static bool memory = false;
    static bool lmdb = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_model, &memory),
        cmocka_unit_test_prestate(test_model, &lmdb),
        cmocka_unit_test_prestate(test_apart, &memory),
        cmocka_unit_test_prestate(test_apart, &lmdb),
        cmocka_unit_test_prestate(test_limits, &memory),
        cmocka_unit_test_prestate(test_limits, &lmdb),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
