/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what where: the table against a naive model of section 13 of the protocol.
 */
#include <stdio.h>
#include <string.h>

#include "acl_rig.h"
#include "base/limits.h"
#include "lib/check.h"
#include "lib/prng.h"

#define DEPTH_MAX 4

static const char *const words[] = {"a", "b", ":n", ":3", "+", "#"};
#define N_WORDS 6
#define N_PLAIN 4 /* those that paths are mostly made of */
#define PLUS    4
#define REST    5
#define NIL     2

struct model_path {
    unsigned n;
    unsigned at[DEPTH_MAX];
};

struct model_rule {
    unsigned role;
    struct model_path filter;
    uint8_t allowed;
    uint8_t denied;
};

struct model_user {
    unsigned roles; /* a set */
};

#define MODEL_RULES 24
#define MODEL_ROLES 4
#define MODEL_USERS 4

struct model {
    struct model_rule rules[MODEL_RULES];
    unsigned n_rules;
    struct model_user users[MODEL_USERS];
};

static bool model_matches(const struct model_path *filter, const struct model_path *path)
{
    for (unsigned i = 0; i < filter->n; i++) {
        bool closed = i == 0 && path->n > 0 && path->at[0] == NIL;

        if (filter->at[i] == REST) {
            return !closed;
        }
        if (i >= path->n) {
            return false;
        }
        if (filter->at[i] == PLUS ? closed : filter->at[i] != path->at[i]) {
            return false;
        }
    }
    return filter->n == path->n;
}

/* How specific a filter is at one place: the greater the more. */
static int model_rank(const struct model_path *filter, unsigned i)
{
    if (i >= filter->n) {
        return 1;
    }
    return filter->at[i] == REST ? 0 : filter->at[i] == PLUS ? 2 : 3;
}

static int model_compare(const struct model_path *a, const struct model_path *b)
{
    for (unsigned i = 0; i <= DEPTH_MAX; i++) {
        int difference = model_rank(a, i) - model_rank(b, i);

        if (difference != 0) {
            return difference;
        }
    }
    return 0;
}

static bool model_decide(const struct model *model,
                         unsigned user,
                         const struct model_path *path,
                         uint8_t right)
{
    const struct model_rule *best = NULL;
    bool allowed = false;

    for (unsigned i = 0; i < model->n_rules; i++) {
        const struct model_rule *rule = &model->rules[i];
        bool denied = (rule->denied & right) != 0;

        if ((model->users[user].roles & (1U << rule->role)) == 0 ||
            ((rule->allowed | rule->denied) & right) == 0 || !model_matches(&rule->filter, path)) {
            continue;
        }

        int order = best == NULL ? 1 : model_compare(&rule->filter, &best->filter);

        if (order > 0) {
            best = rule;
            allowed = !denied;
        } else if (order == 0) {
            allowed = allowed && !denied;
        }
    }
    return allowed;
}

static void dotted_of(const struct model_path *path, char text[32])
{
    size_t n = 0;

    for (unsigned i = 0; i < path->n; i++) {
        const char *word = words[path->at[i]];

        n += (size_t)snprintf(text + n, 32 - n, "%s%s", i > 0 && word[0] != ':' ? "." : "", word);
    }
    if (n == 0) {
        memcpy(text, ":", 2);
    }
}

static struct model_path random_path(struct prng *prng, bool filter)
{
    struct model_path path = {.n = (unsigned)prng_below(prng, DEPTH_MAX + 1)};

    for (unsigned i = 0; i < path.n; i++) {
        unsigned n_words = filter || prng_below(prng, 20) == 0 ? N_WORDS : N_PLAIN;

        path.at[i] = (unsigned)prng_below(prng, n_words);
        if (filter && path.at[i] == REST) {
            path.n = i + 1; /* elsewhere it is tested alone */
        }
    }
    return path;
}

