/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server as a whole: what users may read and write, and that a change of rights takes hold at once.
 */
#include <stdio.h>
#include <string.h>

#include "core/grants.h"
#include "core/order.h"
#include "harness.h"
#include "lib/check.h"
#include "wire/child.h"
#include "wire/path.h"

static struct world world;
static uint64_t own;     /* the session of our own user, over link 1 */
static uint64_t counter; /* its last */

#define ANN_UID 1001U
#define BOB_UID 1002U

/* Everything that our own user writes comes with a greater tock. */
static void put(const char *path, const char *value)
{
    uint64_t tock = 1000 + 1000 * ++counter;

    world_update(&world, path, value, tock, own, counter);
    world_wait(&world, 3);
    assert_int_equal(world_acked(&world, 1), counter);
}

static void grant(const char *role, const char *filter, const char *rights)
{
    char path[200];
    char value[20];
    bool empty = strcmp(filter, ":") == 0;
    int n = snprintf(value, sizeof(value), "%c%s", (char)(0x60 + strlen(rights)), rights);

    assert_true(n > 0 && n < (int)sizeof(value));
    (void)snprintf(path, sizeof(path), ":n.acl.%s%s%s", role, filter[0] == ':' ? "" : ".",
                   empty ? "" : filter);
    put(path, value);
}

#define ANN "\xa2\x65roles\x82\x65guest\x65nurse\x63uid\x19\x03\xe9"
#define BOB                                                                                        \
    "\xa2\x65roles\x81\x65"                                                                        \
    "admin\x63uid\x19\x03\xea"

static int setup(void **state)
{
    (void)state;
    world.now = (struct mkv_now){.ms = 1000};
    world_start(&world);
    own = world_login(&world, 1, NULL);
    counter = 0;
    put(":n.users.ann", ANN);
    put(":n.users.bob", BOB);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_free(&world);
    return 0;
}

/* Logs in from another Unix user; the session, or NULL. */
static const struct mkv_frame *try_login(uint64_t link, uint32_t uid, bool peer)
{
    struct mkv_frame hello = {
        .kind = MKV_FRAME_HELLO,
        .hello = {.versions = {1, 1},
                  .software = mkv_bytes_of("test"),
                  .name = mkv_bytes_of(peer ? "other" : "")},
    };
    struct mkv_frame auth = {.kind = MKV_FRAME_AUTH,
                             .auth = {.mechanism = mkv_bytes_of("EXTERNAL")}};

    mkv_server_node_link_opened(world.node, world.now, link, MKV_PEER_OTHER_USER);
    mkv_server_node_link_uid(world.node, link, uid);
    world_send(&world, link, &hello);
    world_send(&world, link, &auth);
    world_wait(&world, 3);
    return world_last(&world, link, MKV_FRAME_SESSION);
}

static uint64_t login(uint64_t link, uint32_t uid)
{
    const struct mkv_frame *session = try_login(link, uid, false);

    assert_non_null(session);
    return session->session.seq;
}

static int error_over(uint64_t link)
{
    const struct mkv_frame *error = world_last(&world, link, MKV_FRAME_ERROR);

    return error == NULL ? 0 : error->error.code;
}

/* --- Logging in --------------------------------------------------------------------------- */

static void test_user_of_the_socket(void **state)
{
    (void)state;
    assert_non_null(try_login(2, ANN_UID, false));
    assert_null(try_login(3, 77, false));
    assert_int_equal(error_over(3), MKV_E_NOT_AUTHORISED);
    assert_null(try_login(4, ANN_UID, true)); /* she is no server */
    assert_int_equal(error_over(4), MKV_E_NOT_AUTHORISED);
    assert_null(world_last(&world, 4, MKV_FRAME_PEER));

    /* Off, of another shape, deleted, and one whose id another one claims as well. */
    put(":n.users.ann", "\xa3\x65roles\x80\x63uid\x19\x03\xe9\x63off\xf5");
    assert_null(try_login(5, ANN_UID, false));
    put(":n.users.ann", "\xa1\x63uid\x19\x03\xe9");
    assert_null(try_login(6, ANN_UID, false));
    assert_non_null(strstr(world.logged, "cannot be read"));
    put(":n.users.ann", NULL);
    assert_null(try_login(7, ANN_UID, false));
    put(":n.users.ann", ANN);
    assert_non_null(try_login(8, ANN_UID, false));
    put(":n.users.carl", ANN);
    assert_null(try_login(9, ANN_UID, false));
}

