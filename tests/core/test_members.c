/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of servers as it is read from the tree, whatever may be found there.
 */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "core/members.h"
#include "core/order.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "store/log_memory.h"
#include "store/store.h"
#include "wire/path.h"

static struct mkv_disk *disk;
static struct mkv_store *store;
static struct mkv_members members;
static uint8_t own[MKV_UUID_LEN];
static uint64_t tock;

static int setup(void **state)
{
    struct mkv_store_options options = {.boot_nonce = 1};
    struct mkv_store_report report;

    (void)state;
    memset(options.id, 0x50, sizeof(options.id));
    memcpy(own, options.id, sizeof(own));
    tock = 0;
    disk = mkv_disk_new(0);
    assert_non_null(disk);
    return mkv_store_open_disk(disk, &options, &store, &report);
}

static int teardown(void **state)
{
    (void)state;
    mkv_members_deinit(&members);
    mkv_store_close(store);
    mkv_disk_free(disk);
    assert_int_equal(mem_fault_live(), 0);
    return 0;
}

static void put_key(struct mkv_bytes key, struct mkv_bytes value)
{
    struct mkv_update update = {.has_tock = true,
                                .tock = ++tock,
                                .present = value.at != NULL,
                                .value = value,
                                .ticks = {.n = 1, .at = {{mkv_bytes_of("w"), 0, tock}}}};
    struct mkv_head head = mkv_head_of(&update);

    assert_int_equal(mkv_store_put(store, key, &head, &update), 0);
    assert_int_equal(mkv_store_commit(store), 0);
}

static void put_value(uint8_t uuid_byte, struct mkv_bytes value)
{
    uint8_t uuid[MKV_UUID_LEN];
    struct mkv_buf key;

    memset(uuid, uuid_byte, sizeof(uuid));
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_member_key(uuid, &key), 0);
    put_key(mkv_buf_bytes(&key), value);
    mkv_buf_deinit(&key);
}

static void put_member(uint8_t uuid_byte, const char *name, bool active, uint8_t cluster_byte)
{
    struct mkv_member member = {.active = active};
    struct mkv_buf value;

    memset(member.cluster, cluster_byte, sizeof(member.cluster));
    (void)snprintf(member.name, sizeof(member.name), "%s", name);
    mkv_buf_init(&value, 1000);
    assert_int_equal(mkv_member_value(&member, &value), 0);
    put_value(uuid_byte, mkv_buf_bytes(&value));
    mkv_buf_deinit(&value);
}

/* All of them as "50 name+ ", "-" if evicted. */
static const char *text_of(void)
{
    static char text[1000];
    size_t len = 0;

    assert_int_equal(mkv_members_refresh(&members, store), 0);
    text[0] = '\0';
    for (uint32_t i = 0; i < members.n; i++) {
        const struct mkv_member *member = &members.at[i];

        len += (size_t)snprintf(text + len, sizeof(text) - len, "%02x %s%c ", member->uuid[0],
                                member->name, member->active ? '+' : '-');
    }
    return text;
}

static bool is_cluster(uint8_t byte)
{
    uint8_t uuid[MKV_UUID_LEN];

    memset(uuid, byte, sizeof(uuid));
    return memcmp(mkv_members_cluster(&members), uuid, sizeof(uuid)) == 0;
}

static void test_a_server_alone(void **state)
{
    (void)state;
    assert_string_equal(text_of(), "");
    assert_true(is_cluster(0x50));
    assert_int_equal(members.own_tock, 0);
    assert_null(mkv_members_find(&members, own));
    assert_false(mkv_members_active(&members, own));

    /* Others' entries are of another cluster, as long as ours does not name that. */
    put_member(0x60, "b", true, 0x60);
    assert_string_equal(text_of(), "");
}

static void test_ours(void **state)
{
    (void)state;
    put_member(0x60, "b", true, 0x60);
    put_member(0x50, "a", true, 0x60);
    put_member(0x10, "c", false, 0x60);
    put_member(0x20, "d", true, 0x20);
    assert_string_equal(text_of(), "10 c- 50 a+ 60 b+ ");
    assert_true(is_cluster(0x60));
    assert_int_equal(members.own_tock, 2);
    assert_true(mkv_members_active(&members, own));
    assert_true(mkv_members_active_as(&members, own, mkv_bytes_of("a")));
    assert_false(mkv_members_active_as(&members, own, mkv_bytes_of("b")));

    /* Only if something has changed, it is read again. */
    uint32_t n_versions = members.n_versions;

    assert_string_equal(text_of(), "10 c- 50 a+ 60 b+ ");
    assert_int_equal(members.n_versions, n_versions);
    put_value(0x60, mkv_bytes(NULL, 0));
    put_member(0x50, "a", false, 0x60);
    assert_string_equal(text_of(), "10 c- 50 a- ");
    assert_int_equal(members.n_versions, n_versions + 1);
    assert_true(is_cluster(0x60)); /* evicted from there */
    assert_false(mkv_members_active(&members, own));
    assert_false(mkv_members_active_as(&members, own, mkv_bytes_of("a")));

    /* Deleted: one of its own again. */
    put_value(0x50, mkv_bytes(NULL, 0));
    assert_string_equal(text_of(), "");
    assert_true(is_cluster(0x50));
    assert_int_equal(members.own_tock, tock);
}

