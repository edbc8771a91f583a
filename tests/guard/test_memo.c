/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guard remembers makes it faster and nothing else: it decides like one that has just begun,
 * over drawn topics, users, rules and changes of them.
 */
#include <stdio.h>

#include "guard/guard.h"
#include "guard/memo.h"
#include "lib/check.h"
#include "lib/mem_fault.h"
#include "lib/prng.h"
#include "wire/path.h"
#include "wire/topic.h"
#include "wire/update.h"

#define N_PEERS   5U
#define N_CHANGES 40U
#define N_ASKED   200U /* between two changes */

static const uint8_t secret[MKV_GUARD_KEY_LEN] = {9};
static const struct mkv_guard_limits limits = {.messages = {.burst = 1000000, .per_s = 1}};
static const struct mkv_guard_now now = {.ms = 1, .unix_s = 1790000000};

static struct prng prng;
static struct mkv_buf file;
static struct mkv_guard_peer peers[N_PEERS];

static uint64_t draw(uint64_t n)
{
    return prng_below(&prng, n);
}

/* --- What is drawn ------------------------------------------------------------------------ */

/* Few names on few levels, so that topics and rules meet; canonical or not. */
static void draw_topic(char *topic, size_t size, const char *root)
{
    static const char *const levels[] = {"a", "b", ":1", ":.a", "", "$NULL", "+x", ":p", "users"};
    int len = snprintf(topic, size, "%s/%s", root, draw(20) == 0 ? "svc" : "d");
    uint64_t n = draw(5);

    for (uint64_t i = 0; i < n; i++) {
        uint64_t level = draw(4) != 0 ? draw(3) : draw(sizeof(levels) / sizeof(levels[0]));

        len += snprintf(topic + len, size - (size_t)len, "/%s", levels[level]);
    }
    if (draw(8) == 0) { /* too long to be remembered */
        (void)snprintf(topic + len, size - (size_t)len, "/%0*u", (int)MKV_MEMO_TOPIC_MAX,
                       (unsigned)draw(3));
    }
}

static void draw_rule(struct mkv_rights_writer *w, struct mkv_buf *filter, unsigned role)
{
    static const char *const names[] = {"a", "b", "+", "#", "users"};
    static const char *const roles[] = {"r0", "r1", "r2"};
    struct mkv_rights_rule rule = {.role = mkv_bytes_of(roles[role]),
                                   .allowed = (uint8_t)draw(MKV_RIGHTS_ALL + 1),
                                   .denied = draw(3) == 0 ? (uint8_t)draw(MKV_RIGHTS_ALL + 1) : 0};
    uint64_t n = draw(4);

    mkv_buf_clear(filter);
    for (uint64_t i = 0; i < n; i++) {
        struct mkv_element element = {.kind = MKV_ELEMENT_TEXT};

        if (i == 0 && draw(5) == 0) {
            element.kind = MKV_ELEMENT_NULL;
        } else {
            element.text = mkv_bytes_of(names[draw(sizeof(names) / sizeof(names[0]))]);
        }
        assert_int_equal(mkv_path_append(filter, &element), 0);
    }
    rule.filter = mkv_buf_bytes(filter);
    mkv_rights_add_rule(w, &rule);
}

/* Each user is there or not, off or not, with other roles and rules than before. */
static void draw_rights(const char *root)
{
    static const char *const names[] = {"u0", "u1", "u2"};
    const bool present[] = {draw(6) != 0, draw(6) != 0, true};
    struct mkv_rights rights = {.root = mkv_bytes_of(root),
                                .n_keys = 1,
                                .keys = {mkv_bytes(secret, sizeof(secret))},
                                .n_users = 1U + present[0] + present[1],
                                .n_rules = (uint32_t)draw(12)};
    struct mkv_rights_writer w;
    struct mkv_buf filter;

    mkv_buf_init(&filter, MKV_PATH_KEY_MAX);
    mkv_buf_clear(&file);
    mkv_rights_begin(&w, &rights, &file);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct mkv_rights_user user = {.name = mkv_bytes_of(names[i]),
                                       .off = draw(8) == 0,
                                       .n_roles = 2,
                                       .roles = {mkv_bytes_of("r0"), mkv_bytes_of("r1")}};

        if (draw(2) == 0) {
            user.roles[0] = mkv_bytes_of("r2");
        }
        if (present[i]) {
            mkv_rights_add_user(&w, &user);
        }
    }
    for (uint32_t i = 0; i < rights.n_rules; i++) {
        draw_rule(&w, &filter, (unsigned)draw(3));
    }
    assert_int_equal(mkv_rights_end(&w), 0);
    mkv_buf_deinit(&filter);
}