static void make_model(struct prng *prng, struct model *model)
{
    static const char *const roles[] = {"a", "b", "c", "d"};
    static const char *const users[] = {"u", "v", "w", "x"};
    char text[32];

    *model = (struct model){.n_rules = (unsigned)prng_below(prng, MODEL_RULES + 1)};
    for (unsigned i = 0; i < model->n_rules; i++) {
        struct model_rule *rule = &model->rules[i];

        rule->role = (unsigned)prng_below(prng, MODEL_ROLES);
        rule->filter = random_path(prng, true);
        rule->allowed = (uint8_t)prng_below(prng, 4);
        rule->denied = (uint8_t)(prng_below(prng, 4) & prng_below(prng, 4));
        dotted_of(&rule->filter, text);
        assert_int_equal(try_rule(roles[rule->role], text, rule->allowed, rule->denied), 0);
    }
    for (unsigned i = 0; i < MODEL_USERS; i++) {
        const char *has[MODEL_ROLES];
        uint32_t n = 0;

        model->users[i].roles = (unsigned)prng_below(prng, 1U << MODEL_ROLES);
        for (unsigned role = MODEL_ROLES; role > 0; role--) {
            if ((model->users[i].roles & (1U << (role - 1))) != 0) {
                has[n++] = roles[role - 1];
            }
        }
        assert_int_equal(try_user(users[i], has, n), 0);
    }
    assert_int_equal(mkv_acl_finish(acl), 0);
}

struct tally {
    unsigned n_allowed;
    unsigned n_denied;
    unsigned n_extents[3];
    unsigned n_loose; /* SOME, though all paths tried agreed */
};

/* All paths below, as far as there are levels: the extent must be true of each. */
static void check_below(const struct model *model,
                        unsigned user,
                        const struct model_path *top,
                        struct tally *tally)
{
    static const char *const users[] = {"u", "v", "w", "x"};
    char text[32];
    unsigned n_each[2] = {0, 0};
    enum mkv_acl_extent extent;

    dotted_of(top, text);
    extent = below(users[user], text);
    for (unsigned long number = 0; number < 343; number++) { /* 7^3 */
        struct model_path path = *top;
        unsigned long digits = number;

        for (; digits > 0 && path.n < DEPTH_MAX && digits % 7 > 0; digits /= 7) {
            path.at[path.n++] = (unsigned)(digits % 7) - 1;
        }
        n_each[model_decide(model, user, &path, R)]++;
    }
    assert_true(extent != MKV_ACL_ALL || n_each[0] == 0);
    assert_true(extent != MKV_ACL_NONE || n_each[1] == 0);
    tally->n_extents[extent]++;
    tally->n_loose += extent == MKV_ACL_SOME && (n_each[0] == 0 || n_each[1] == 0);
}

static void test_agrees_with_model(void **state)
{
    static const char *const users[] = {"u", "v", "w", "x"};
    struct prng prng = {1};
    struct tally tally = {0};
    char text[32];

    (void)state;
    assert_int_equal(mkv_acl_new(&acl), 0);
    for (unsigned run = 0; run < 3000; run++) {
        struct model model;

        make_model(&prng, &model);
        for (unsigned i = 0; i < 40; i++) {
            struct model_path path = random_path(&prng, false);
            unsigned user = (unsigned)prng_below(&prng, MODEL_USERS);
            uint8_t right = prng_below(&prng, 2) == 0 ? R : W;
            bool expected = model_decide(&model, user, &path, right);

            dotted_of(&path, text);
            assert_int_equal(may(users[user], text, right), expected);
            tally.n_allowed += expected;
            tally.n_denied += !expected;
            if (i < 4) {
                check_below(&model, user, &path, &tally);
            }
        }
        mkv_acl_free(acl);
        assert_int_equal(mkv_acl_new(&acl), 0);
    }
    mkv_acl_free(acl);
    assert_true(tally.n_allowed > 10000);
    assert_true(tally.n_denied > 10000);
    assert_true(tally.n_extents[MKV_ACL_NONE] > 1000);
    assert_true(tally.n_extents[MKV_ACL_SOME] > 1000);
    assert_true(tally.n_extents[MKV_ACL_ALL] > 200);
    assert_true(tally.n_loose < tally.n_extents[MKV_ACL_SOME] / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
