/* SPDX-License-Identifier: Apache-2.0 */
#include "core/grants.h"

#include "base/limits.h"
#include "core/grants_entry.h"
#include "wire/path.h"

void mkv_grants_deinit(struct mkv_grants *grants)
{
    mkv_acl_free(grants->acl);
    *grants = (struct mkv_grants){0};
}

/* --- Reading it from the entries ---------------------------------------------------------- */

struct reading {
    struct mkv_acl *acl;
    struct mkv_store *store;
    uint64_t n_unread;
};

static int add_user(struct reading *reading, struct mkv_bytes key, struct mkv_bytes value)
{
    struct mkv_acl_user user;

    if (!mkv_user_read(key, value, &user)) {
        reading->n_unread++;
        return 0;
    }

    int error = mkv_acl_add_user(reading->acl, &user);

    return error == MKV_E_TOO_MANY ? 0 : error; /* the table counts them */
}

static int add_rule(struct reading *reading, struct mkv_bytes key, struct mkv_bytes value)
{
    struct mkv_acl_rule rule;
    enum mkv_entry_shape shape = mkv_rule_read(key, value, &rule);
    int error = shape == MKV_ENTRY_NONE ? 0 : mkv_acl_add_rule(reading->acl, &rule);

    reading->n_unread += shape != MKV_ENTRY_FINE;
    return error == MKV_E_TOO_MANY ? 0 : error;
}

typedef int add_entry(struct reading *reading, struct mkv_bytes key, struct mkv_bytes value);

/* A row that is damaged is like a value that nobody can read. */
static int read_entry(struct reading *reading, const struct mkv_tree_entry *entry, add_entry *add)
{
    struct mkv_bytes key;
    struct mkv_update update;
    int error = mkv_store_row(reading->store, entry->position, &key, &update);

    if (error == MKV_E_CORRUPT) {
        return add(reading, entry->key, mkv_bytes(NULL, 0));
    }
    return error != 0 ? error : add(reading, entry->key, update.value);
}

static int read_subtree(struct reading *reading, struct mkv_bytes top, add_entry *add)
{
    const struct mkv_tree *tree = mkv_store_tree(reading->store);
    struct mkv_tree_entry entry;
    int error = 0;

    /* The entry's key is the tree's, which does not change meanwhile. */
    for (bool found = mkv_tree_next(tree, top, &entry);
         error == 0 && found && mkv_bytes_starts_with(entry.key, top);
         found = mkv_tree_next(tree, entry.key, &entry)) {
        if (entry.head.present) {
            error = read_entry(reading, &entry, add);
        }
    }
    return error;
}

static int read_all(struct reading *reading, struct mkv_bytes users, struct mkv_bytes rules)
{
    int error = mkv_acl_new(&reading->acl);

    if (error == 0) {
        error = read_subtree(reading, users, add_user);
    }
    if (error == 0) {
        error = read_subtree(reading, rules, add_rule);
    }
    if (error == 0) {
        error = mkv_acl_finish(reading->acl);
    }
    if (error != 0) {
        mkv_acl_free(reading->acl);
        reading->acl = NULL;
    }
    return error;
}

static void tell(const struct mkv_grants *grants,
                 const struct reading *reading,
                 struct mkv_effects *effects)
{
    size_t n_cut = mkv_acl_n_cut(reading->acl);
    size_t n_cut_before = grants->acl == NULL ? 0 : mkv_acl_n_cut(grants->acl);

    if (reading->n_unread != grants->n_unread && reading->n_unread > 0) {
        mkv_effect_log(
            effects, MKV_LOG_WARNING,
            "%llu entries below ':n.users' and ':n.acl' cannot be read: such a user is none, "
            "and such a rule denies everything ('moat-kv acl list' shows them)",
            (unsigned long long)reading->n_unread);
    }
    if (n_cut != n_cut_before && n_cut > 0) {
        mkv_effect_log(
            effects, MKV_LOG_ERROR,
            "more users, roles or rules than there may be (%u, %u, %u): %llu do not count, and "
            "whoever has a role that is not whole has no rights",
            MKV_ACL_USERS_MAX, MKV_ACL_ROLES_MAX, MKV_ACL_RULES_MAX, (unsigned long long)n_cut);
    }
}

static bool is_same(struct mkv_digest a, struct mkv_digest b)
{
    return a.high == b.high && a.low == b.low;
}

static int refresh(struct mkv_grants *grants,
                   struct mkv_store *store,
                   struct mkv_effects *effects,
                   struct mkv_bytes users,
                   struct mkv_bytes rules)
{
    struct reading reading = {.store = store};
    struct mkv_digest users_now = mkv_tree_summary(mkv_store_tree(store), users).digest;
    struct mkv_digest rules_now = mkv_tree_summary(mkv_store_tree(store), rules).digest;