/* Nobody goes on with another one's session, not even with its token. */
static void test_sessions_are_personal(void **state)
{
    struct mkv_frame hello = {.kind = MKV_FRAME_HELLO,
                              .hello = {.versions = {1, 1}, .software = mkv_bytes_of("test")}};
    struct mkv_frame auth = {.kind = MKV_FRAME_AUTH,
                             .auth = {.mechanism = mkv_bytes_of("EXTERNAL"), .resume = true}};
    const struct mkv_frame *session;

    (void)state;
    session = try_login(2, ANN_UID, false);
    assert_non_null(session);
    auth.auth.session = (struct mkv_birth){session->session.name, session->session.seq};
    auth.auth.token = session->session.token;
    mkv_server_node_link_opened(world.node, world.now, 3, MKV_PEER_OTHER_USER);
    mkv_server_node_link_uid(world.node, 3, BOB_UID);
    world_send(&world, 3, &hello);
    world_send(&world, 3, &auth);
    world_wait(&world, 3);
    assert_int_not_equal(world_last(&world, 3, MKV_FRAME_SESSION)->session.seq,
                         session->session.seq);
    assert_int_not_equal(world_login(&world, 4, session), session->session.seq); /* nor our own */

    mkv_server_node_link_opened(world.node, world.now, 5, MKV_PEER_OTHER_USER);
    mkv_server_node_link_uid(world.node, 5, ANN_UID);
    world_send(&world, 5, &hello);
    world_send(&world, 5, &auth);
    world_wait(&world, 3);
    assert_int_equal(world_last(&world, 5, MKV_FRAME_SESSION)->session.seq, session->session.seq);
}

/* --- Reading ------------------------------------------------------------------------------ */

static void fill(void)
{
    put("a", "\x01");
    put("a.b", "\x02");
    put("a.b.c", "\x03");
    put("a.d", "\x04");
    put("b", "\x05");
    put("b.x", "\x06");
    put("b.y", "\x07");
    put("b.y", NULL);
}

static const char *rows_of(uint64_t link, const char *path, const struct mkv_place *since)
{
    static uint64_t id = 100;
    static char rows[1000];
    struct mkv_frame read = {.kind = MKV_FRAME_READ,
                             .id = ++id,
                             .read = {.depth_max = 64,
                                      .flags = MKV_READ_TOMBSTONES,
                                      .credit = 4,
                                      .has_since = since != NULL}};

    if (since != NULL) {
        read.read.since = *since;
    }
    world_forget(&world);
    world_ask(&world, path, read, link);
    world_wait(&world, 3);
    if (world_last(&world, link, MKV_FRAME_ERROR) != NULL) {
        return mkv_error_name(error_over(link));
    }
    assert_int_equal(world_count(&world, link, MKV_FRAME_END), 1);
    world_collect(&world, link, id, path, rows, sizeof(rows));
    return rows;
}

static void test_rows(void **state)
{
    struct mkv_place start;

    (void)state;
    (void)rows_of(1, ":", NULL);
    start = world_last(&world, 1, MKV_FRAME_END)->end.place;
    fill();
    (void)login(2, ANN_UID);
    assert_string_equal(rows_of(2, ":", NULL), "NOT_AUTHORISED");
    grant("guest", "b", "r");
    assert_string_equal(rows_of(2, ":", NULL), "b=05;");
    grant("guest", "b.#", "r");
    grant("nurse", "a.b.#", "r");
    assert_string_equal(rows_of(2, ":", NULL), "a.b=02;a.b.c=03;b=05;b.x=06;b.y=-00;");
    assert_string_equal(rows_of(2, ":", &start), "a.b=02;a.b.c=03;b=05;b.x=06;b.y=-00;");
    assert_string_equal(rows_of(2, "a", NULL), "a.b=02;a.b.c=03;");
    assert_string_equal(rows_of(2, "a.d", NULL), "NOT_AUTHORISED");
    assert_string_equal(rows_of(2, "a.b.c", NULL), "a.b.c=03;");
    assert_string_equal(rows_of(2, "a.b.q", NULL), "");
    assert_string_equal(rows_of(2, ":n.users", NULL), "NOT_AUTHORISED");
    grant("nurse", "a.b", "-r");
    assert_string_equal(rows_of(2, ":", NULL), "a.b.c=03;b=05;b.x=06;b.y=-00;");
    grant("nurse", "#", "r"); /* the meta tree is not in it */
    assert_string_equal(rows_of(2, ":", NULL), "a=01;a.b.c=03;a.d=04;b=05;b.x=06;b.y=-00;");
    grant("nurse", ":n.users.+", "r");
    assert_string_equal(rows_of(2, ":n.users", NULL), ":n.users.ann=a2;:n.users.bob=a2;");
}

