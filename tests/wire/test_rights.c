/* SPDX-License-Identifier: Apache-2.0 */
/* The file of rights: what is written is read, and nothing that has been touched since. */
#include <sodium.h>

#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/prng.h"
#include "wire/path.h"
#include "wire/rights.h"

static const uint8_t keys[MKV_GUARD_KEYS_MAX][MKV_GUARD_KEY_LEN] = {{1}, {2}, {3}};

/* Texts of names and filters that were drawn; borrowed by what is made of them. */
struct pool {
    struct prng prng;
    size_t used;
    uint8_t at[65536];
};

static struct mkv_bytes draw_name(struct pool *pool)
{
    static const char letters[] = "abcXYZ019._@-";
    size_t len = 1 + prng_below(&pool->prng, MKV_USER_MAX);
    uint8_t *name = pool->at + pool->used;

    for (size_t i = 0; i < len; i++) {
        name[i] = (uint8_t)letters[prng_below(&pool->prng, sizeof(letters) - 1)];
    }
    pool->used += len;
    return mkv_bytes(name, len);
}

static struct mkv_bytes draw_filter(struct pool *pool)
{
    uint8_t *at = pool->at + pool->used;
    size_t len = 0;

    for (uint64_t n = prng_below(&pool->prng, 4); n > 0; n--) {
        at[len++] = 0x60;
        at[len++] = (uint8_t)('a' + prng_below(&pool->prng, 26));
        at[len++] = 0;
        at[len++] = 1;
    }
    pool->used += len;
    return mkv_bytes(at, len);
}

#define N_MAX 8U

struct sample {
    struct mkv_rights rights;
    struct mkv_rights_user users[N_MAX];
    struct mkv_rights_rule rules[N_MAX];
};

static void draw(struct pool *pool, struct sample *s)
{
    memset(s, 0, sizeof(*s));
    pool->used = 0;
    s->rights.root = mkv_bytes_of("moat/main");
    s->rights.profile = (enum mkv_profile)prng_below(&pool->prng, 2);
    s->rights.n_keys = 1 + (uint32_t)prng_below(&pool->prng, MKV_GUARD_KEYS_MAX);
    s->rights.n_users = (uint32_t)prng_below(&pool->prng, N_MAX + 1);
    s->rights.n_rules = (uint32_t)prng_below(&pool->prng, N_MAX + 1);
    for (uint32_t i = 0; i < s->rights.n_keys; i++) {
        s->rights.keys[i] = mkv_bytes(keys[i], MKV_GUARD_KEY_LEN);
    }
    for (uint32_t i = 0; i < s->rights.n_users; i++) {
        s->users[i].name = draw_name(pool);
        s->users[i].off = prng_below(&pool->prng, 2) == 1;
        s->users[i].n_roles = (uint32_t)prng_below(&pool->prng, MKV_RIGHTS_ROLES_MAX + 1);
        for (uint32_t j = 0; j < s->users[i].n_roles; j++) {
            s->users[i].roles[j] = draw_name(pool);
        }
    }
    for (uint32_t i = 0; i < s->rights.n_rules; i++) {
        s->rules[i] = (struct mkv_rights_rule){.role = draw_name(pool),
                                               .filter = draw_filter(pool),
                                               .allowed = (uint8_t)prng_below(&pool->prng, 64),
                                               .denied = (uint8_t)prng_below(&pool->prng, 64)};
    }
}

static int write(const struct sample *s, struct mkv_buf *out)
{
    struct mkv_rights_writer w;

    mkv_rights_begin(&w, &s->rights, out);
    for (uint32_t i = 0; i < s->rights.n_users; i++) {
        mkv_rights_add_user(&w, &s->users[i]);
    }
    for (uint32_t i = 0; i < s->rights.n_rules; i++) {
        mkv_rights_add_rule(&w, &s->rules[i]);
    }
    return mkv_rights_end(&w);
}

static void check_users(const struct sample *s, struct mkv_bytes rest)
{
    struct mkv_rights_user user;
    uint32_t n = 0;

    while (mkv_rights_next_user(&rest, &user)) {
        const struct mkv_rights_user *wanted = &s->users[n++];

        assert_true(n <= s->rights.n_users && mkv_bytes_equal(user.name, wanted->name));
        assert_true(user.off == wanted->off && user.n_roles == wanted->n_roles);
        for (uint32_t i = 0; i < user.n_roles; i++) {
            assert_true(mkv_bytes_equal(user.roles[i], wanted->roles[i]));
        }
    }
    assert_int_equal(n, s->rights.n_users);
}