    if (grants->read && is_same(users_now, grants->users) && is_same(rules_now, grants->rules)) {
        return 0;
    }
    grants->read = false;

    int error = read_all(&reading, users, rules);

    if (error != 0) {
        return error;
    }
    tell(grants, &reading, effects);
    mkv_acl_free(grants->acl);
    *grants = (struct mkv_grants){.acl = reading.acl,
                                  .read = true,
                                  .n_versions = grants->n_versions + 1,
                                  .n_unread = reading.n_unread,
                                  .users = users_now,
                                  .rules = rules_now};
    return 0;
}

int mkv_grants_refresh(struct mkv_grants *grants,
                       struct mkv_store *store,
                       struct mkv_effects *effects)
{
    struct mkv_buf users;
    struct mkv_buf rules;

    mkv_buf_init(&users, MKV_PATH_KEY_MAX);
    mkv_buf_init(&rules, MKV_PATH_KEY_MAX);

    int error = mkv_users_key(&users);

    if (error == 0) {
        error = mkv_rules_key(&rules);
    }
    if (error == 0) {
        error = refresh(grants, store, effects, mkv_buf_bytes(&users), mkv_buf_bytes(&rules));
    }
    mkv_buf_deinit(&rules);
    mkv_buf_deinit(&users);
    return error;
}

/* --- Those who ask ------------------------------------------------------------------------ */

bool mkv_asker_may(const struct mkv_asker *asker, struct mkv_bytes key, enum mkv_right right)
{
    if (asker->user.len == 0) {
        return true;
    }
    return asker->acl != NULL && mkv_acl_decide(asker->acl, asker->user, key, right, NULL);
}

enum mkv_acl_extent mkv_asker_below(const struct mkv_asker *asker,
                                    struct mkv_bytes key,
                                    enum mkv_right right)
{
    if (asker->user.len == 0) {
        return MKV_ACL_ALL;
    }
    return asker->acl == NULL ? MKV_ACL_NONE : mkv_acl_below(asker->acl, asker->user, key, right);
}

struct sums {
    const struct mkv_asker *asker;
    const struct mkv_store *store;
    bool has_mixed;
    struct mkv_bytes
        mixed; /* where it is known to depend; so at all above it; borrowed from the tree */
    struct mkv_summary sum;
};

static void add_sum(struct mkv_summary *sum, const struct mkv_summary *one)
{
    sum->n_entries += one->n_entries;
    sum->n_live += one->n_live;
    mkv_digest_add(&sum->digest, one->digest);
}

static void add_entry_alone(struct sums *sums, const struct mkv_tree_entry *entry)
{
    const struct mkv_summary one = {
        .n_entries = 1,
        .n_live = entry->head.present,
        .digest = mkv_entry_digest(mkv_store_digest_key(sums->store), entry->key, &entry->head),
    };

    if (mkv_asker_may(sums->asker, entry->key, MKV_RIGHT_READ)) {
        add_sum(&sums->sum, &one);
    }
}

/*
 * Deals with an entry, or with the largest subtree it lies in, @depth elements deep at least, where all is the same.
 * Goes to the one behind it; false: there is none.
 */
static bool step(struct sums *sums, unsigned depth, struct mkv_tree_entry *entry)
{
    const struct mkv_tree *tree = mkv_store_tree(sums->store);
    unsigned n = mkv_path_depth(entry->key);

    if (sums->has_mixed) {
        depth = mkv_path_shared(sums->mixed, entry->key) + 1;
    }
    for (; depth <= n; depth++) {
        struct mkv_bytes head = mkv_path_head(entry->key, depth);
        enum mkv_acl_extent extent = mkv_asker_below(sums->asker, head, MKV_RIGHT_READ);

        if (extent == MKV_ACL_SOME) {
            sums->mixed = head;
            sums->has_mixed = true;
            continue;
        }
        if (extent == MKV_ACL_ALL) {
            struct mkv_summary one = mkv_tree_summary(tree, head);

            add_sum(&sums->sum, &one);
        }
        return mkv_tree_behind(tree, head, entry);
    }
    add_entry_alone(sums, entry);
    return mkv_tree_next(tree, entry->key, entry);
}

int mkv_asker_summary(const struct mkv_asker *asker,
                      const struct mkv_store *store,
                      struct mkv_bytes key,
                      struct mkv_summary *ret_sum)
{
    struct sums sums = {.asker = asker, .store = store};
    struct mkv_tree_entry entry;
    unsigned depth = mkv_path_depth(key);
    bool found = mkv_tree_at(mkv_store_tree(store), key, &entry);

    for (uint32_t n = 0; found && mkv_bytes_starts_with(entry.key, key); n++) {
        if (n == MKV_ASKER_STEPS_MAX) {
            return MKV_E_TOO_MANY;
        }
        found = step(&sums, depth, &entry);
    }
    *ret_sum = sums.sum;
    return 0;
}
