/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what where: examples, what is refused, and limits.  A model is in test_acl_model.c.
 */
#include <stdio.h>
#include <string.h>

#include "acl_rig.h"
#include "base/buf.h"
#include "base/limits.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/prng.h"
#include "wire/path.h"

static int setup(void **state)
{
    (void)state;
    return mkv_acl_new(&acl);
}

static int teardown(void **state)
{
    (void)state;
    mkv_acl_free(acl);
    acl = NULL;
    assert_int_equal(mem_fault_live(), 0);
    return 0;
}

static void add_user(const char *name, const char *role, const char *other)
{
    const char *roles[] = {role, other};

    assert_int_equal(try_user(name, roles, other == NULL ? 1 : 2), 0);
}

static void add_rule(const char *role, const char *filter, const char *rights)
{
    uint8_t allowed;
    uint8_t denied;

    assert_int_equal(mkv_acl_rights_parse(mkv_bytes_of(rights), &allowed, &denied), 0);
    assert_int_equal(try_rule(role, filter, allowed, denied), 0);
}

/* "ROLE FILTER", or "none". */
static const char *decider(const char *user, const char *path, enum mkv_right right)
{
    static char text[200];
    struct mkv_buf key;
    struct mkv_buf dotted;
    struct mkv_acl_rule rule;
    int n;

    (void)mkv_acl_decide(acl, mkv_bytes_of(user), key_of(path, &key), right, &rule);
    mkv_buf_deinit(&key);
    if (rule.role.len == 0) {
        return "none";
    }
    mkv_buf_init(&dotted, 10000);
    assert_int_equal(mkv_path_to_dotted(rule.filter, &dotted), 0);
    n = snprintf(text, sizeof(text), "%.*s %.*s", (int)rule.role.len, (const char *)rule.role.at,
                 (int)dotted.len, (const char *)dotted.at);
    assert_true(n > 0 && (size_t)n < sizeof(text));
    mkv_buf_deinit(&dotted);
    return text;
}

static void test_example(void **state)
{
    (void)state;
    add_user("ann", "guest", NULL);
    add_user("bob", "guest", "nurse");
    add_user("carl", "none", NULL);
    add_rule("guest", "#", "re");
    add_rule("guest", "cellar.#", "-re");
    add_rule("guest", "cellar.door", "r");
    add_rule("nurse", "ward.+.pulse", "w");
    assert_int_equal(mkv_acl_finish(acl), 0);

    assert_true(may("ann", "kitchen.lamp", R));
    assert_string_equal(decider("ann", "kitchen.lamp", R), "guest #");
    assert_true(may("ann", ":", R));
    assert_false(may("ann", "cellar", R));
    assert_false(may("ann", "cellar.door.key", R));
    assert_string_equal(decider("ann", "cellar.door.key", R), "guest cellar.#");
    assert_true(may("ann", "cellar.door", R));
    assert_string_equal(decider("ann", "cellar.door", R), "guest cellar.door");
    assert_false(may("ann", "cellar.door", MKV_RIGHT_LIST));
    assert_false(may("ann", "ward:3.pulse", W));
    assert_string_equal(decider("ann", "ward:3.pulse", W), "none");
    assert_true(may("bob", "ward:3.pulse", W));
    assert_false(may("bob", "ward:3.name", W));
    assert_false(may("bob", "ward.pulse", W));
    assert_true(may("bob", "ward:3.pulse", R)); /* the nearer rule does not speak of it */
    assert_false(may("carl", "kitchen", R));
    assert_false(may("nobody", "kitchen", R));
    assert_false(may("", "kitchen", R));

    assert_int_equal(below("ann", "kitchen"), MKV_ACL_ALL);
    assert_int_equal(below("ann", "cellar"), MKV_ACL_SOME);
    assert_int_equal(below("ann", "cellar.box"), MKV_ACL_NONE);
    assert_int_equal(below("ann", ":"), MKV_ACL_SOME);
    assert_int_equal(below("ann", ":n"), MKV_ACL_NONE);
    assert_int_equal(below("carl", ":"), MKV_ACL_NONE);
}