static void test_children(void **state)
{
    struct mkv_frame list = {.kind = MKV_FRAME_LIST, .id = 1, .path = {.credit = 4}};
    struct mkv_child child;
    struct mkv_cbor_reader r;
    char names[100] = "";

    (void)state;
    fill();
    (void)login(2, ANN_UID);
    grant("guest", "#", "r");
    world_ask(&world, ":", list, 2);
    world_wait(&world, 1);
    assert_int_equal(error_over(2), MKV_E_NOT_AUTHORISED);
    grant("guest", ":", "e");
    grant("guest", "b", "-r");
    list.id = 2;
    world_ask(&world, ":", list, 2);
    world_wait(&world, 1);
    mkv_cbor_reader_init(&r, world_last(&world, 2, MKV_FRAME_CHILDREN)->rows);
    for (uint64_t n = mkv_cbor_read_array(&r, 10); n > 0; n--) {
        mkv_child_read(&r, &child);
        assert_int_equal(r.error, 0);
        (void)snprintf(names + strlen(names), 20, "%.*s ", (int)child.element.text.len,
                       (const char *)child.element.text.at);
    }
    assert_string_equal(names, "a ");
}

/* The sums over what may be read, by reading it. */
static void check_sum(const char *const *paths, unsigned n)
{
    struct mkv_frame check = {.kind = MKV_FRAME_CHECK, .id = 1};
    struct mkv_digest sum = {0, 0};
    uint8_t bytes[MKV_DIGEST_LEN];
    const struct mkv_frame *digest;

    for (unsigned i = 0; i < n; i++) {
        struct mkv_tree_entry entry;
        struct mkv_buf key;

        mkv_buf_init(&key, MKV_PATH_KEY_MAX);
        assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(paths[i]), &key), 0);
        assert_true(mkv_tree_find(mkv_store_tree(world.store), mkv_buf_bytes(&key), &entry));
        mkv_digest_add(&sum,
                       mkv_entry_digest(mkv_store_digest_key(world.store), entry.key, &entry.head));
        mkv_buf_deinit(&key);
    }
    mkv_digest_bytes(sum, bytes);
    world_ask(&world, ":", check, 2);
    digest = world_last(&world, 2, MKV_FRAME_DIGEST);
    assert_non_null(digest);
    assert_int_equal(digest->digest.count, n);
    assert_memory_equal(digest->digest.digest, bytes, sizeof(bytes));
    world_forget(&world);
}

#define CHECK_SUM(...)                                                                             \
    check_sum((const char *const[]){__VA_ARGS__},                                                  \
              sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void test_sums(void **state)
{
    struct mkv_frame check = {.kind = MKV_FRAME_CHECK, .id = 1};

    (void)state;
    fill();
    (void)login(2, ANN_UID);
    world_ask(&world, ":", check, 2);
    assert_int_equal(error_over(2), MKV_E_NOT_AUTHORISED);
    grant("guest", "a.#", "r");
    CHECK_SUM("a", "a.b", "a.b.c", "a.d");
    grant("guest", "a.b.#", "-r");
    CHECK_SUM("a", "a.d");
    grant("guest", "+.y", "r");
    CHECK_SUM("a", "a.d", "b.y");
    grant("guest", "#", "r");
    CHECK_SUM("a", "a.d", "b", "b.x", "b.y");
}

/* What takes too many steps to add up is refused, and a smaller part is not. */
static void test_scattered_sums(void **state)
{
    struct mkv_frame check = {.kind = MKV_FRAME_CHECK, .id = 1};
    const unsigned n = MKV_ASKER_STEPS_MAX + 1;
    char path[40];

    (void)state;
    (void)login(2, ANN_UID);
    grant("guest", "many.+.x", "r");
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(path, sizeof(path), "many:%u.x", i);
        world_update(&world, path, "\x01", 1000000 + i, own, ++counter);
        if (i % 1000 == 0) {
            world_wait(&world, 3);
            world_forget(&world);
        }
    }
    world_wait(&world, 3);
    world_ask(&world, "many", check, 2);
    assert_int_equal(error_over(2), MKV_E_NOT_AUTHORISED);
    put("many:0.x", NULL); /* one less would do, but a tombstone counts */
    world_ask(&world, "many:5", check, 2);
    assert_int_equal(world_last(&world, 2, MKV_FRAME_DIGEST)->digest.count, 1);
}

