/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rights as they are read from the tree, and the sums of what may be read, against adding it up one by one.
 */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "core/effect.h"
#include "core/grants.h"
#include "core/grants_entry.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/prng.h"
#include "store/log_memory.h"
#include "store/store.h"
#include "wire/path.h"

static struct mkv_disk *disk;
static struct mkv_store *store;
static struct mkv_grants grants;
static uint64_t tock;

/* --- The port: only lines for the log are expected ---------------------------------------- */

static unsigned n_lines;

struct mkv_effects {
    int nothing;
};

static struct mkv_effects effects;

void mkv_effect_log(struct mkv_effects *to, enum mkv_log_level level, const char *format, ...)
{
    assert_ptr_equal(to, &effects);
    assert_true(level == MKV_LOG_WARNING || level == MKV_LOG_ERROR);
    assert_true(strlen(format) > 0);
    n_lines++;
}

static int setup(void **state)
{
    struct mkv_store_options options = {.boot_nonce = 1};
    struct mkv_store_report report;

    (void)state;
    tock = 0;
    n_lines = 0;
    disk = mkv_disk_new(0);
    assert_non_null(disk);
    return mkv_store_open_disk(disk, &options, &store, &report);
}

static int teardown(void **state)
{
    (void)state;
    mkv_grants_deinit(&grants);
    mkv_store_close(store);
    mkv_disk_free(disk);
    assert_int_equal(mem_fault_live(), 0);
    return 0;
}

static void put_raw(const char *path, struct mkv_bytes value)
{
    struct mkv_update update = {.has_tock = true,
                                .tock = ++tock,
                                .present = value.at != NULL,
                                .value = value,
                                .ticks = {.n = 1, .at = {{mkv_bytes_of("w"), 0, tock}}}};
    struct mkv_head head = mkv_head_of(&update);
    struct mkv_buf key;

    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(path), &key), 0);
    assert_int_equal(mkv_store_put(store, mkv_buf_bytes(&key), &head, &update), 0);
    assert_int_equal(mkv_store_commit(store), 0);
    mkv_buf_deinit(&key);
}

static void put(const char *path, const char *value)
{
    put_raw(path, value == NULL ? mkv_bytes(NULL, 0) : mkv_bytes_of(value));
}

static bool may(const char *user, const char *path)
{
    struct mkv_asker asker = {.user = mkv_bytes_of(user)};
    struct mkv_buf key;
    bool allowed;

    assert_int_equal(mkv_grants_refresh(&grants, store, &effects), 0);
    asker.acl = grants.acl;
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(path), &key), 0);
    allowed = mkv_asker_may(&asker, mkv_buf_bytes(&key), MKV_RIGHT_READ);
    mkv_buf_deinit(&key);
    return allowed;
}

#define GUEST "\xa1\x65roles\x81\x65guest"

static void test_reads_again_when_it_has_changed(void **state)
{
    (void)state;
    assert_false(may("ann", "x"));
    assert_int_equal(grants.n_versions, 1);
    put(":n.users.ann", GUEST);
    put(":n.acl.guest.#", "\x61r");
    put("x", "\x01");
    assert_true(may("ann", "x"));
    assert_int_equal(grants.n_versions, 2);
    put("x", "\x02");
    put(":n.servers.x", "\x02");
    assert_true(may("ann", "x"));
    assert_int_equal(grants.n_versions, 2); /* that was about something else */
    put(":n.acl.guest.#", NULL);
    assert_false(may("ann", "x"));
    put(":n.acl.guest.#", "\x61r");
    assert_true(may("ann", "x"));
    put(":n.users.ann", NULL);
    assert_false(may("ann", "x"));
    assert_int_equal(n_lines, 0);
}