#define UUID_60 "\x60\x60\x60\x60\x60\x60\x60\x60\x60\x60\x60\x60\x60\x60\x60\x60"
#define CLUSTER                                                                                    \
    "\x67"                                                                                         \
    "cluster\x50\x50\x50\x50\x50\x50\x50\x50\x50\x50\x50\x50\x50\x50\x50\x50\x50"

static void check_value(const char *value, size_t len, const char *expected)
{
    put_value(0x60, mkv_bytes(value, len));
    assert_string_equal(text_of(), expected);
}

#define CHECK_VALUE(value, expected) check_value(value, sizeof(value) - 1, expected)

static void test_values(void **state)
{
    (void)state;
    put_member(0x50, "a", true, 0x50);
    CHECK_VALUE("\xa3\x64name\x61z\x65state\x66"
                "active" CLUSTER,
                "50 a+ 60 z+ ");
    /* Another order, and what we do not know. */
    CHECK_VALUE("\xa4" CLUSTER "\x64more\x82\x01\x02\x65state\x67"
                "evicted\x64name\x61z",
                "50 a+ 60 z- ");
    /* Another state; none; a name that is none; no name; no cluster; not a map; and so on. */
    CHECK_VALUE("\xa3\x64name\x61z\x65state\x63off" CLUSTER, "50 a+ ");
    CHECK_VALUE("\xa2\x64name\x61z" CLUSTER, "50 a+ ");
    CHECK_VALUE("\xa3\x64name\x61 \x65state\x66"
                "active" CLUSTER,
                "50 a+ ");
    CHECK_VALUE("\xa2\x65state\x66"
                "active" CLUSTER,
                "50 a+ ");
    CHECK_VALUE("\xa2\x64name\x61z\x65state\x66"
                "active",
                "50 a+ ");
    CHECK_VALUE("\xa3\x64name\x61z\x65state\x66"
                "active\x67"
                "cluster\x42\x50\x50",
                "50 a+ ");
    CHECK_VALUE("\xa3\x64name\x01\x65state\x66"
                "active" CLUSTER,
                "50 a+ ");
    CHECK_VALUE("\xa3\x01\x61z\x65state\x66"
                "active" CLUSTER,
                "50 a+ ");
    CHECK_VALUE("\x61z", "50 a+ ");
    CHECK_VALUE("\xf6", "50 a+ ");
}

/* Entries of another shape in the same place are none, and do no harm. */
static void test_foreign_keys(void **state)
{
    static const char *const paths[] = {
        ":n.servers", ":n.servers.a",     ":n.servers:5", ":n.serversx:y00",
        ":n.server",  ":n.servers:y0011", ":n.aaa",       ":n.zzz",
    };
    struct mkv_buf key;
    struct mkv_buf from;
    struct mkv_buf to;

    (void)state;
    put_member(0x50, "a", true, 0x50);
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&from, MKV_PATH_KEY_MAX);
    mkv_buf_init(&to, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_members_range(&from, &to), 0);
    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        bool inside;

        mkv_buf_clear(&key);
        assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(paths[i]), &key), 0);
        put_key(mkv_buf_bytes(&key), mkv_bytes_of("\x61x"));
        inside = mkv_bytes_compare(mkv_buf_bytes(&key), mkv_buf_bytes(&from)) >= 0 &&
                 mkv_bytes_compare(mkv_buf_bytes(&key), mkv_buf_bytes(&to)) < 0;
        assert_int_equal(inside, mkv_members_are_at(mkv_buf_bytes(&key)));
    }
    /* Deeper than an entry. */
    mkv_buf_clear(&key);
    assert_int_equal(mkv_member_key(own, &key), 0);
    assert_int_equal(mkv_path_append(&key, &(struct mkv_element){.kind = MKV_ELEMENT_NULL}), 0);
    put_key(mkv_buf_bytes(&key), mkv_bytes_of("\x61x"));
    assert_string_equal(text_of(), "50 a+ ");
    mkv_buf_deinit(&key);
    mkv_buf_deinit(&from);
    mkv_buf_deinit(&to);
}

