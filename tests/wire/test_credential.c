/* SPDX-License-Identifier: Apache-2.0 */
/* Client ids and passwords: each credential has one spelling, and only its own password. */
#include "lib/check.h"
#include "lib/prng.h"
#include "wire/credential.h"

static const uint8_t key[MKV_GUARD_KEY_LEN] = {1, 2, 3};

static struct mkv_bytes text(const char *words)
{
    return mkv_bytes_of(words);
}

static bool reads(const char *id, const char *user)
{
    struct mkv_credential credential;

    return mkv_credential_read(text(id), text(user), &credential);
}

static void sessions_and_servers_are_read(void **state)
{
    struct mkv_credential c;

    (void)state;
    assert_true(mkv_credential_read(text("attic:41:1795000000"), text("a.b@c-d_"), &c));
    assert_int_equal(c.role, MKV_ROLE_USER);
    assert_true(mkv_bytes_equal(c.name, text("attic")) &&
                mkv_bytes_equal(c.user, text("a.b@c-d_")));
    assert_true(c.seq == 41 && c.expiry_s == 1795000000 && c.mark.len == 0);
    assert_true(mkv_credential_read(text("attic:9223372036854775807:0"), text(":own"), &c));
    assert_true(c.role == MKV_ROLE_OWN && c.seq == MKV_INTEGER_MAX && c.expiry_s == 0);
    assert_int_equal(c.user.len, 0);
    assert_true(mkv_credential_read(text("attic:0:7:0123cdef"), text(":server"), &c));
    assert_true(c.role == MKV_ROLE_SERVER && c.seq == 0 && c.expiry_s == 7);
    assert_true(mkv_bytes_equal(c.mark, text("0123cdef")));
}

static void nothing_else_is_read(void **state)
{
    static const char *const ids[] = {
        "",
        ":",
        "a",
        "a:1",
        "a:1:",
        "a::2",
        ":1:2",
        "a:1:2:",
        "a:1:2:3",
        "a:01:2",
        "a:1:02",
        "a:+1:2",
        "a:1:-2",
        "a: 1:2",
        "a:1:2 ",
        "a:0x1:2",
        "a/b:1:2",
        "a+:1:2",
        "a:0:2",
        "a:0:2:",
        "a:0:2:012",
        "a:0:2:0123CDEF",
        "a:0:2:0123cdef0",
        "a:1:2:0123cdef",
        "a:9223372036854775808:2",
        "a:1:99999999999999999999",
        "a:1:2\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        assert_false(reads(ids[i], "ann") || reads(ids[i], ":own") || reads(ids[i], ":server"));
        assert_false(mkv_credential_is_id(text(ids[i])));
    }
    assert_false(reads("a:1:2", "") || reads("a:1:2", ":other") || reads("a:1:2", "a b"));
    assert_false(reads("a:1:2", ":server")); /* a session is no server, ... */
    assert_false(reads("a:0:2:01234567", ":own") || reads("a:0:2:01234567", "ann"));
    assert_true(mkv_credential_is_id(text("a:0:2:01234567"))); /* ... whoever shows what id */
    assert_true(mkv_credential_is_id(text("a:1:2")));
}

static void user_names_have_their_characters(void **state)
{
    char longest[MKV_USER_MAX + 1];

    (void)state;
    memset(longest, 'x', sizeof(longest));
    assert_true(mkv_user_valid(mkv_bytes(longest, MKV_USER_MAX)));
    assert_false(mkv_user_valid(mkv_bytes(longest, MKV_USER_MAX + 1)));
    assert_false(mkv_user_valid(mkv_bytes(NULL, 0)));
    for (unsigned c = 0; c < 256; c++) {
        char one = (char)c;
        bool wanted = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '@' || c == '-';

        assert_int_equal(mkv_user_valid(mkv_bytes(&one, 1)), wanted);
    }
}

static void draw(struct prng *prng, struct mkv_credential *c)
{
    static const char *const names[] = {"a", "attic", "A.b_c-9"};
    static const char *const users[] = {"ann", "b@c", "X-1.y_"};

    *c = (struct mkv_credential){.role = (enum mkv_role)prng_below(prng, 3),
                                 .name = text(names[prng_below(prng, 3)]),
                                 .expiry_s = prng_any_width(prng) >> 1};
    if (c->role == MKV_ROLE_SERVER) {
        c->mark = text("00ff12ab");
    } else {
        c->seq = 1 + (prng_any_width(prng) >> 2);
    }
    if (c->role == MKV_ROLE_USER) {
        c->user = text(users[prng_below(prng, 3)]);
    }
}