static void test_entries_that_are_none(void **state)
{
    static const struct {
        const char *value;
        bool counts;
    } values[] = {
        {GUEST, true},
        {"\xa2\x63new\x82\x01\x02\x65roles\x81\x65guest", true}, /* what we do not know */
        {"\xa2\x65roles\x81\x65guest\x63off\xf4", true},
        {"\xa2\x65roles\x81\x65guest\x63off\xf5", false},
        {"\xa2\x65roles\x81\x65guest\x63off\x01", false},
        {"\xa2\x65roles\x81\x65guest\x63uid\x20", false},
        {"\xa2\x65roles\x81\x65guest\x63uid\x1b\x00\x00\x00\x01", false},
        {"\xa1\x65roles\x65guest", false},
        {"\xa1\x65roles\x82\x65guest\x63"
         "a b",
         false},
        {"\xa1\x65guest\x81\x65roles", false},
        {"\x65guest", false},
        {"\xf6", false},
    };

    (void)state;
    put(":n.acl.guest.#", "\x61r");
    for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        put(":n.users.ann", values[i].value);
        assert_int_equal(may("ann", "x"), values[i].counts);
    }
    assert_true(n_lines > 0);
    put(":n.users.ann", GUEST);
    put(":n.users.ann.more", GUEST); /* in the wrong places */
    put(":n.users:5", GUEST);
    put(":n.users.a:_b", GUEST);
    put(":n.acl", "\x61r");
    put(":n.acl:5.#", "\x61r");
    put(":n.aclx.guest.x", "\x62-r");
    assert_true(may("ann", "x"));
    assert_int_equal(grants.n_unread, 4);
    assert_int_equal(mkv_acl_n_users(grants.acl), 1);
    assert_int_equal(mkv_acl_n_rules(grants.acl), 1);
}

static void test_rules_that_are_none_deny(void **state)
{
    static const char *const values[] = {"\x60", "\x61q", "\x01", "\xf6", "\x63r-x"};

    (void)state;
    put(":n.users.ann", GUEST);
    put(":n.acl.guest.#", "\x61r");
    for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        put(":n.acl.guest.x", values[i]);
        assert_false(may("ann", "x"));
        assert_true(may("ann", "y"));
        assert_int_equal(grants.n_unread, 1);
    }
    assert_int_equal(n_lines, 1); /* said once, not for each of them */
    put(":n.acl.guest.x", "\x61w");
    assert_true(may("ann", "x"));
}

/* A row that cannot be read any more may have denied something. */
static void test_damaged_rows(void **state)
{
    (void)state;
    put(":n.users.ann", GUEST);
    put(":n.acl.guest.#", "\x61r");
    put(":n.acl.guest.x.+", "\x61r");
    mkv_disk_damage(disk, MKV_LOG_ROWS, (size_t)tock - 1);
    assert_true(may("ann", "x"));
    assert_false(may("ann", "x.y"));
    put(":n.users.ann", GUEST);
    mkv_disk_damage(disk, MKV_LOG_ROWS, (size_t)tock - 1);
    assert_false(may("ann", "x"));
}

static void test_keys_and_values(void **state)
{
    struct mkv_acl_user user = {.name = mkv_bytes_of("ann"),
                                .n_roles = 2,
                                .roles = {mkv_bytes_of("a"), mkv_bytes_of("b")},
                                .has_uid = true,
                                .uid = UINT32_MAX,
                                .off = true};
    struct mkv_acl_user again;
    struct mkv_acl_rule rule;
    struct mkv_buf key;
    struct mkv_buf value;
    static const uint8_t filter[] = {0x40, 0x60, '#', 0x00, 0x01};

    (void)state;
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&value, 1000);
    assert_int_equal(mkv_user_key(user.name, &key), 0);
    assert_int_equal(mkv_user_write(&user, &value), 0);
    assert_true(mkv_user_read(mkv_buf_bytes(&key), mkv_buf_bytes(&value), &again));
    assert_true(mkv_bytes_equal(again.name, user.name));
    assert_int_equal(again.n_roles, 2);
    assert_true(mkv_bytes_equal(again.roles[1], user.roles[1]));
    assert_true(again.has_uid && again.uid == UINT32_MAX && again.off);
    for (size_t len = 0; len < value.len; len++) { /* cut off */
        assert_false(mkv_user_read(mkv_buf_bytes(&key), mkv_bytes(value.at, len), &again));
    }
    mkv_buf_clear(&key);
    assert_int_equal(mkv_rule_key(mkv_bytes_of("a"), mkv_bytes(filter, sizeof(filter)), &key), 0);
    assert_int_equal(mkv_rule_read(mkv_buf_bytes(&key), mkv_bytes_of("\x63r-w"), &rule),
                     MKV_ENTRY_FINE);
    assert_true(mkv_bytes_equal(rule.role, mkv_bytes_of("a")));
    assert_true(mkv_bytes_equal(rule.filter, mkv_bytes(filter, sizeof(filter))));
    assert_int_equal(rule.allowed, MKV_RIGHT_READ);
    assert_int_equal(rule.denied, MKV_RIGHT_WRITE);
    mkv_buf_clear(&key);
    assert_int_equal(mkv_user_key(mkv_bytes_of("a b"), &key), MKV_E_BAD_NAME);
    mkv_buf_deinit(&value);
    mkv_buf_deinit(&key);
}