static void check_rules(const struct sample *s, struct mkv_bytes rest)
{
    struct mkv_rights_rule rule;
    uint32_t n = 0;

    while (mkv_rights_next_rule(&rest, &rule)) {
        const struct mkv_rights_rule *wanted = &s->rules[n++];

        assert_true(n <= s->rights.n_rules && mkv_bytes_equal(rule.role, wanted->role));
        assert_true(mkv_bytes_equal(rule.filter, wanted->filter));
        assert_true(rule.allowed == wanted->allowed && rule.denied == wanted->denied);
    }
    assert_int_equal(n, s->rights.n_rules);
}

static struct pool pool;
static struct sample sample;
static struct mkv_buf file;

static int setup(void **state)
{
    (void)state;
    pool.prng = (struct prng){11};
    mkv_buf_init(&file, MKV_RIGHTS_MAX + 1000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mkv_buf_deinit(&file);
    return 0;
}

static void what_is_written_is_read(void **state)
{
    struct mkv_rights got;

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        draw(&pool, &sample);
        mkv_buf_clear(&file);
        assert_int_equal(mkv_buf_append_u8(&file, 7), 0); /* it appends */
        assert_int_equal(write(&sample, &file), 0);
        assert_int_equal(mkv_rights_decode(mkv_bytes_after(mkv_buf_bytes(&file), 1), &got), 0);
        assert_true(mkv_bytes_equal(got.root, sample.rights.root));
        assert_true(got.profile == sample.rights.profile && got.n_keys == sample.rights.n_keys);
        for (uint32_t k = 0; k < got.n_keys; k++) {
            assert_true(mkv_bytes_equal(got.keys[k], sample.rights.keys[k]));
        }
        check_users(&sample, got.users);
        check_rules(&sample, got.rules);
    }
}

static void each_bit_and_each_byte_count(void **state)
{
    struct mkv_rights got;

    (void)state;
    draw(&pool, &sample);
    assert_int_equal(write(&sample, &file), 0);
    for (size_t i = 0; i < 8 * file.len; i++) {
        file.at[i / 8] ^= (uint8_t)(1U << i % 8);
        assert_int_equal(mkv_rights_decode(mkv_buf_bytes(&file), &got), MKV_E_CORRUPT);
        file.at[i / 8] ^= (uint8_t)(1U << i % 8);
    }
    for (size_t len = 0; len < file.len; len++) {
        assert_int_equal(mkv_rights_decode(mkv_bytes(file.at, len), &got),
                         len <= MKV_RIGHTS_HASH_LEN ? MKV_E_TRUNCATED : MKV_E_CORRUPT);
    }
    assert_int_equal(mkv_buf_append_u8(&file, 0), 0);
    assert_int_equal(mkv_rights_decode(mkv_buf_bytes(&file), &got), MKV_E_CORRUPT);
}

/* With a good hash: somebody wrote it like this. */
static int decode_content(const void *content, size_t len)
{
    struct mkv_rights got;

    mkv_buf_clear(&file);
    assert_int_equal(mkv_buf_reserve(&file, MKV_RIGHTS_HASH_LEN + len), 0);
    (void)crypto_generichash(file.at, MKV_RIGHTS_HASH_LEN, content, len, NULL, 0);
    file.len = MKV_RIGHTS_HASH_LEN;
    assert_int_equal(mkv_buf_append(&file, mkv_bytes(content, len)), 0);
    return mkv_rights_decode(mkv_buf_bytes(&file), &got);
}

#define KEY32                                                                                      \
    "\x58\x20"                                                                                     \
    "0123456789abcdef0123456789abcdef"
#define CONTENT(version, root, profile, keys, users, rules)                                        \
    decode_content("\xa6\x00" version "\x01" root "\x02" profile "\x03" keys "\x04" users          \
                   "\x05" rules,                                                                   \
                   sizeof("\xa6\x00" version "\x01" root "\x02" profile "\x03" keys "\x04" users   \
                          "\x05" rules) -                                                          \
                       1)

