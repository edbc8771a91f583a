/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/limits.h"
#include "core/pending.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/prng.h"
#include "wire/path.h"

static const struct mkv_pending_where where = {.root = {(const uint8_t *)"moat/main", 9}};

/* Adds an update of @path under the dot (srv, @seq, @counter), which knows @known. */
static int add(struct mkv_pending *pending,
               const char *path,
               uint64_t seq,
               uint64_t counter,
               const struct mkv_ticks *known)
{
    struct mkv_tick dot = {.name = mkv_bytes_of("srv"), .seq = seq, .counter = counter};
    struct mkv_update update = {
        .has_tock = true, .present = true, .tock = 100 + counter, .value = mkv_bytes_of("\x07")};
    const struct mkv_ticks nothing = {0};
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    int error = mkv_path_from_dotted(mkv_bytes_of(path), &key);

    mkv_ticks_follow(&dot, known != NULL ? known : &nothing, &update.ticks);
    if (error == 0) {
        error = mkv_pending_add(pending, counter, mkv_buf_bytes(&key), &where, &update);
    }
    mkv_buf_deinit(&key);
    return error;
}

static void test_example_of_the_protocol(void **state)
{
    static const uint8_t bytes[] = {0xa3, 0x00, 0x18, 0x65, 0x01, 0x07, 0x02, 0x81,
                                    0x83, 0x63, 's',  'r',  'v',  0x07, 0x01};
    struct mkv_pending pending = {0};

    (void)state;
    assert_int_equal(add(&pending, "kitchen.lamp:2", 7, 1, NULL), 0);
    assert_true(mkv_bytes_equal(pending.head->payload, mkv_bytes(bytes, sizeof(bytes))));
    assert_true(mkv_bytes_equal(pending.head->topic, mkv_bytes_of("moat/main/d/kitchen/lamp/:2")));
    mkv_pending_deinit(&pending);
    assert_int_equal(mem_fault_live(), 0);
}

static void test_leaving(void **state)
{
    struct mkv_pending pending = {0};
    struct mkv_pending_update *update;

    (void)state;
    for (uint64_t counter = 1; counter <= 6; counter++) {
        assert_int_equal(add(&pending, "a", 7, counter, NULL), 0);
    }
    update = mkv_pending_take(&pending, 3);
    assert_int_equal(update->counter, 3);
    mkv_pending_update_free(update);
    assert_null(mkv_pending_take(&pending, 3));
    assert_null(mkv_pending_take(&pending, 7));
    update = mkv_pending_take(&pending, 6); /* the last one: another can follow */
    mkv_pending_update_free(update);
    assert_int_equal(add(&pending, "a", 7, 9, NULL), 0);
    assert_int_equal(mkv_pending_from(&pending, 3)->counter, 4);
    assert_int_equal(mkv_pending_from(&pending, 6)->counter, 9);
    assert_null(mkv_pending_from(&pending, 10));
    for (uint64_t expected = 1; expected <= 5; expected += expected == 2 ? 2 : 1) {
        update = mkv_pending_take_until(&pending, 5);
        assert_int_equal(update->counter, expected);
        mkv_pending_update_free(update);
    }
    assert_null(mkv_pending_take_until(&pending, 5));
    assert_int_equal(pending.n, 1);
    mkv_pending_deinit(&pending);
    assert_int_equal(mem_fault_live(), 0);
}

static void test_bounds(void **state)
{
    struct mkv_pending pending = {0};

    (void)state;
    assert_true(mkv_pending_fits(&pending, MKV_PENDING_COUNT_MAX, MKV_PENDING_BYTES_MAX));
    assert_false(mkv_pending_fits(&pending, MKV_PENDING_COUNT_MAX + 1, 0));
    assert_false(mkv_pending_fits(&pending, 0, MKV_PENDING_BYTES_MAX + 1));
    for (uint64_t counter = 1; counter <= MKV_PENDING_COUNT_MAX; counter++) {
        assert_true(mkv_pending_fits(&pending, 1, 100));
        assert_int_equal(add(&pending, "a", 7, counter, NULL), 0);
    }
    assert_false(mkv_pending_fits(&pending, 1, 0));
    mkv_pending_deinit(&pending);
}

static void test_follow(void **state)
{
    const struct mkv_tick dot = {.name = mkv_bytes_of("srv"), .seq = 7, .counter = 5};
    struct mkv_ticks known = {.n = MKV_TICKS_MAX};
    struct mkv_ticks ticks;

    (void)state;
    for (uint32_t i = 0; i < MKV_TICKS_MAX; i++) {
        known.at[i] = (struct mkv_tick){.name = mkv_bytes_of("srv"), .seq = 5 + i, .counter = 9};
    }
    mkv_ticks_follow(&dot, &known, &ticks); /* our own stream is not listed twice: no loss */
    assert_int_equal(ticks.n, 5);
    assert_true(mkv_tick_equal(&ticks.at[0], &dot));
    assert_int_equal(ticks.at[1].seq, 5);
    assert_int_equal(ticks.at[2].seq, 6);
    assert_int_equal(ticks.at[3].seq, 8);
    assert_int_equal(ticks.at[4].seq, 9);
    known.at[2].seq = 20; /* now it is not: the oldest is cut off */
    mkv_ticks_follow(&dot, &known, &ticks);
    assert_int_equal(ticks.n, 5);
    assert_int_equal(ticks.at[4].seq, 8);
}