static void test_no_memory(void **state)
{
    unsigned n = 1;

    (void)state;
    put(":n.users.ann", GUEST);
    put(":n.acl.guest.#", "\x61r");
    for (;; n++) {
        mem_fault_at(n);

        int error = mkv_grants_refresh(&grants, store, &effects);

        if (!mem_fault_struck()) {
            assert_int_equal(error, 0);
            break;
        }
        assert_int_equal(error, MKV_E_NO_MEMORY);
        assert_false(grants.read);
    }
    mem_fault_at(0);
    assert_true(n > 5);
    assert_true(may("ann", "x"));
}

/* --- Sums --------------------------------------------------------------------------------- */

static struct mkv_summary add_up(const struct mkv_asker *asker, struct mkv_bytes top)
{
    struct mkv_summary sum = {.n_entries = 0};
    struct mkv_tree_entry entry;

    for (bool found = mkv_tree_at(mkv_store_tree(store), top, &entry);
         found && mkv_bytes_starts_with(entry.key, top);
         found = mkv_tree_next(mkv_store_tree(store), entry.key, &entry)) {
        if (mkv_asker_may(asker, entry.key, MKV_RIGHT_READ)) {
            sum.n_entries++;
            sum.n_live += entry.head.present;
            mkv_digest_add(&sum.digest,
                           mkv_entry_digest(mkv_store_digest_key(store), entry.key, &entry.head));
        }
    }
    return sum;
}

static const char *random_path(struct prng *prng, bool filter, const char *start)
{
    static const char *const words[] = {".a", ".b", ":3", ".c", ".+", ".#"};
    static char path[64];
    unsigned n = (unsigned)prng_below(prng, 5);
    size_t len = (size_t)snprintf(path, sizeof(path), "%s", start);

    for (unsigned i = 0; i < n; i++) {
        const char *word = words[prng_below(prng, filter ? 6 : 4)];

        len += (size_t)snprintf(path + len, sizeof(path) - len, "%s",
                                len == 0 && word[0] == '.' ? word + 1 : word);
        if (strcmp(word, ".#") == 0) {
            break;
        }
    }
    return len == 0 ? ":" : path;
}

static void check_sums(struct prng *prng, unsigned *n_partial)
{
    struct mkv_asker asker = {.user = mkv_bytes_of("ann")};

    assert_int_equal(mkv_grants_refresh(&grants, store, &effects), 0);
    asker.acl = grants.acl;
    for (unsigned i = 0; i < 8; i++) {
        struct mkv_summary sum;
        struct mkv_summary expected;
        struct mkv_buf top;

        mkv_buf_init(&top, MKV_PATH_KEY_MAX);
        assert_int_equal(
            mkv_path_from_dotted(mkv_bytes_of(i == 0 ? ":" : random_path(prng, false, "")), &top),
            0);
        expected = add_up(&asker, mkv_buf_bytes(&top));
        assert_int_equal(mkv_asker_summary(&asker, store, mkv_buf_bytes(&top), &sum), 0);
        assert_int_equal(sum.n_entries, expected.n_entries);
        assert_int_equal(sum.n_live, expected.n_live);
        assert_true(sum.digest.high == expected.digest.high &&
                    sum.digest.low == expected.digest.low);
        *n_partial += sum.n_entries > 0 &&
                      mkv_asker_below(&asker, mkv_buf_bytes(&top), MKV_RIGHT_READ) == MKV_ACL_SOME;
        mkv_buf_deinit(&top);
    }
}

static void test_sums(void **state)
{
    static const char *const values[] = {"\x61r", "\x61r", "\x62-r", "\x61w", NULL};
    struct prng prng = {7};
    unsigned n_partial = 0;

    (void)state;
    put(":n.users.ann", GUEST);
    for (unsigned i = 0; i < 150; i++) {
        put(random_path(&prng, false, ""), prng_below(&prng, 4) == 0 ? NULL : "\x01");
    }
    for (unsigned run = 0; run < 600; run++) {
        const char *start = prng_below(&prng, 8) == 0 ? ":n.acl.guest:n" : ":n.acl.guest";

        put(random_path(&prng, true, start), values[prng_below(&prng, 5)]);
        check_sums(&prng, &n_partial);
    }
    assert_true(n_partial > 500);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_reads_again_when_it_has_changed),
        CASE(test_entries_that_are_none),
        CASE(test_rules_that_are_none_deny),
        CASE(test_damaged_rows),
        CASE(test_keys_and_values),
        CASE(test_no_memory),
        CASE(test_sums),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
