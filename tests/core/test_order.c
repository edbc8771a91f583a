/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/vectors/order.json, which order_vectors.py writes from the protocol document alone:
 *
 *     test_order ORDER-JSON
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/order.h"
#include "lib/check.h"
#include "wire/decimal.h"

#define UPDATES_MAX 256U
#define DIGESTS_MAX 64U

static json_t *vectors;

/* Owned bytes, and the update that borrows from them. */
struct message {
    struct mkv_buf bytes;
    struct mkv_update update;
    struct mkv_head head;
};

static struct message messages[UPDATES_MAX];
static size_t n_messages;

static struct mkv_buf bytes_of(const json_t *hex)
{
    const char *text = json_string_value(hex);
    struct mkv_buf bytes;

    assert_non_null(text);
    mkv_buf_init(&bytes, MKV_UPDATE_MAX);
    for (; *text != '\0'; text += 2) {
        int byte = mkv_digit_value((uint8_t)text[0]) * 16 + mkv_digit_value((uint8_t)text[1]);

        assert_int_equal(mkv_buf_append_u8(&bytes, (uint8_t)byte), 0);
    }
    return bytes;
}

static const json_t *list(const char *name)
{
    const json_t *found = json_object_get(vectors, name);

    assert_true(json_array_size(found) > 0);
    return found;
}

static uint64_t number_of(const json_t *text, int base)
{
    return strtoull(json_string_value(text), NULL, base);
}

static int load_messages(void **state)
{
    const json_t *updates = list("updates");

    (void)state;
    n_messages = json_array_size(updates);
    assert_in_range(n_messages, 1, UPDATES_MAX);
    for (size_t i = 0; i < n_messages; i++) {
        struct message *m = &messages[i];

        m->bytes = bytes_of(json_object_get(json_array_get(updates, i), "message"));
        assert_int_equal(mkv_update_decode(mkv_buf_bytes(&m->bytes), &m->update), 0);
        m->head = mkv_head_of(&m->update);
    }
    return 0;
}

static int free_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_messages; i++) {
        mkv_buf_deinit(&messages[i].bytes);
    }
    return 0;
}

static void value_hashes(void **state)
{
    const json_t *values = list("values");

    (void)state;
    for (size_t i = 0; i < json_array_size(values); i++) {
        const json_t *vector = json_array_get(values, i);
        struct mkv_buf value = bytes_of(json_object_get(vector, "value"));

        assert_true(mkv_value_hash(mkv_buf_bytes(&value)) ==
                    number_of(json_object_get(vector, "vhash"), 16));
        mkv_buf_deinit(&value);
    }
}

static void parts_of_k(void **state)
{
    const json_t *updates = list("updates");

    (void)state;
    for (size_t i = 0; i < n_messages; i++) {
        const json_t *k = json_object_get(json_array_get(updates, i), "k");
        const struct mkv_head *head = &messages[i].head;

        assert_true(head->tock == number_of(json_array_get(k, 0), 10));
        assert_true(
            mkv_bytes_equal(head->name, mkv_bytes_of(json_string_value(json_array_get(k, 1)))));
        assert_true(head->seq == number_of(json_array_get(k, 2), 10));
        assert_true(head->counter == number_of(json_array_get(k, 3), 10));
        assert_true(head->present == (number_of(json_array_get(k, 4), 10) == 1));
        assert_true(head->vhash == number_of(json_array_get(k, 5), 16));
    }
}

static int sign_of(int order)
{
    return (order > 0) - (order < 0);
}

static void all_pairs_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_messages; i++) {
        for (size_t j = 0; j < n_messages; j++) {
            assert_int_equal(sign_of(mkv_head_compare(&messages[i].head, &messages[j].head)),
                             (i > j) - (i < j));
        }
    }
}