/* --- Writing ------------------------------------------------------------------------------ */

static void expect_nack(uint64_t link, uint64_t of)
{
    const struct mkv_frame *nack = world_last(&world, link, MKV_FRAME_NACK);

    assert_non_null(nack);
    assert_int_equal(nack->nack.counter, of);
    assert_int_equal(nack->nack.code, MKV_E_NOT_AUTHORISED);
    assert_non_null(strstr(world.logged, "has no right to write"));
    world_wait(&world, 1001); /* so that the next one is logged as well */
}

/* What the server has published last: "TOPIC present" or "TOPIC deleted", and by itself. */
static void expect_put_back(const char *topic, bool present, uint64_t tock_above)
{
    struct mkv_update update;

    assert_int_equal(world.n_published, 1);
    assert_true(mkv_bytes_equal(mkv_buf_bytes(&world.topic), mkv_bytes_of(topic)));
    assert_int_equal(mkv_update_decode(mkv_buf_bytes(&world.published), &update), 0);
    assert_int_equal(update.present, present);
    assert_true(update.tock > tock_above);
    assert_int_equal(update.ticks.at[0].seq, 0);
    world.n_published = 0;
}

static void test_writes(void **state)
{
    uint64_t ann;

    (void)state;
    fill();
    ann = login(2, ANN_UID);
    world_forget(&world);
    grant("guest", "b.#", "w");
    grant("guest", "new.#", "c");
    grant("guest", "old.#", "d");
    world_forget(&world);

    /* Nothing was there: a deletion takes its place. */
    world_update(&world, "a.new", "\x11", 1000000, ann, 1);
    world_wait(&world, 3);
    assert_string_equal(world_held(&world, "a.new"), "");
    expect_put_back("moat/main/d/a/new", false, 1000000);
    expect_nack(2, 1);

    /* A value was: it is there again. */
    world_update(&world, "a.b", "\x11", 2000000, ann, 2);
    world_wait(&world, 3);
    assert_string_equal(world_held(&world, "a.b"), "\x02");
    expect_put_back("moat/main/d/a/b", true, 2000000);
    world_update(&world, "a.b", NULL, 3000000, ann, 3);
    world_wait(&world, 3);
    assert_string_equal(world_held(&world, "a.b"), "\x02");
    expect_put_back("moat/main/d/a/b", true, 3000000);

    /* Once more, as a repeat: it has lost, so there is nothing to do. */
    world_update(&world, "a.b", NULL, 3000000, ann, 3);
    world_wait(&world, 3);
    assert_int_equal(world.n_published, 0);
    /* Under the same dot, but meant to win. */
    world_update(&world, "a.b", "\x11", 4000000, ann, 3);
    world_wait(&world, 3);
    assert_string_equal(world_held(&world, "a.b"), "\x02");
    expect_put_back("moat/main/d/a/b", true, 4000000);

    /* Each right for itself. */
    world_forget(&world);
    world_update(&world, "b.x", "\x11", 5000000, ann, 4);
    world_update(&world, "b.z", "\x11", 5000000, ann, 5);
    world_update(&world, "new.x", "\x11", 5000000, ann, 6);
    world_update(&world, "new.x", "\x12", 6000000, ann, 7);
    world_update(&world, "b.x", NULL, 6000000, ann, 8);
    world_wait(&world, 3);
    assert_string_equal(world_held(&world, "b.x"), "\x11");
    assert_string_equal(world_held(&world, "b.z"), "");
    assert_string_equal(world_held(&world, "new.x"), "\x11");
    assert_int_equal(world_count(&world, 2, MKV_FRAME_NACK), 3);
    assert_int_equal(world_acked(&world, 2), 8); /* all of them have been dealt with */

    /* The meta tree is for those who administer. */
    world_forget(&world);
    world_update(&world, ":n.users.ann",
                 "\xa1\x65roles\x81\x65"
                 "admin",
                 7000000, ann, 9);
    world_wait(&world, 3);
    expect_put_back("moat/main/d/$NULL/users/ann", true, 7000000);
    expect_nack(2, 9);
    grant("guest", ":n.users.#", "rwcde"); /* all but that right */
    world_update(&world, ":n.users.x", "\xa1\x65roles\x80", 8000000, ann, 10);
    world_wait(&world, 3);
    assert_string_equal(world_held(&world, ":n.users.x"), "");
}

