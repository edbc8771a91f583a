/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the table of rights: a walk over the tree that the filters form, the most specific ones first.
 *
 * From a node that has come to an element of the path lead two ways down, the element itself and
 * `+`; then comes the node's own end, if the path ends here, and then its `#`.  The first place
 * where a rule of one of the user's roles names the right decides.
 */
#include "base/assert.h"
#include "base/limits.h"
#include "core/acl_table.h"
#include "wire/path.h"

enum stage {
    DOWN, /* go on from a node */
    END,  /* look at the rules that end at a node */
    REST, /* ... at its `#` */
};

struct place {
    enum stage stage;
    uint32_t low; /* rules whose filters begin with the same elements: low <= i < high */
    uint32_t high;
    uint32_t filter_len; /* of these elements */
    uint32_t key_at;     /* how much of the path they match */
};

/* Each element of the path adds three at most to those that wait, and the last node its own. */
#define PLACES_MAX (3 * MKV_PATH_LEVELS_MAX + 4)

struct walk {
    const struct mkv_acl *acl;
    const struct mkv_acl_user_row *user;
    struct mkv_bytes key;
    uint8_t right;
    uint32_t n;
    struct place places[PLACES_MAX]; /* those that wait; the last one is next */
};

static struct mkv_bytes tail_of(const struct mkv_acl *acl, uint32_t i, uint32_t filter_len)
{
    return mkv_bytes_after(mkv_acl_rule_row(acl, i)->rule.filter, filter_len);
}

/* Those of a place's rules whose filters go on with @element. */
static struct place narrow(const struct mkv_acl *acl,
                           const struct place *place,
                           struct mkv_bytes element)
{
    struct place inner = *place;
    uint32_t high = place->high;

    while (inner.low < high) {
        uint32_t middle = inner.low + (high - inner.low) / 2;

        if (mkv_bytes_compare(tail_of(acl, middle, place->filter_len), element) < 0) {
            inner.low = middle + 1;
        } else {
            high = middle;
        }
    }
    high = inner.high;
    inner.high = inner.low;
    while (inner.high < high) {
        uint32_t middle = inner.high + (high - inner.high) / 2;

        if (mkv_bytes_starts_with(tail_of(acl, middle, place->filter_len), element)) {
            inner.high = middle + 1;
        } else {
            high = middle;
        }
    }
    inner.filter_len += (uint32_t)element.len;
    return inner;
}

static void push(struct walk *walk, enum stage stage, struct place place)
{
    if (place.low < place.high) {
        MKV_ASSERT(walk->n < PLACES_MAX);
        place.stage = stage;
        walk->places[walk->n++] = place;
    }
}

static bool begins_with_null(struct mkv_bytes key)
{
    return key.len > 0 && key.at[0] == 0x10;
}

/* Puts the ways that lead on from a node; the last one is taken first. */
static void push_ways(struct walk *walk, const struct place *place)
{
    struct mkv_bytes rest = mkv_bytes_after(walk->key, place->key_at);
    struct mkv_bytes element = mkv_path_cut(&rest);
    bool closed = place->key_at == 0 && begins_with_null(walk->key); /* to wildcards */
    bool is_wild = mkv_bytes_equal(element, mkv_acl_one) || mkv_bytes_equal(element, mkv_acl_rest);
    struct place inner;

    if (!closed) {
        push(walk, REST, narrow(walk->acl, place, mkv_acl_rest));
    }
    if (element.len == 0) {
        push(walk, END, *place);
        return;
    }
    if (!closed) {
        inner = narrow(walk->acl, place, mkv_acl_one);
        inner.key_at += (uint32_t)element.len;
        push(walk, DOWN, inner);
    }
    if (!is_wild) {
        inner = narrow(walk->acl, place, element);
        inner.key_at += (uint32_t)element.len;
        push(walk, DOWN, inner);
    }
}

/* False: the user has no rights, whatever the rules are. */
static bool begin(struct walk *walk,
                  const struct mkv_acl *acl,
                  struct mkv_bytes user,
                  struct mkv_bytes key,
                  enum mkv_right right)
{
    walk->acl = acl;
    walk->user = mkv_acl_find_user(acl, user);
    walk->key = key;
    walk->right = (uint8_t)right;
    walk->n = 0;
    push(walk, DOWN, (struct place){.high = (uint32_t)acl->rules.n});
    return walk->user != NULL && !walk->user->user.off;
}

static bool has_role(const struct mkv_acl_user_row *user, uint32_t role)
{
    for (uint32_t i = 0; i < user->n_roles; i++) {
        if (user->roles[i] == role) {
            return true;
        }
    }
    return false;
}