/* Wildcards do not reach what begins with null; only a filter that begins so does. */
static void test_meta_tree(void **state)
{
    (void)state;
    add_user("ann", "guest", NULL);
    add_user("boss", "admin", NULL);
    add_rule("guest", "#", "rwcdea");
    add_rule("guest", "+.users.#", "rwcdea");
    add_rule("admin", ":n.#", "rwcdea");
    assert_int_equal(mkv_acl_finish(acl), 0);
    assert_false(may("ann", ":n", R));
    assert_false(may("ann", ":n.users.ann", R));
    assert_true(may("ann", "a:n", R)); /* further on it is an element like others */
    assert_true(may("boss", ":n", R));
    assert_true(may("boss", ":n.users.ann", MKV_RIGHT_ADMIN));
    assert_false(may("boss", "kitchen", R));
    assert_false(may("boss", ":", R));
    assert_int_equal(below("boss", ":n.users"), MKV_ACL_ALL);
    assert_int_equal(below("boss", ":"), MKV_ACL_SOME);
    assert_int_equal(below("ann", ":"), MKV_ACL_SOME);
}

static void test_all_of_it(void **state)
{
    (void)state;
    add_user("root", "all", NULL);
    add_rule("all", "#", "r");
    add_rule("all", ":n.#", "r");
    assert_int_equal(mkv_acl_finish(acl), 0);
    assert_int_equal(below("root", ":"), MKV_ACL_ALL);
}

static void test_denial_beats_in_one_place(void **state)
{
    (void)state;
    add_user("ann", "a", "b");
    add_user("bob", "b", "a");
    add_user("carl", "a", NULL);
    add_rule("a", "x.+", "r");
    add_rule("b", "x.+", "-r");
    assert_int_equal(mkv_acl_finish(acl), 0);
    assert_false(may("ann", "x.y", R));
    assert_string_equal(decider("ann", "x.y", R), "b x.+");
    assert_false(may("bob", "x.y", R));
    assert_true(may("carl", "x.y", R));
}

/* What does a path element mean that looks like a wildcard?  It is matched by wildcards alone. */
static void test_names_like_wildcards(void **state)
{
    (void)state;
    add_user("ann", "a", NULL);
    add_rule("a", "x.#", "r");
    add_rule("a", "x.y", "-r");
    assert_int_equal(mkv_acl_finish(acl), 0);
    assert_string_equal(decider("ann", "x.#.z", R), "a x.#");
    assert_string_equal(decider("ann", "x.+", R), "a x.#");
    assert_false(may("ann", "#", R));
}

static void test_rest_not_last_denies(void **state)
{
    (void)state;
    add_user("ann", "a", NULL);
    add_rule("a", "x.#", "rw"); /* both now have the same filter */
    add_rule("a", "x.#.y", "r");
    add_rule("a", "#", "r");
    assert_int_equal(mkv_acl_finish(acl), 0);
    assert_false(may("ann", "x", W));
    assert_false(may("ann", "x.z", R));
    assert_true(may("ann", "z", R));
}

static void test_off_and_uid(void **state)
{
    struct mkv_acl_user user = {.name = mkv_bytes_of("ann"),
                                .n_roles = 1,
                                .roles = {mkv_bytes_of("a")},
                                .off = true,
                                .has_uid = true,
                                .uid = 7};

    (void)state;
    assert_int_equal(mkv_acl_add_user(acl, &user), 0);
    user.name = mkv_bytes_of("bob");
    user.off = false;
    user.uid = 8;
    assert_int_equal(mkv_acl_add_user(acl, &user), 0);
    user.name = mkv_bytes_of("carl");
    assert_int_equal(mkv_acl_add_user(acl, &user), 0);
    user.name = mkv_bytes_of("dora");
    user.has_uid = false;
    user.uid = 0;
    assert_int_equal(mkv_acl_add_user(acl, &user), 0);
    add_rule("a", "#", "r");
    assert_int_equal(mkv_acl_finish(acl), 0);
    assert_false(may("ann", "x", R));
    assert_int_equal(below("ann", "x"), MKV_ACL_NONE);
    assert_true(may("bob", "x", R));
    assert_non_null(mkv_acl_user_of_uid(acl, 7));
    assert_true(mkv_bytes_equal(mkv_acl_user_of_uid(acl, 7)->name, mkv_bytes_of("ann")));
    assert_null(mkv_acl_user_of_uid(acl, 8)); /* two claim it */
    assert_null(mkv_acl_user_of_uid(acl, 0));
    assert_non_null(mkv_acl_user(acl, mkv_bytes_of("dora")));
    assert_null(mkv_acl_user(acl, mkv_bytes_of("dor")));
    assert_int_equal(mkv_acl_n_users(acl), 4);
    assert_int_equal(mkv_acl_n_rules(acl), 1);
}