static void what_is_written_is_read(void **state)
{
    struct prng prng = {4};
    struct mkv_buf id;

    (void)state;
    mkv_buf_init(&id, MKV_CLIENT_ID_MAX);
    for (unsigned i = 0; i < 5000; i++) {
        struct mkv_credential written;
        struct mkv_credential c;

        draw(&prng, &written);
        mkv_buf_clear(&id);
        assert_int_equal(mkv_credential_id(&written, &id), 0);
        assert_true(mkv_credential_read(mkv_buf_bytes(&id), mkv_credential_user(&written), &c));
        assert_true(c.role == written.role && c.seq == written.seq);
        assert_true(c.expiry_s == written.expiry_s && mkv_bytes_equal(c.name, written.name));
        assert_true(mkv_bytes_equal(c.user, written.user) && mkv_bytes_equal(c.mark, written.mark));
    }
    mkv_buf_deinit(&id);
}

static void a_full_buffer_is_left_alone(void **state)
{
    struct mkv_credential c = {.role = MKV_ROLE_OWN, .name = text("attic"), .seq = 1};
    struct mkv_buf id;

    (void)state;
    mkv_buf_init(&id, 8);
    assert_int_equal(mkv_buf_append_u8(&id, 'x'), 0);
    assert_int_equal(mkv_credential_id(&c, &id), MKV_E_TOO_LARGE);
    assert_int_equal(id.len, 1);
    mkv_buf_deinit(&id);
}

/* So no two of (user, id, key) share a password, whatever is moved from one to the other. */
static void a_password_is_good_for_one_thing(void **state)
{
    static const uint8_t other_key[MKV_GUARD_KEY_LEN] = {1, 2, 4};
    char password[MKV_PASSWORD_LEN];
    struct mkv_bytes right = mkv_bytes(password, sizeof(password));

    (void)state;
    mkv_credential_password(key, text("a:1:2"), text("ann"), password);
    assert_true(mkv_credential_proves(key, text("a:1:2"), text("ann"), right));
    assert_false(mkv_credential_proves(other_key, text("a:1:2"), text("ann"), right));
    assert_false(mkv_credential_proves(key, text("a:1:3"), text("ann"), right));
    assert_false(mkv_credential_proves(key, text("na:1:2"), text("an"), right));
    assert_false(mkv_credential_proves(key, text(":1:2"), text("anna"), right));
    assert_false(mkv_credential_proves(key, text("a:1:2"), text("ann"), mkv_bytes(password, 31)));
    assert_false(mkv_credential_proves(key, text("a:1:2"), text("ann"), mkv_bytes(NULL, 0)));
    for (size_t i = 0; i < sizeof(password); i++) {
        password[i] = (char)(password[i] ^ 1);
        assert_false(mkv_credential_proves(key, text("a:1:2"), text("ann"), right));
        password[i] = (char)(password[i] ^ 1);
    }
}

/* As hashlib.blake2b has it: the vector of docs/protocol.md, section 13.3. */
static void the_vector_of_the_document(void **state)
{
    uint8_t counting[MKV_GUARD_KEY_LEN];
    char password[MKV_PASSWORD_LEN];

    (void)state;
    for (unsigned i = 0; i < sizeof(counting); i++) {
        counting[i] = (uint8_t)i;
    }
    mkv_credential_password(counting, text("attic:41:1795000000"), text("alice"), password);
    assert_memory_equal(password, "c7c4acfd0fbf49ed1ce047836ee35a10", sizeof(password));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_and_servers_are_read),
        cmocka_unit_test(nothing_else_is_read),
        cmocka_unit_test(user_names_have_their_characters),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_full_buffer_is_left_alone),
        cmocka_unit_test(a_password_is_good_for_one_thing),
        cmocka_unit_test(the_vector_of_the_document),
    };

    return cmocka_run_group_tests_name("credential", tests, NULL, NULL);
}