/* Who may administer may do that, but [null, "servers"] is nobody's. */
static void test_administrator(void **state)
{
    uint64_t bob;

    (void)state;
    bob = login(2, BOB_UID);
    grant("admin", ":n.#", "rea");
    world_update(&world, ":n.users.carl", "\xa1\x65roles\x80", 1000000, bob, 1);
    world_wait(&world, 3);
    assert_string_equal(world_held(&world, ":n.users.carl"), "\xa1\x65roles\x80");
    assert_null(world_last(&world, 2, MKV_FRAME_NACK));
    world_update(&world, ":n.servers.x", "\x01", 1000000, bob, 2);
    world_wait(&world, 3);
    assert_null(world_held(&world, ":n.servers.x"));
    assert_int_equal(world_last(&world, 2, MKV_FRAME_NACK)->nack.code, MKV_E_NOT_AUTHORISED);
}

static void test_unstamped_and_early(void **state)
{
    uint64_t ann = login(2, ANN_UID);

    (void)state;
    grant("guest", "b.#", "wc");
    world_forget(&world);
    world_update(&world, "a", "\x11", 0, ann,
                 1); /* others ignore it, so there is nothing to undo */
    world_wait(&world, 3);
    assert_null(world_held(&world, "a"));
    assert_int_equal(world.n_published, 0);
    expect_nack(2, 1);
    world_update(&world, "b.c", "\x11", 0, ann, 2);
    world_wait(&world, 3);
    assert_string_equal(world_held(&world, "b.c"), "\x11");
    world_forget(&world);
    world_update(&world, "a", "\x11", UINT64_C(1) << 61, ann, 3); /* nobody takes it */
    world_wait(&world, 3);
    assert_int_equal(world_last(&world, 2, MKV_FRAME_NACK)->nack.code, MKV_E_FUTURE);
    assert_int_equal(world.n_published, 0);
}

/* Whose a session is outlives the server. */
static void test_restart(void **state)
{
    uint64_t ann;

    (void)state;
    ann = login(2, ANN_UID);
    grant("guest", "b.#", "wc");
    world_update(&world, "b.c", "\x11", 1000000, ann, 1);
    world_wait(&world, 3);
    assert_int_equal(world_acked(&world, 2), 1);
    world_crash(&world);
    world_start(&world);
    world_forget(&world);
    world_update(&world, "b.d", "\x11", 1000000, ann, 2);
    world_update(&world, "a", "\x11", 1000000, ann, 3);
    world_wait(&world, 3);
    assert_string_equal(world_held(&world, "b.d"), "\x11");
    assert_string_equal(world_held(&world, "a"), "");
    expect_put_back("moat/main/d/a", false, 1000000);
}

/* --- Changes of rights, what loses, servers ----------------------------------------------- */

static void test_changes_take_hold(void **state)
{
    struct mkv_frame read = {
        .kind = MKV_FRAME_READ, .id = 1, .read = {.depth_max = 64, .credit = 1}};
    struct mkv_frame credit = {.kind = MKV_FRAME_CREDIT, .id = 1, .credit = 10};
    char path[20];
    char rows[20000];
    uint64_t ann = login(2, ANN_UID);

    (void)state;
    grant("guest", "#", "rwc");
    for (unsigned i = 0; i < 300; i++) { /* more than a page */
        (void)snprintf(path, sizeof(path), "x:%u", i);
        put(path, "\x01");
        world_forget(&world);
    }
    world_ask(&world, "x", read, 2);
    world_wait(&world, 1);
    assert_int_equal(world_count(&world, 2, MKV_FRAME_DATA), 1);
    grant("guest", "x:299", "-r");
    world_send(&world, 2, &credit);
    world_wait(&world, 1);
    world_collect(&world, 2, 1, "x", rows, sizeof(rows));
    assert_non_null(strstr(rows, "x:298=01"));
    assert_null(strstr(rows, "x:299"));
    assert_int_equal(world_last(&world, 2, MKV_FRAME_END)->end.n_rows, 299);

    /* In the same batch as the change, too. */
    world_update(&world, ":n.users.ann", "\xa2\x65roles\x80\x63uid\x19\x03\xe9", 10000000, own,
                 ++counter);
    world_update(&world, "y", "\x01", 10000000, ann, 1);
    world_wait(&world, 3);
    assert_string_equal(world_held(&world, "y"), "");
    world_update(&world, ":n.users.ann", ANN, 20000000, own, ++counter);
    world_update(&world, "y", "\x01", 20000000, ann, 2);
    world_wait(&world, 3);
    assert_string_equal(world_held(&world, "y"), "\x01");
    world_forget(&world);
    world_update(&world, ":n.users.ann", NULL, 30000000, own, ++counter);
    assert_string_equal(rows_of(2, "x", NULL), "NOT_AUTHORISED");
}