/* Damages the row of the entry written last, while the store is open. */
static void damage_last(void)
{
    mkv_disk_damage(disk, MKV_LOG_ROWS, (size_t)tock - 1);
}

/* One that cannot be read counts: nothing must be forgotten that it may not have. */
static void test_damaged_rows(void **state)
{
    (void)state;
    put_member(0x50, "a", true, 0x60);
    put_member(0x60, "b", false, 0x60);
    damage_last();
    assert_string_equal(text_of(), "50 a+ 60 ?+ ");

    /* Ours cannot be read any more: that does not move us elsewhere. */
    put_member(0x50, "a", true, 0x60);
    damage_last();
    assert_string_equal(text_of(), "50 ?+ 60 ?+ ");
    assert_true(is_cluster(0x60));
    mkv_members_deinit(&members); /* but who has just started does not know */
    assert_string_equal(text_of(), "50 ?+ 60 ?+ ");
    assert_true(is_cluster(0x50));
}

static void test_too_many(void **state)
{
    struct mkv_member member = {.active = true, .name = "x"};

    (void)state;
    memset(member.cluster, 0x50, sizeof(member.cluster));
    for (unsigned i = 0; i < MKV_MEMBERS_MAX + 1; i++) {
        struct mkv_buf key;
        struct mkv_buf value;

        memset(member.uuid, 0x40, sizeof(member.uuid));
        member.uuid[1] = (uint8_t)(i >> 8);
        member.uuid[2] = (uint8_t)i;
        mkv_buf_init(&key, MKV_PATH_KEY_MAX);
        mkv_buf_init(&value, 1000);
        assert_int_equal(mkv_member_key(member.uuid, &key), 0);
        assert_int_equal(mkv_member_value(&member, &value), 0);
        put_key(mkv_buf_bytes(&key), mkv_buf_bytes(&value));
        mkv_buf_deinit(&key);
        mkv_buf_deinit(&value);
        if (i % 512 == 0 || i >= MKV_MEMBERS_MAX - 1) {
            assert_int_equal(mkv_members_refresh(&members, store), 0);
            assert_int_equal(members.n, i < MKV_MEMBERS_MAX ? i + 1 : MKV_MEMBERS_MAX);
            assert_int_equal(members.too_many, i >= MKV_MEMBERS_MAX);
        }
    }
}

static void test_memory_and_disk_fail(void **state)
{
    bool struck = true;

    (void)state;
    put_member(0x50, "a", true, 0x50);
    put_member(0x60, "b", true, 0x50);
    put_member(0x70, "c", true, 0x50);
    for (unsigned n = 1; struck; n++) {
        int error;

        mem_fault_at(n);
        error = mkv_members_refresh(&members, store);
        struck = mem_fault_struck();
        mem_fault_at(0);
        assert_int_equal(error, struck ? MKV_E_NO_MEMORY : 0);
        assert_string_equal(text_of(), "50 a+ 60 b+ 70 c+ ");
        mkv_members_deinit(&members);
    }
    struck = true;
    for (uint64_t n = 1; struck; n++) {
        int error;

        mkv_disk_fail_at(disk, n, MKV_E_IO);
        error = mkv_members_refresh(&members, store);
        struck = mkv_disk_failed(disk);
        mkv_disk_fail_at(disk, 0, 0);
        assert_int_equal(error, struck ? MKV_E_IO : 0);
        assert_string_equal(text_of(), "50 a+ 60 b+ 70 c+ ");
        mkv_members_deinit(&members);
    }
    for (unsigned n = 1; n <= 3; n++) { /* the range */
        struct mkv_buf from;
        struct mkv_buf to;
        int error;

        mkv_buf_init(&from, MKV_PATH_KEY_MAX);
        mkv_buf_init(&to, MKV_PATH_KEY_MAX);
        mem_fault_at(n);
        error = mkv_members_range(&from, &to);
        assert_int_equal(error, mem_fault_struck() ? MKV_E_NO_MEMORY : 0);
        mem_fault_at(0);
        mkv_buf_deinit(&from);
        mkv_buf_deinit(&to);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_server_alone),       CASE(test_ours),     CASE(test_values),
        CASE(test_foreign_keys),         CASE(test_too_many), CASE(test_damaged_rows),
        CASE(test_memory_and_disk_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
