/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster's keys: what is not as it was written is noticed, and proofs are of one key, topic and message. */
#include <stdio.h>
#include <string.h>

#include "lib/check.h"
#include "wire/ring.h"

static struct mkv_ring ring_of(unsigned n, uint8_t first)
{
    struct mkv_ring ring = {.n = n};

    for (unsigned i = 0; i < n; i++) {
        memset(ring.keys[i], first + (int)i, MKV_RING_KEY_LEN);
    }
    return ring;
}

static bool same(const struct mkv_ring *a, const struct mkv_ring *b)
{
    return a->n == b->n && memcmp(a->keys, b->keys, sizeof(a->keys)) == 0;
}

static void files_come_back(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= MKV_RING_KEYS_MAX; n++) {
        struct mkv_ring ring = ring_of(n, 7);
        struct mkv_ring again;
        struct mkv_buf file;

        mkv_buf_init(&file, MKV_RING_FILE_MAX);
        assert_int_equal(mkv_ring_write(&ring, &file), 0);
        assert_int_equal(mkv_ring_read(mkv_buf_bytes(&file), &again), 0);
        assert_true(same(&ring, &again));
        for (size_t i = 0; i < file.len; i++) { /* any byte changed, or the end missing */
            uint8_t kept = file.at[i];
            bool whole_lines = i % 74 == 0 && i > 0;

            file.at[i] = kept == '0' ? '1' : '0';
            assert_int_equal(mkv_ring_read(mkv_buf_bytes(&file), &again), MKV_E_MALFORMED);
            file.at[i] = kept;
            assert_int_equal(mkv_ring_read(mkv_bytes(file.at, i), &again),
                             whole_lines ? 0 : MKV_E_MALFORMED);
        }
        mkv_buf_deinit(&file);
    }
}

static void a_file_has_one_to_three_different_keys(void **state)
{
    struct mkv_ring ring = ring_of(2, 7);
    struct mkv_ring again;
    struct mkv_buf file;

    (void)state;
    mkv_buf_init(&file, 2 * MKV_RING_FILE_MAX);
    assert_int_equal(mkv_ring_read(mkv_bytes_of(""), &again), MKV_E_MALFORMED);
    assert_int_equal(mkv_ring_write(&ring, &file), 0);
    assert_int_equal(mkv_ring_write(&ring, &file), 0);
    assert_int_equal(mkv_ring_read(mkv_buf_bytes(&file), &again), MKV_E_MALFORMED);
    ring = ring_of(2, 9);
    mkv_buf_truncate(&file, file.len / 2);
    assert_int_equal(mkv_ring_write(&ring, &file), 0);
    assert_int_equal(mkv_ring_read(mkv_buf_bytes(&file), &again), MKV_E_MALFORMED);
    mkv_buf_deinit(&file);
}

static void tokens_come_back(void **state)
{
    static const char *const roots[] = {"", "moat/main"};

    (void)state;
    for (unsigned i = 0; i < 2 * MKV_RING_KEYS_MAX; i++) {
        struct mkv_ring_token token = {.ring = ring_of(1 + i / 2, 7)};
        struct mkv_ring_token again = {0};
        struct mkv_buf text;

        (void)snprintf(token.root, sizeof(token.root), "%s", roots[i % 2]);
        mkv_buf_init(&text, MKV_RING_TOKEN_MAX);
        assert_int_equal(mkv_buf_append(&text, mkv_bytes_of(" \n")), 0);
        assert_int_equal(mkv_ring_token_write(&token, &text), 0);
        assert_int_equal(mkv_buf_append(&text, mkv_bytes_of("\r\n")), 0);
        assert_int_equal(mkv_ring_token_read(mkv_buf_bytes(&text), &again), 0);
        assert_true(same(&token.ring, &again.ring));
        assert_string_equal(again.root, token.root);
        for (size_t at = 2; at < text.len - 2; at++) { /* any character mistyped, or left out */
            uint8_t kept = text.at[at];

            text.at[at] = kept == 'x' ? 'y' : 'x';
            assert_int_equal(mkv_ring_token_read(mkv_buf_bytes(&text), &again), MKV_E_MALFORMED);
            text.at[at] = kept;
            assert_int_equal(mkv_ring_token_read(mkv_bytes(text.at, at), &again), MKV_E_MALFORMED);
        }
        mkv_buf_deinit(&text);
    }
}

static void the_longest_token_fits(void **state)
{
    struct mkv_ring_token token = {.ring = ring_of(MKV_RING_KEYS_MAX, 7)};
    struct mkv_ring_token again = {0};
    struct mkv_buf text;

    (void)state;
    memset(token.root, 'r', MKV_ROOT_MAX);
    mkv_buf_init(&text, MKV_RING_TOKEN_MAX);
    assert_int_equal(mkv_ring_token_write(&token, &text), 0);
    assert_int_equal(mkv_ring_token_read(mkv_buf_bytes(&text), &again), 0);
    assert_string_equal(again.root, token.root);
    mkv_buf_deinit(&text);
}