/* A change that the disk does not take grants nothing. */
static void test_rollback(void **state)
{
    uint64_t ann = login(2, ANN_UID);

    (void)state;
    (void)ann;
    put("a", "\x01");
    mkv_disk_fail_at(world.disk, 1, MKV_E_DISK_FULL);
    world_update(&world, ":n.acl.guest.#", "\x61r", 9000000, own, ++counter);
    world_wait(&world, 3);
    assert_true(mkv_disk_failed(world.disk));
    world_wait(&world, 2000);
    (void)login(3, ANN_UID);
    assert_string_equal(rows_of(3, "a", NULL), "NOT_AUTHORISED");
}

static void test_conflicts(void **state)
{
    struct mkv_frame ask = {.kind = MKV_FRAME_CONFLICTS, .id = 1, .conflicts = {.credit = 4}};
    static const uint8_t root_path[] = {0x80};
    uint64_t ann = login(2, ANN_UID);

    (void)state;
    grant("guest", "#", "wc");
    grant("guest", "b", "r");
    put("a", "\x01");
    put("b", "\x01");
    world_forget(&world);
    /* Both lose to what is there, which they do not know. */
    world_update(&world, "a", "\x02", 5, ann, 1);
    world_update(&world, "b", "\x02", 5, ann, 2);
    world_wait(&world, 3);
    assert_int_equal(world_count(&world, 2, MKV_FRAME_CONFLICT), 1);
    assert_int_equal(world_last(&world, 2, MKV_FRAME_CONFLICT)->conflict.more, 1);
    ask.conflicts.path = mkv_bytes(root_path, 1);
    world_send(&world, 2, &ask);
    world_wait(&world, 1);
    assert_int_equal(world_last(&world, 2, MKV_FRAME_END)->end.n_rows, 1);
    world_send(&world, 1, &ask);
    world_wait(&world, 1);
    assert_int_equal(world_last(&world, 1, MKV_FRAME_END)->end.n_rows, 2);
}

static void test_servers(void **state)
{
    struct mkv_frame servers = {.kind = MKV_FRAME_SERVERS, .id = 1, .credit = 4};
    struct mkv_frame evict = {.kind = MKV_FRAME_EVICT, .id = 2};

    (void)state;
    (void)login(2, BOB_UID);
    world_send(&world, 2, &servers);
    world_wait(&world, 1);
    assert_int_equal(error_over(2), MKV_E_NOT_AUTHORISED);
    world_send(&world, 2, &evict);
    assert_int_equal(world_last(&world, 2, MKV_FRAME_ERROR)->id, 2);
    assert_int_equal(error_over(2), MKV_E_NOT_AUTHORISED);
    grant("admin", ":n.#", "a");
    servers.id = 3;
    world_send(&world, 2, &servers);
    world_wait(&world, 1);
    assert_int_equal(world_last(&world, 2, MKV_FRAME_END)->end.n_rows, 1);
    evict.id = 4;
    world_send(&world, 2, &evict);
    assert_int_equal(error_over(2), MKV_E_NOT_FOUND);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_user_of_the_socket),
        CASE(test_sessions_are_personal),
        CASE(test_rows),
        CASE(test_children),
        CASE(test_sums),
        CASE(test_scattered_sums),
        CASE(test_writes),
        CASE(test_administrator),
        CASE(test_unstamped_and_early),
        CASE(test_restart),
        CASE(test_changes_take_hold),
        CASE(test_rollback),
        CASE(test_conflicts),
        CASE(test_servers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