static void check_rights(const char *text, int error, const char *expected)
{
    uint8_t allowed = 0;
    uint8_t denied = 0;
    char again[MKV_ACL_RIGHTS_TEXT];

    assert_int_equal(mkv_acl_rights_parse(mkv_bytes_of(text), &allowed, &denied), error);
    if (error == 0) {
        mkv_acl_rights_format(allowed, denied, again);
        assert_string_equal(again, expected);
    }
}

static void test_text_of_rights(void **state)
{
    (void)state;
    check_rights("r", 0, "r");
    check_rights("edcwr-a", 0, "rwcde-a");
    check_rights("rwcdea-rwcdea", 0, "rwcdea-rwcdea");
    check_rights("-d", 0, "-d");
    check_rights("rr-", 0, "r");
    check_rights("rxn", 0, "rc"); /* of version 2 */
    check_rights("r-n", 0, "r-c");
    check_rights("-x", MKV_E_MALFORMED, NULL);
    check_rights("", MKV_E_MALFORMED, NULL);
    check_rights("-", MKV_E_MALFORMED, NULL);
    check_rights("x", MKV_E_MALFORMED, NULL);
    check_rights("r-w-d", MKV_E_MALFORMED, NULL);
    check_rights("r w", MKV_E_MALFORMED, NULL);
    check_rights("R", MKV_E_MALFORMED, NULL);
}

static void test_refused(void **state)
{
    static const char *const many[MKV_ACL_USER_ROLES_MAX] = {
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"};
    const char *const bad[] = {"a b"};
    static const uint8_t no_key[] = {0x60, 'a'};
    struct mkv_acl_rule rule = {.role = mkv_bytes_of("a"), .filter = {no_key, sizeof(no_key)}};
    char name[MKV_ACL_NAME_MAX + 2];

    (void)state;
    memset(name, 'x', sizeof(name));
    name[MKV_ACL_NAME_MAX + 1] = '\0';
    assert_int_equal(try_user(name, NULL, 0), MKV_E_BAD_NAME);
    name[MKV_ACL_NAME_MAX] = '\0';
    assert_int_equal(try_user(name, many, MKV_ACL_USER_ROLES_MAX), 0);
    assert_int_equal(try_user("more", many, MKV_ACL_USER_ROLES_MAX + 1), MKV_E_MALFORMED);
    assert_int_equal(try_user("", NULL, 0), MKV_E_BAD_NAME);
    assert_int_equal(try_user(":own", NULL, 0), MKV_E_BAD_NAME);
    assert_int_equal(try_user("ann", bad, 1), MKV_E_BAD_NAME);
    assert_int_equal(try_user("a.Z_9@b-c", NULL, 0), 0);
    assert_int_equal(try_rule("a/b", "x", R, 0), MKV_E_BAD_NAME);
    assert_int_equal(try_rule("a", "x", 64, 0), MKV_E_MALFORMED);
    assert_int_equal(try_rule("a", "x", 0, 64), MKV_E_MALFORMED);
    assert_int_equal(mkv_acl_add_rule(acl, &rule), MKV_E_BAD_PATH);
    assert_int_equal(mkv_acl_finish(acl), 0);
    assert_int_equal(mkv_acl_n_users(acl), 2);
    assert_int_equal(mkv_acl_n_rules(acl), 0);
}

static void test_same_name(void **state)
{
    (void)state;
    add_user("ann", "a", NULL);
    add_user("ann", "b", NULL);
    assert_int_equal(mkv_acl_finish(acl), MKV_E_DUPLICATE_KEY);
}

/* --- Limits ------------------------------------------------------------------------------- */

static void test_too_many_users(void **state)
{
    char name[20];

    (void)state;
    add_rule("a", "#", "r");
    for (unsigned i = 0; i <= MKV_ACL_USERS_MAX; i++) {
        const char *roles[] = {"a"};

        (void)snprintf(name, sizeof(name), "u%05u", i);
        assert_int_equal(try_user(name, roles, 1), i < MKV_ACL_USERS_MAX ? 0 : MKV_E_TOO_MANY);
    }
    assert_int_equal(mkv_acl_finish(acl), 0);
    assert_int_equal(mkv_acl_n_cut(acl), 1);
    assert_true(may("u04095", "x", R));
    assert_false(may("u04096", "x", R));
}

/* Who has a role that is not whole has no rights, also not from other roles: it might have denied them. */
static void test_too_many_rules(void **state)
{
    char filter[20];

    (void)state;
    add_user("ann", "a", NULL);
    add_user("bob", "a", "b");
    add_user("carl", "c", NULL);
    add_rule("a", "#", "r");
    add_rule("c", "#", "r");
    for (unsigned i = 2; i <= MKV_ACL_RULES_MAX; i++) {
        (void)snprintf(filter, sizeof(filter), "x%u", i);
        assert_int_equal(try_rule("b", filter, 0, R), i < MKV_ACL_RULES_MAX ? 0 : MKV_E_TOO_MANY);
    }
    assert_int_equal(mkv_acl_finish(acl), 0);
    assert_int_equal(mkv_acl_n_rules(acl), 1);
    assert_int_equal(mkv_acl_n_cut(acl), MKV_ACL_RULES_MAX);
    assert_true(may("ann", "y", R));
    assert_false(may("bob", "y", R));
    assert_true(mkv_acl_user(acl, mkv_bytes_of("bob"))->off);
    assert_false(may("carl", "y", R));
}

static void test_too_many_roles(void **state)
{
    char name[20];

    (void)state;
    for (unsigned i = 0; i <= MKV_ACL_ROLES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "r%05u", i);
        add_rule(name, "#", "r");
    }
    add_user("ann", "r01023", NULL);
    add_user("bob", "r01023", "r01024");
    assert_int_equal(mkv_acl_finish(acl), 0);
    assert_int_equal(mkv_acl_n_cut(acl), 1);
    assert_true(may("ann", "y", R));
    assert_false(may("bob", "y", R));
}