/* The tock and value stay, the order stays, the old dot comes second. */
static void test_reissue(void **state)
{
    const struct mkv_ticks known = {
        .n = 2,
        .at = {{.name = {(const uint8_t *)"other", 5}, .seq = 3, .counter = 4},
               {.name = {(const uint8_t *)"third", 5}, .seq = 1, .counter = 1}}};
    struct mkv_pending pending = {0};
    uint64_t counter = 1;

    (void)state;
    for (uint64_t i = 3; i <= 5; i++) {
        assert_int_equal(add(&pending, i == 4 ? "b" : "a", 7, i, &known), 0);
    }
    assert_int_equal(mkv_pending_reissue(&pending, &where, mkv_bytes_of("new"), 8), 0);
    for (const struct mkv_pending_update *at = pending.head; at != NULL; at = at->next) {
        struct mkv_update update;

        assert_int_equal(mkv_update_decode(at->payload, &update), 0);
        assert_int_equal(at->counter, counter);
        assert_int_equal(at->id, counter + 2);
        assert_int_equal(update.tock, 102 + counter);
        assert_true(mkv_bytes_equal(update.value, mkv_bytes_of("\x07")));
        assert_int_equal(update.ticks.n, 4);
        assert_true(mkv_bytes_equal(update.ticks.at[0].name, mkv_bytes_of("new")));
        assert_int_equal(update.ticks.at[0].seq, 8);
        assert_int_equal(update.ticks.at[0].counter, counter);
        assert_true(mkv_bytes_equal(update.ticks.at[1].name, mkv_bytes_of("srv")));
        assert_int_equal(update.ticks.at[1].counter, counter + 2);
        assert_int_equal(update.ticks.at[3].counter, 1);
        counter++;
    }
    assert_int_equal(counter, 4);
    mkv_pending_deinit(&pending);
    assert_int_equal(mem_fault_live(), 0);
}

/* Wholly or not at all. */
/* MACs come, change and go; nothing else does, and nothing is lost for want of memory. */
static void test_renew(void **state)
{
    static const uint8_t key[32] = {1};
    struct mkv_pending_where with_macs = where;
    struct mkv_pending pending = {0};
    uint8_t before[64];
    size_t len;

    (void)state;
    with_macs.mac_key = mkv_bytes(key, sizeof(key));
    assert_int_equal(add(&pending, "a", 7, 3, NULL), 0);
    assert_int_equal(add(&pending, "b", 7, 5, NULL), 0);
    len = pending.head->payload.len;
    memcpy(before, pending.head->payload.at, len);
    for (unsigned n = 1;; n++) {
        mem_fault_at(n);

        int error = mkv_pending_renew(&pending, &with_macs);
        bool struck = mem_fault_struck();

        mem_fault_at(0);
        assert_int_equal(error, struck ? MKV_E_NO_MEMORY : 0);
        if (!struck) {
            break;
        }
        assert_int_equal(pending.head->payload.len, len);
    }
    assert_int_equal(pending.n, 2);
    assert_int_equal(pending.head->counter, 3);
    assert_int_equal(pending.head->id, 3);
    assert_int_equal(pending.tail->counter, 5);
    assert_int_equal(pending.head->payload.len, len + 18);
    assert_int_equal(pending.head->payload.at[len], 3);
    assert_int_equal(mkv_pending_renew(&pending, &where), 0);
    assert_true(mkv_bytes_equal(pending.head->payload, mkv_bytes(before, len)));
    mkv_pending_deinit(&pending);
    assert_int_equal(mem_fault_live(), 0);
}

static void test_reissue_without_memory(void **state)
{
    struct mkv_pending pending = {0};
    bool struck = true;

    (void)state;
    for (uint64_t counter = 1; counter <= 4; counter++) {
        assert_int_equal(add(&pending, "a", 7, counter, NULL), 0);
    }
    for (unsigned n = 1; struck; n++) {
        mem_fault_at(n);
        int error = mkv_pending_reissue(&pending, &where, mkv_bytes_of("new"), 8);

        struck = mem_fault_struck();
        mem_fault_at(0);
        assert_int_equal(error, struck ? MKV_E_NO_MEMORY : 0);
        assert_int_equal(pending.n, 4);
    }
    mkv_pending_deinit(&pending);
    assert_int_equal(mem_fault_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example_of_the_protocol),
        cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_follow),
        cmocka_unit_test(test_reissue),
        cmocka_unit_test(test_renew),
        cmocka_unit_test(test_reissue_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