static void who_covers_whom(void **state)
{
    const json_t *pairs = list("pairs");

    (void)state;
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const json_t *pair = json_array_get(pairs, i);
        const struct message *winner = &messages[json_integer_value(json_array_get(pair, 0))];
        const struct message *loser = &messages[json_integer_value(json_array_get(pair, 1))];

        assert_int_equal(mkv_ticks_cover(&winner->update.ticks, &loser->head),
                         json_is_null(json_array_get(pair, 2)));
    }
}

static void digests_and_sums(void **state)
{
    const json_t *digests = list("digests");
    const json_t *sums = list("sums");
    struct mkv_buf key = bytes_of(json_object_get(vectors, "digest_key"));
    struct mkv_digest found[DIGESTS_MAX];
    uint8_t bytes[16];

    (void)state;
    assert_int_equal(key.len, MKV_DIGEST_KEY_LEN);
    assert_in_range(json_array_size(digests), 1, DIGESTS_MAX);
    for (size_t i = 0; i < json_array_size(digests); i++) {
        const json_t *vector = json_array_get(digests, i);
        struct mkv_buf path = bytes_of(json_object_get(vector, "path"));
        struct mkv_buf expected = bytes_of(json_object_get(vector, "digest"));
        const struct message *m = &messages[json_integer_value(json_object_get(vector, "update"))];

        found[i] = mkv_entry_digest(key.at, mkv_buf_bytes(&path), &m->head);
        mkv_digest_bytes(found[i], bytes);
        assert_memory_equal(bytes, expected.at, sizeof(bytes));
        mkv_buf_deinit(&path);
        mkv_buf_deinit(&expected);
    }
    for (size_t i = 0; i < json_array_size(sums); i++) {
        const json_t *picked = json_object_get(json_array_get(sums, i), "digests");
        struct mkv_buf expected = bytes_of(json_object_get(json_array_get(sums, i), "sum"));
        struct mkv_digest sum = {0};

        for (size_t p = 0; p < json_array_size(picked); p++) {
            mkv_digest_add(&sum, found[json_integer_value(json_array_get(picked, p))]);
        }
        mkv_digest_bytes(sum, bytes);
        assert_memory_equal(bytes, expected.at, sizeof(bytes));
        for (size_t p = 0; p < json_array_size(picked); p++) {
            mkv_digest_subtract(&sum, found[json_integer_value(json_array_get(picked, p))]);
        }
        assert_true(sum.high == 0 && sum.low == 0);
        mkv_buf_deinit(&expected);
    }
    mkv_buf_deinit(&key);
}

static void digest_keys(void **state)
{
    const json_t *keys = list("digest_keys");

    (void)state;
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *vector = json_array_get(keys, i);
        struct mkv_buf expected = bytes_of(json_object_get(vector, "key"));
        uint8_t key[MKV_DIGEST_KEY_LEN];

        mkv_digest_key_of(mkv_bytes_of(json_string_value(json_object_get(vector, "root"))), key);
        assert_memory_equal(key, expected.at, sizeof(key));
        mkv_buf_deinit(&expected);
    }
}

/* As in an index without a server: neither path nor name. */
static void digest_of_the_least(void **state)
{
    static const uint8_t key[MKV_DIGEST_KEY_LEN];
    struct mkv_head head = {0};
    struct mkv_head other = {.present = true};
    struct mkv_digest a = mkv_entry_digest(key, mkv_bytes(NULL, 0), &head);
    struct mkv_digest b = mkv_entry_digest(key, mkv_bytes(NULL, 0), &other);

    (void)state;
    assert_true(a.high != b.high);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_hashes),       cmocka_unit_test(parts_of_k),
        cmocka_unit_test(all_pairs_in_order), cmocka_unit_test(who_covers_whom),
        cmocka_unit_test(digests_and_sums),   cmocka_unit_test(digest_of_the_least),
        cmocka_unit_test(digest_keys),
    };

    vectors = argc == 2 ? json_load_file(argv[1], 0, NULL) : NULL;
    if (vectors == NULL) {
        return 2;
    }

    int failed = cmocka_run_group_tests(tests, load_messages, free_messages);

    json_decref(vectors);
    return failed;
}