/* Whether a rule of the user's names the right. */
static bool counts(const struct walk *walk, const struct mkv_acl_rule_row *row)
{
    return ((row->rule.allowed | row->rule.denied) & walk->right) != 0 &&
           has_role(walk->user, row->role);
}

static bool denies(const struct walk *walk, const struct mkv_acl_rule_row *row)
{
    return (row->rule.denied & walk->right) != 0;
}

/* Which of the rules that end here decides: one that denies, if there is one; NULL: none does. */
static const struct mkv_acl_rule_row *decide_here(const struct walk *walk,
                                                  const struct place *place)
{
    const struct mkv_acl_rule_row *found = NULL;

    for (uint32_t i = place->low; i < place->high; i++) {
        const struct mkv_acl_rule_row *row = mkv_acl_rule_row(walk->acl, i);

        if (row->rule.filter.len > place->filter_len) {
            break; /* those that end here come first */
        }
        if (counts(walk, row) && (found == NULL || denies(walk, row))) {
            found = row;
            if (denies(walk, row)) {
                break;
            }
        }
    }
    return found;
}

bool mkv_acl_decide(const struct mkv_acl *acl,
                    struct mkv_bytes user,
                    struct mkv_bytes key,
                    enum mkv_right right,
                    struct mkv_acl_rule *ret_rule)
{
    struct walk walk;
    const struct mkv_acl_rule_row *row = NULL;
    bool is_user = begin(&walk, acl, user, key, right);

    while (is_user && row == NULL && walk.n > 0) {
        struct place place = walk.places[--walk.n];

        if (place.stage == DOWN) {
            push_ways(&walk, &place);
        } else {
            row = decide_here(&walk, &place);
        }
    }
    if (ret_rule != NULL) {
        *ret_rule = (struct mkv_acl_rule){.allowed = 0};
        if (row != NULL) {
            *ret_rule = row->rule;
        }
    }
    return row != NULL && !denies(&walk, row);
}

/* --- A path and what is below it ---------------------------------------------------------- */

struct verdicts {
    bool allowed; /* somewhere */
    bool denied;
};

static void note(const struct walk *walk,
                 const struct mkv_acl_rule_row *row,
                 struct verdicts *verdicts)
{
    if (denies(walk, row)) {
        verdicts->denied = true;
    } else {
        verdicts->allowed = true;
    }
}

/* All rules of a node where the path ends, and below it, may decide somewhere; its own `#` comes later. */
static void note_all(const struct walk *walk, const struct place *place, struct verdicts *verdicts)
{
    struct place rest = narrow(walk->acl, place, mkv_acl_rest);

    for (uint32_t i = place->low; i < place->high && !(verdicts->allowed && verdicts->denied);
         i++) {
        const struct mkv_acl_rule_row *row = mkv_acl_rule_row(walk->acl, i);
        bool elsewhere = i >= rest.low && i < rest.high;
        bool meta = place->filter_len == 0 && begins_with_null(row->rule.filter);

        if (!elsewhere && !meta && counts(walk, row)) {
            note(walk, row, verdicts);
        }
    }
}

/*
 * The same walk.  Once a `#` decides, what is less specific decides nowhere below either: wherever
 * that matches, the `#` does, too.  For the root, what begins with null is left out.
 */
static struct verdicts look_below(const struct mkv_acl *acl,
                                  struct mkv_bytes user,
                                  struct mkv_bytes key,
                                  enum mkv_right right)
{
    struct walk walk;
    struct verdicts verdicts = {false, false};
    bool is_user = begin(&walk, acl, user, key, right);

    while (is_user && walk.n > 0) {
        struct place place = walk.places[--walk.n];

        if (place.stage == DOWN) {
            push_ways(&walk, &place);
        } else if (place.stage == END) {
            note_all(&walk, &place, &verdicts);
        } else {
            const struct mkv_acl_rule_row *row = decide_here(&walk, &place);

            if (row != NULL) {
                note(&walk, row, &verdicts);
                return verdicts;
            }
        }
    }
    verdicts.denied = true; /* where no rule matches */
    return verdicts;
}

enum mkv_acl_extent mkv_acl_below(const struct mkv_acl *acl,
                                  struct mkv_bytes user,
                                  struct mkv_bytes key,
                                  enum mkv_right right)
{
    static const uint8_t null_key[] = {0x10};
    struct verdicts verdicts = look_below(acl, user, key, right);

    if (key.len == 0) {
        struct verdicts meta = look_below(acl, user, mkv_bytes(null_key, sizeof(null_key)), right);

        verdicts.allowed = verdicts.allowed || meta.allowed;
        verdicts.denied = verdicts.denied || meta.denied;
    }
    if (verdicts.allowed) {
        return verdicts.denied ? MKV_ACL_SOME : MKV_ACL_ALL;
    }
    return MKV_ACL_NONE;
}