/* The longest filters there are, and a path that can be matched in 2^64 ways, were they all tried. */
static void test_deep(void **state)
{
    char filter[3 * MKV_PATH_LEVELS_MAX];
    struct prng prng = {4};

    (void)state;
    add_user("ann", "a", NULL);
    for (unsigned i = 0; i < 2000; i++) {
        for (unsigned at = 0; at < MKV_PATH_LEVELS_MAX; at++) {
            memcpy(filter + 2 * at, prng_below(&prng, 2) == 0 ? "+." : "a.", 2);
        }
        filter[2 * MKV_PATH_LEVELS_MAX - 1] = '\0';
        (void)try_rule("a", filter, W, 0);
    }
    assert_int_equal(mkv_acl_finish(acl), 0);
    for (unsigned at = 0; at < MKV_PATH_LEVELS_MAX; at++) {
        memcpy(filter + 2 * at, "a.", 2);
    }
    filter[2 * MKV_PATH_LEVELS_MAX - 1] = '\0';
    assert_true(may("ann", filter, W));
    assert_false(may("ann", filter, R));
    assert_int_equal(below("ann", filter), MKV_ACL_NONE);
}

static int make_with_faults(void)
{
    struct mkv_acl_user user = {
        .name = mkv_bytes_of("ann"), .n_roles = 1, .roles = {mkv_bytes_of("a")}};
    struct mkv_acl_rule rule = {.role = mkv_bytes_of("a"), .filter = {(const uint8_t *)"\x10", 1}};
    struct mkv_acl *other;
    int error = mkv_acl_new(&other);

    if (error != 0) {
        return error;
    }
    for (unsigned i = 0; i < 300 && error == 0; i++) { /* more than one block */
        error = mkv_acl_add_rule(other, &rule);
    }
    if (error == 0) {
        error = mkv_acl_add_user(other, &user);
    }
    if (error == 0) {
        error = mkv_acl_finish(other);
    }
    mkv_acl_free(other);
    return error;
}

static void test_no_memory(void **state)
{
    unsigned n = 1;

    (void)state;
    for (;; n++) {
        mem_fault_at(n);

        int error = make_with_faults();

        if (!mem_fault_struck()) {
            assert_int_equal(error, 0);
            break;
        }
        assert_int_equal(error, MKV_E_NO_MEMORY);
    }
    mem_fault_at(0);
    assert_true(n > 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_example),
        TEST(test_meta_tree),
        TEST(test_all_of_it),
        TEST(test_denial_beats_in_one_place),
        TEST(test_names_like_wildcards),
        TEST(test_rest_not_last_denies),
        TEST(test_off_and_uid),
        TEST(test_text_of_rights),
        TEST(test_refused),
        TEST(test_same_name),
        TEST(test_too_many_users),
        TEST(test_too_many_rules),
        TEST(test_too_many_roles),
        TEST(test_deep),
        TEST(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