static void set_peers(void)
{
    for (unsigned i = 0; i < N_PEERS; i++) {
        peers[i] = (struct mkv_guard_peer){.seq = i, .name_len = 1, .name = "s"};
        peers[i].role = i == 0 ? MKV_ROLE_SERVER : i == 1 ? MKV_ROLE_OWN : MKV_ROLE_USER;
        if (i >= 2) {
            peers[i].user_len = 2;
            peers[i].user[0] = 'u';
            peers[i].user[1] = (char)('0' + i - 2);
        }
    }
}

/* --- Asking both -------------------------------------------------------------------------- */

struct question {
    const struct mkv_guard_peer *peer;
    struct mkv_bytes topic;
    bool is_read;
    bool present; /* of what is written */
};

static struct mkv_judgement ask(struct mkv_guard *guard,
                                struct mkv_guard_peer *peer,
                                const struct question *question)
{
    struct mkv_update update = {.has_tock = true,
                                .tock = 1,
                                .present = question->present,
                                .value = mkv_bytes("\x01", 1),
                                .ticks = {.n = 1, .at = {{mkv_bytes_of("s"), peer->seq, 1}}}};
    struct mkv_buf payload;
    struct mkv_guard_message message = {.topic = question->topic};
    struct mkv_judgement judgement;

    if (question->is_read) {
        return mkv_guard_read(guard, peer, question->topic);
    }
    mkv_buf_init(&payload, 100);
    assert_int_equal(mkv_update_encode(&update, &payload), 0);
    message.payload = mkv_buf_bytes(&payload);
    judgement = mkv_guard_write(guard, now, peer, &message);
    mkv_buf_deinit(&payload);
    return judgement;
}

/* What a guard says that has been asked nothing else, of a peer that it has never seen. */
static struct mkv_judgement ask_anew(const struct question *question)
{
    struct mkv_guard_peer peer = *question->peer;
    struct mkv_judgement judgement;
    struct mkv_guard guard;

    peer.looked_up = 0;
    peer.row = NULL;
    mkv_guard_init(&guard, &limits);
    assert_int_equal(mkv_guard_take(&guard, mkv_buf_bytes(&file)), 0);
    judgement = ask(&guard, &peer, question);
    mkv_guard_deinit(&guard);
    return judgement;
}

/* How many of the questions were answered by yes. */
static unsigned compare(struct mkv_guard *guard, const char *root)
{
    unsigned n_allowed = 0;
    char topic[400];

    for (unsigned i = 0; i < N_ASKED; i++) {
        struct mkv_guard_peer *peer = &peers[draw(N_PEERS)];
        struct question question = {.peer = peer, .is_read = draw(2) == 0, .present = draw(3) != 0};
        struct mkv_judgement known;
        struct mkv_judgement anew;

        draw_topic(topic, sizeof(topic), draw(10) == 0 ? "m" : root);
        question.topic = mkv_bytes_of(topic);
        anew = ask_anew(&question);
        known = ask(guard, peer, &question);
        if (known.answer != anew.answer || known.why != anew.why) {
            fail_msg("%s by peer %u: %d, anew %d", topic, (unsigned)peer->seq, (int)known.answer,
                     (int)anew.answer);
        }
        n_allowed += known.answer == MKV_GUARD_ALLOW;
    }
    return n_allowed;
}

static void it_decides_like_one_that_remembers_nothing(void **state)
{
    static const char *const roots[] = {"m", "m/d", "n"};
    unsigned n_allowed = 0;
    struct mkv_guard guard;

    (void)state;
    prng = (struct prng){.state = 20261123};
    set_peers();
    mkv_buf_init(&file, MKV_RIGHTS_MAX);
    mkv_guard_init(&guard, &limits);
    for (unsigned change = 0; change < N_CHANGES; change++) {
        const char *root = roots[draw(8) < 6 ? 0 : draw(3)];

        draw_rights(root);
        assert_int_equal(mkv_guard_take(&guard, mkv_buf_bytes(&file)), 0);
        n_allowed += compare(&guard, root);
    }
    assert_in_range(n_allowed, N_CHANGES * N_ASKED / 8, N_CHANGES * N_ASKED * 7 / 8);
    mkv_guard_deinit(&guard);
    mkv_buf_deinit(&file);
}

/* --- The memo alone ----------------------------------------------------------------------- */

static struct mkv_memo *memo;

static int make_memo(void **state)
{
    (void)state;
    return mkv_memo_new(&memo);
}

static int free_memo(void **state)
{
    (void)state;
    mkv_memo_free(memo);
    return 0;
}