/* The text of docs/protocol.md. */
static void the_token_of_the_document(void **state)
{
    struct mkv_ring_token token;

    (void)state;
    assert_int_equal(
        mkv_ring_token_read(
            mkv_bytes_of("moatkv1-AQEAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eH7A-n30"), &token),
        0);
    assert_int_equal(token.ring.n, 1);
    assert_string_equal(token.root, "");
    for (uint8_t i = 0; i < MKV_RING_KEY_LEN; i++) {
        assert_int_equal(token.ring.keys[0][i], i);
    }
}

static void keys_are_added_and_go(void **state)
{
    struct mkv_ring ring = ring_of(1, 1);
    uint8_t key[MKV_RING_KEY_LEN];

    (void)state;
    for (uint8_t i = 2; i < 9; i++) {
        memset(key, i, sizeof(key));
        mkv_ring_add(&ring, key);
        assert_int_equal(ring.n, i < MKV_RING_KEYS_MAX ? i : MKV_RING_KEYS_MAX);
        for (unsigned k = 0; k < ring.n; k++) {
            assert_int_equal(ring.keys[k][0], i - k);
        }
    }
}

static void the_later_keys_are_taken(void **state)
{
    struct mkv_ring none = {0};
    struct mkv_ring old = ring_of(1, 1);
    struct mkv_ring strange = ring_of(2, 100);
    struct mkv_ring later = old;
    struct mkv_ring ring;
    uint8_t key[MKV_RING_KEY_LEN] = {2};

    (void)state;
    mkv_ring_add(&later, key);
    ring = none;
    assert_true(mkv_ring_join(&ring, &old) == 0 && same(&ring, &old));
    ring = old;
    assert_true(mkv_ring_join(&ring, &later) == 0 && same(&ring, &later));
    assert_true(mkv_ring_join(&ring, &old) == 0 && same(&ring, &later));
    assert_int_equal(mkv_ring_join(&ring, &strange), MKV_E_UNEXPECTED);
    assert_true(same(&ring, &later));
}

static void proofs_are_of_one_key_topic_and_message(void **state)
{
    struct mkv_ring ring = ring_of(3, 1);
    struct mkv_ring other = ring_of(3, 50);
    struct mkv_ring last = {.n = 1};
    struct mkv_bytes topic = mkv_bytes_of("moat/main/svc/act");
    uint8_t message[64] = {0};
    struct mkv_bytes bytes = mkv_bytes(message, sizeof(message));

    (void)state;
    memcpy(last.keys[0], ring.keys[2], MKV_RING_KEY_LEN);
    mkv_ring_prove(&last, topic, message, sizeof(message));
    assert_true(mkv_ring_proves(&ring, topic, bytes)); /* by any of its keys */
    assert_false(mkv_ring_proves(&other, topic, bytes));
    assert_false(mkv_ring_proves(&ring, mkv_bytes_of("moat/main/svc/acs"), bytes));
    for (unsigned bit = 0; bit < 8 * sizeof(message); bit++) {
        message[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(mkv_ring_proves(&ring, topic, bytes));
        message[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    assert_false(mkv_ring_proves(&ring, topic, mkv_bytes(message, sizeof(message) - 1)));
    assert_false(mkv_ring_proves(&ring, topic, mkv_bytes(message, 16)));
}

static void each_use_has_its_own_keys(void **state)
{
    struct mkv_ring ring = ring_of(2, 1);
    struct mkv_ring pings;
    struct mkv_ring guard;

    (void)state;
    mkv_ring_derive(&ring, MKV_RING_PING, &pings);
    mkv_ring_derive(&ring, MKV_RING_GUARD, &guard);
    assert_int_equal(pings.n, 2);
    assert_false(same(&ring, &pings));
    assert_false(same(&guard, &pings));
    mkv_ring_forget(&pings);
    assert_int_equal(pings.n, 0);
}

/* The user and password of docs/protocol.md, 13.5. */
static void servers_log_in_by_their_key(void **state)
{
    struct mkv_ring ring = {.n = 2};
    struct mkv_ring_login login;
    struct mkv_ring_login second;

    (void)state;
    for (uint8_t i = 0; i < MKV_RING_KEY_LEN; i++) {
        ring.keys[0][i] = i;
    }
    mkv_ring_login(&ring, 0, &login);
    mkv_ring_login(&ring, 1, &second);
    assert_string_equal(login.user, ":server/ad46a094");
    assert_string_equal(login.password,
                        "0e80f4f89c3d941b8861452d1edad33e03c11de895b9b2874f8054f2f99c8cd9");
    assert_string_not_equal(second.user, login.user);
    assert_string_not_equal(second.password, login.password);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_come_back),
        cmocka_unit_test(a_file_has_one_to_three_different_keys),
        cmocka_unit_test(tokens_come_back),
        cmocka_unit_test(the_longest_token_fits),
        cmocka_unit_test(the_token_of_the_document),
        cmocka_unit_test(keys_are_added_and_go),
        cmocka_unit_test(the_later_keys_are_taken),
        cmocka_unit_test(proofs_are_of_one_key_topic_and_message),
        cmocka_unit_test(each_use_has_its_own_keys),
        cmocka_unit_test(servers_log_in_by_their_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