static void content_is_checked(void **state)
{
    (void)state;
    assert_int_equal(CONTENT("\x01", "\x61m", "\x00", "\x81" KEY32, "\x80", "\x80"), 0);
    assert_int_equal(CONTENT("\x02", "\x61m", "\x00", "\x81" KEY32, "\x80", "\x80"), MKV_E_FORMAT);
    assert_int_equal(CONTENT("\x01", "\x61#", "\x00", "\x81" KEY32, "\x80", "\x80"),
                     MKV_E_BAD_TOPIC);
    assert_int_equal(CONTENT("\x01", "\x61m", "\x02", "\x81" KEY32, "\x80", "\x80"),
                     MKV_E_BAD_NUMBER);
    assert_int_equal(CONTENT("\x01", "\x61m", "\x00", "\x80", "\x80", "\x80"), MKV_E_MALFORMED);
    assert_int_equal(
        CONTENT("\x01", "\x61m", "\x00", "\x84" KEY32 KEY32 KEY32 KEY32, "\x80", "\x80"),
        MKV_E_TOO_MANY);
    assert_int_equal(CONTENT("\x01", "\x61m", "\x00", "\x81\x41k", "\x80", "\x80"),
                     MKV_E_MALFORMED);
    assert_int_equal(CONTENT("\x01", "\x61m", "\x00", "\x81" KEY32,
                             "\x81\x83\x61"
                             "a/\x80",
                             "\x80"),
                     MKV_E_MALFORMED);
    assert_int_equal(
        CONTENT("\x01", "\x61m", "\x00", "\x81" KEY32, "\x81\x83\x61/\xf4\x80", "\x80"),
        MKV_E_BAD_NAME);
    assert_int_equal(CONTENT("\x01", "\x61m", "\x00", "\x81" KEY32,
                             "\x81\x83\x61"
                             "a\xf4\x81\x60",
                             "\x80"),
                     MKV_E_BAD_NAME);
    assert_int_equal(
        CONTENT("\x01", "\x61m", "\x00", "\x81" KEY32, "\x80", "\x81\x84\x61r\x41x\x01\x00"),
        MKV_E_BAD_PATH);
    assert_int_equal(
        CONTENT("\x01", "\x61m", "\x00", "\x81" KEY32, "\x80", "\x81\x84\x61r\x40\x18\x40\x00"),
        MKV_E_BAD_NUMBER);
    assert_int_equal(
        CONTENT("\x01", "\x61m", "\x00", "\x81" KEY32, "\x80", "\x81\x83\x61r\x40\x01"),
        MKV_E_MALFORMED);
    assert_int_equal(decode_content("\xa0", 1), MKV_E_MALFORMED);
}

static void limits_hold(void **state)
{
    struct mkv_rights got;
    struct mkv_rights_writer w;
    struct mkv_rights_user user = {.name = mkv_bytes_of("u")};
    struct mkv_rights_rule rule = {.role = mkv_bytes_of("r")};
    struct mkv_rights rights = {
        .root = mkv_bytes_of("m"), .n_keys = 1, .keys = {mkv_bytes(keys[0], MKV_GUARD_KEY_LEN)}};

    (void)state;
    for (uint32_t over = 0; over < 3; over++) {
        rights.n_users = MKV_RIGHTS_USERS_MAX + (over == 1);
        rights.n_rules = MKV_RIGHTS_RULES_MAX + (over == 2);
        mkv_buf_clear(&file);
        mkv_rights_begin(&w, &rights, &file);
        for (uint32_t i = 0; i < rights.n_users; i++) {
            mkv_rights_add_user(&w, &user);
        }
        for (uint32_t i = 0; i < rights.n_rules; i++) {
            mkv_rights_add_rule(&w, &rule);
        }
        assert_int_equal(mkv_rights_end(&w), 0);
        assert_int_equal(mkv_rights_decode(mkv_buf_bytes(&file), &got),
                         over > 0 ? MKV_E_TOO_MANY : 0);
    }
    mkv_buf_clear(&file);
    assert_int_equal(mkv_buf_reserve(&file, MKV_RIGHTS_MAX + 1), 0);
    assert_int_equal(mkv_rights_decode(mkv_bytes(file.at, MKV_RIGHTS_MAX + 1), &got),
                     MKV_E_TOO_LARGE);
}

static void failing_allocations_are_reported(void **state)
{
    unsigned n = 1;

    (void)state;
    draw(&pool, &sample);
    for (;; n++) {
        struct mkv_buf out;

        mkv_buf_init(&out, MKV_RIGHTS_MAX);
        mem_fault_at(n);

        int error = write(&sample, &out);

        if (!mem_fault_struck()) {
            assert_int_equal(error, 0);
            mkv_buf_deinit(&out);
            break;
        }
        assert_true(error == MKV_E_NO_MEMORY && out.len == 0);
        mkv_buf_deinit(&out);
    }
    assert_true(n > 1);
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILE(what_is_written_is_read),
        WITH_FILE(each_bit_and_each_byte_count),
        WITH_FILE(content_is_checked),
        WITH_FILE(limits_hold),
        WITH_FILE(failing_allocations_are_reported),
    };

    return cmocka_run_group_tests_name("rights", tests, NULL, NULL);
}