static struct mkv_bytes number_topic(char topic[32], unsigned i)
{
    return mkv_bytes(topic, (size_t)snprintf(topic, 32, "m/d/house/lamp%u", i));
}

/* Ten times as many topics as there is room for: each is right or not there, and most of the newest are. */
static void more_topics_than_room(void **state)
{
    const unsigned n = 10 * MKV_MEMO_TOPICS;
    unsigned n_found = 0;
    char topic[32];

    (void)state;
    for (unsigned i = 0; i < n; i++) {
        struct mkv_bytes words = number_topic(topic, i);

        assert_true(mkv_memo_find(memo, words) == NULL);
        assert_true(mkv_memo_keep(memo, words, mkv_bytes(&i, sizeof(i))) != NULL);
    }
    for (unsigned i = 0; i < n; i++) {
        const struct mkv_memo_topic *kept = mkv_memo_find(memo, number_topic(topic, i));

        if (kept != NULL) {
            assert_int_equal(kept->key_len, sizeof(i));
            assert_memory_equal(mkv_memo_key(kept).at, &i, sizeof(i));
            n_found += i >= n - MKV_MEMO_TOPICS / 4;
        }
    }
    assert_in_range(n_found, MKV_MEMO_TOPICS / 4 * 9 / 10, MKV_MEMO_TOPICS / 4);
}

static void decisions_are_of_a_topic_a_user_and_a_right(void **state)
{
    const struct mkv_acl_user ann = {0};
    const struct mkv_acl_user bob = {0};
    const struct mkv_bytes words = mkv_bytes_of("m/d/a");
    const struct mkv_memo_topic *kept = mkv_memo_keep(memo, words, mkv_bytes(NULL, 0));
    bool yes = false;

    (void)state;
    assert_false(mkv_memo_decided(memo, kept, &ann, MKV_RIGHT_READ, &yes));
    mkv_memo_decide(memo, kept, &ann, MKV_RIGHT_READ, true);
    mkv_memo_decide(memo, kept, &ann, MKV_RIGHT_WRITE, false);
    assert_true(mkv_memo_decided(memo, kept, &ann, MKV_RIGHT_READ, &yes) && yes);
    assert_true(mkv_memo_decided(memo, kept, &ann, MKV_RIGHT_WRITE, &yes) && !yes);
    assert_false(mkv_memo_decided(memo, kept, &ann, MKV_RIGHT_DELETE, &yes));
    assert_false(mkv_memo_decided(memo, kept, &bob, MKV_RIGHT_READ, &yes));

    mkv_memo_clear(memo);
    assert_true(mkv_memo_find(memo, words) == NULL);
    kept = mkv_memo_keep(memo, words, mkv_bytes(NULL, 0));
    assert_false(mkv_memo_decided(memo, kept, &ann, MKV_RIGHT_READ, &yes));
}

static void what_is_too_long_is_not_remembered(void **state)
{
    uint8_t words[MKV_MEMO_KEY_MAX + MKV_MEMO_TOPIC_MAX];

    (void)state;
    memset(words, 'a', sizeof(words));
    assert_true(
        mkv_memo_keep(memo, mkv_bytes(words, MKV_MEMO_TOPIC_MAX + 1), mkv_bytes(words, 1)) == NULL);
    assert_true(mkv_memo_keep(memo, mkv_bytes(words, 1), mkv_bytes(words, MKV_MEMO_KEY_MAX + 1)) ==
                NULL);
    assert_true(mkv_memo_keep(memo, mkv_bytes(words, MKV_MEMO_TOPIC_MAX),
                              mkv_bytes(words, MKV_MEMO_KEY_MAX)) != NULL);
    assert_true(mkv_memo_find(memo, mkv_bytes(words, MKV_MEMO_TOPIC_MAX)) != NULL);
    assert_true(mkv_memo_find(memo, mkv_bytes(words, MKV_MEMO_TOPIC_MAX - 1)) == NULL);
    mem_fault_at(1);
    assert_true(mkv_memo_keep(memo, mkv_bytes_of("b"), mkv_bytes(words, 1)) == NULL);
    assert_true(mem_fault_struck());
    mem_fault_at(0);
    assert_true(mkv_memo_find(memo, mkv_bytes_of("b")) == NULL);
}

#define WITH_MEMO(test) cmocka_unit_test_setup_teardown(test, make_memo, free_memo)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_decides_like_one_that_remembers_nothing),
        WITH_MEMO(more_topics_than_room),
        WITH_MEMO(decisions_are_of_a_topic_a_user_and_a_right),
        WITH_MEMO(what_is_too_long_is_not_remembered),
    };

    return cmocka_run_group_tests_name("memo", tests, NULL, NULL);
}
