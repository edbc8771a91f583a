/* SPDX-License-Identifier: Apache-2.0 */
#include "core/acl.h"

#include "base/assert.h"
#include "base/limits.h"
#include "base/mem.h"
#include "core/acl_table.h"
#include "wire/path.h"

#define BLOCK_SIZE 16384U /* more than anything that is put into one */

static const uint8_t one_key[] = {0x60, '+', 0x00, 0x01};
static const uint8_t rest_key[] = {0x60, '#', 0x00, 0x01};

const struct mkv_bytes mkv_acl_one = {one_key, sizeof(one_key)};
const struct mkv_bytes mkv_acl_rest = {rest_key, sizeof(rest_key)};

bool mkv_acl_name_valid(struct mkv_bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.at[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '@' || c == '-')) {
            return false;
        }
    }
    return name.len >= 1 && name.len <= MKV_ACL_NAME_MAX;
}

/* --- The text of rights ------------------------------------------------------------------- */

static const char letters[] = "rwcdea"; /* in the order of their bits */

/* The right that a letter stands for; 0: none. */
static uint8_t right_of(uint8_t letter)
{
    for (unsigned i = 0; letters[i] != '\0'; i++) {
        if (letter == (uint8_t)letters[i]) {
            return (uint8_t)(1U << i);
        }
    }
    return letter == 'n' ? MKV_RIGHT_CREATE : 0;
}

int mkv_acl_rights_parse(struct mkv_bytes text, uint8_t *ret_allowed, uint8_t *ret_denied)
{
    uint8_t sums[2] = {0, 0};
    unsigned at = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t right = right_of(text.at[i]);

        if (text.at[i] == '-' && at == 0) {
            at = 1;
        } else if (right == 0 && (text.at[i] != 'x' || at == 1)) {
            return MKV_E_MALFORMED;
        }
        sums[at] |= right;
    }
    if (sums[0] == 0 && sums[1] == 0) {
        return MKV_E_MALFORMED;
    }
    *ret_allowed = sums[0];
    *ret_denied = sums[1];
    return 0;
}

static size_t format_letters(uint8_t rights, char *text)
{
    size_t n = 0;

    for (unsigned i = 0; letters[i] != '\0'; i++) {
        if ((rights & (1U << i)) != 0) {
            text[n++] = letters[i];
        }
    }
    return n;
}

void mkv_acl_rights_format(uint8_t allowed, uint8_t denied, char ret_text[MKV_ACL_RIGHTS_TEXT])
{
    size_t n = format_letters(allowed, ret_text);

    if (denied != 0) {
        ret_text[n++] = '-';
        n += format_letters(denied, ret_text + n);
    }
    ret_text[n] = '\0';
}

/* --- Memory ------------------------------------------------------------------------------- */

int mkv_acl_new(struct mkv_acl **ret_acl)
{
    struct mkv_acl *acl = mkv_mem_alloc(sizeof(*acl));

    if (acl == NULL) {
        return MKV_E_NO_MEMORY;
    }
    *ret_acl = acl;
    return 0;
}

void mkv_acl_free(struct mkv_acl *acl)
{
    if (acl == NULL) {
        return;
    }
    while (acl->blocks != NULL) {
        struct mkv_acl_block *block = acl->blocks;

        acl->blocks = block->next;
        mkv_mem_free(block);
    }
    mkv_mem_free(acl->users.at);
    mkv_mem_free(acl->rules.at);
    mkv_mem_free(acl->roles.at);
    mkv_mem_free(acl);
}

/* Zeroed; NULL: no memory. */
static void *take(struct mkv_acl *acl, size_t size)
{
    const size_t unit = sizeof(max_align_t);
    struct mkv_acl_block *block = acl->blocks;

    size = (size + unit - 1) / unit * unit;
    MKV_ASSERT(size <= BLOCK_SIZE);
    if (block == NULL || size > block->size - block->used) {
        block = mkv_mem_alloc(sizeof(*block) + BLOCK_SIZE);
        if (block == NULL) {
            return NULL;
        }
        block->size = BLOCK_SIZE;
        block->next = acl->blocks;
        acl->blocks = block;
    }

    void *at = (uint8_t *)block->room + block->used;

    block->used += size;
    return at;
}

static int copy(struct mkv_acl *acl, struct mkv_bytes from, struct mkv_bytes *ret_copy)
{
    *ret_copy = mkv_bytes(NULL, 0);
    if (from.len > 0) {
        void *at = take(acl, from.len);

        if (at == NULL) {
            return MKV_E_NO_MEMORY;
        }
        memcpy(at, from.at, from.len);
        *ret_copy = mkv_bytes(at, from.len);
    }
    return 0;
}

static int list_add(struct mkv_acl_list *list, void *item)
{
    if (list->n == list->cap) {
        size_t cap = list->cap == 0 ? 16 : 2 * list->cap;
        void **at = mkv_mem_resize(list->at, cap * sizeof(*at));

        if (at == NULL) {
            return MKV_E_NO_MEMORY;
        }
        list->at = at;
        list->cap = cap;
    }
    list->at[list->n++] = item;
    return 0;
}

/* --- Adding ------------------------------------------------------------------------------- */

static int check_user(const struct mkv_acl_user *user)
{
    if (!mkv_acl_name_valid(user->name)) {
        return MKV_E_BAD_NAME;
    }
    if (user->n_roles > MKV_ACL_USER_ROLES_MAX) {
        return MKV_E_MALFORMED;
    }
    for (uint32_t i = 0; i < user->n_roles; i++) {
        if (!mkv_acl_name_valid(user->roles[i])) {
            return MKV_E_BAD_NAME;
        }
    }
    return 0;
}

int mkv_acl_add_user(struct mkv_acl *acl, const struct mkv_acl_user *user)
{
    int error = check_user(user);

    MKV_ASSERT(!acl->finished);
    if (error != 0) {
        return error;
    }
    if (acl->users.n == MKV_ACL_USERS_MAX) {
        acl->n_cut++;
        return MKV_E_TOO_MANY;
    }

    struct mkv_acl_user_row *row = take(acl, sizeof(*row));

    if (row == NULL) {
        return MKV_E_NO_MEMORY;
    }
    row->user = *user;
    error = copy(acl, user->name, &row->user.name);
    for (uint32_t i = 0; i < user->n_roles && error == 0; i++) {
        error = copy(acl, user->roles[i], &row->user.roles[i]);
    }
    return error != 0 ? error : list_add(&acl->users, row);
}

/* The filter up to its `#`, and whether something stands behind that. */
static struct mkv_bytes cut_filter(struct mkv_bytes filter, bool *ret_was_longer)
{
    struct mkv_bytes rest = filter;

    *ret_was_longer = false;
    while (rest.len > 0) {
        if (mkv_bytes_equal(mkv_path_cut(&rest), mkv_acl_rest)) {
            *ret_was_longer = rest.len > 0;
            return mkv_bytes(filter.at, filter.len - rest.len);
        }
    }
    return filter;
}

static int check_rule(const struct mkv_acl_rule *rule)
{
    if (!mkv_acl_name_valid(rule->role)) {
        return MKV_E_BAD_NAME;
    }
    if (((rule->allowed | rule->denied) & ~MKV_RIGHTS_ALL) != 0) {
        return MKV_E_MALFORMED;
    }
    return mkv_path_check(rule->filter);
}

/* Of the roles from @role on none is whole: nobody knows what the missing rules would have denied. */
static int cut_from(struct mkv_acl *acl, struct mkv_bytes role)
{
    if (acl->whole_below.len > 0 && mkv_bytes_compare(role, acl->whole_below) >= 0) {
        return 0;
    }
    return copy(acl, role, &acl->whole_below);
}

static bool is_whole(const struct mkv_acl *acl, struct mkv_bytes role)
{
    return acl->whole_below.len == 0 || mkv_bytes_compare(role, acl->whole_below) < 0;
}

int mkv_acl_add_rule(struct mkv_acl *acl, const struct mkv_acl_rule *rule)
{
    int error = check_rule(rule);
    bool was_longer;

    MKV_ASSERT(!acl->finished);
    if (error != 0) {
        return error;
    }
    if (acl->rules.n == MKV_ACL_RULES_MAX) {
        acl->n_cut++;
        error = cut_from(acl, rule->role);
        return error != 0 ? error : MKV_E_TOO_MANY;
    }

    struct mkv_acl_rule_row *row = take(acl, sizeof(*row));

    if (row == NULL) {
        return MKV_E_NO_MEMORY;
    }
    row->rule = *rule;
    error = copy(acl, rule->role, &row->rule.role);
    if (error == 0) {
        error = copy(acl, cut_filter(rule->filter, &was_longer), &row->rule.filter);
    }
    if (error == 0 && was_longer) {
        row->rule.denied = MKV_RIGHTS_ALL;
    }
    return error != 0 ? error : list_add(&acl->rules, row);
}

/* --- Finishing ---------------------------------------------------------------------------- */

typedef int compare_items(const void *a, const void *b);

static int compare_users(const void *a, const void *b)
{
    const struct mkv_acl_user_row *x = a;
    const struct mkv_acl_user_row *y = b;

    return mkv_bytes_compare(x->user.name, y->user.name);
}

static int compare_roles(const void *a, const void *b)
{
    const struct mkv_acl_rule_row *x = a;
    const struct mkv_acl_rule_row *y = b;

    return mkv_bytes_compare(x->rule.role, y->rule.role);
}

static int compare_filters(const void *a, const void *b)
{
    const struct mkv_acl_rule_row *x = a;
    const struct mkv_acl_rule_row *y = b;
    int order = mkv_bytes_compare(x->rule.filter, y->rule.filter);

    return order != 0 ? order : (x->role > y->role) - (x->role < y->role);
}

/* Lets the item at @i sink to where both below it are not greater. */
static void sink(struct mkv_acl_list *list, size_t i, size_t n, compare_items *compare)
{
    for (;;) {
        size_t child = 2 * i + 1;
        void *item = list->at[i];

        if (child >= n) {
            return;
        }
        if (child + 1 < n && compare(list->at[child], list->at[child + 1]) < 0) {
            child++;
        }
        if (compare(item, list->at[child]) >= 0) {
            return;
        }
        list->at[i] = list->at[child];
        list->at[child] = item;
        i = child;
    }
}

/* A heap: never slow, whatever order others have chosen, and without memory of its own. */
static void sort(struct mkv_acl_list *list, compare_items *compare)
{
    for (size_t i = list->n / 2; i > 0; i--) {
        sink(list, i - 1, list->n, compare);
    }
    for (size_t n = list->n; n > 1; n--) {
        void *last = list->at[n - 1];

        list->at[n - 1] = list->at[0];
        list->at[0] = last;
        sink(list, 0, n - 1, compare);
    }
}

/* Rules come by role here: numbers the roles, and leaves out those that are not whole. */
static int number_roles(struct mkv_acl *acl)
{
    size_t n = 0;
    struct mkv_acl_rule_row *last = NULL;

    for (size_t i = 0; i < acl->rules.n; i++) {
        struct mkv_acl_rule_row *row = acl->rules.at[i];
        bool is_new = last == NULL || compare_roles(last, row) != 0;
        int error = 0;

        if (is_new && acl->roles.n == MKV_ACL_ROLES_MAX) {
            error = cut_from(acl, row->rule.role);
        } else if (is_new && is_whole(acl, row->rule.role)) {
            error = list_add(&acl->roles, row);
        }
        if (error != 0) {
            return error;
        }
        if (!is_whole(acl, row->rule.role)) {
            acl->n_cut += acl->rules.n - i;
            break;
        }
        row->role = (uint32_t)acl->roles.n - 1;
        last = row;
        n++;
    }
    acl->rules.n = n;
    return 0;
}

/* Whether the role has rules, and its number. */
static bool find_role(const struct mkv_acl *acl, struct mkv_bytes name, uint32_t *ret_role)
{
    size_t low = 0;
    size_t high = acl->roles.n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct mkv_acl_rule_row *row = acl->roles.at[middle];
        int order = mkv_bytes_compare(row->rule.role, name);

        if (order == 0) {
            *ret_role = (uint32_t)middle;
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

/* Adds a role's number in its place. */
static void give_role(struct mkv_acl_user_row *row, uint32_t role)
{
    uint32_t i = row->n_roles++;

    while (i > 0 && row->roles[i - 1] > role) {
        row->roles[i] = row->roles[i - 1];
        i--;
    }
    row->roles[i] = role;
}

static void give_roles(const struct mkv_acl *acl, struct mkv_acl_user_row *row)
{
    for (uint32_t i = 0; i < row->user.n_roles; i++) {
        uint32_t role;

        if (!is_whole(acl, row->user.roles[i])) {
            row->user.off = true;
        } else if (find_role(acl, row->user.roles[i], &role)) {
            give_role(row, role);
        }
    }
}

int mkv_acl_finish(struct mkv_acl *acl)
{
    int error;

    MKV_ASSERT(!acl->finished);
    sort(&acl->rules, compare_roles);
    error = number_roles(acl);
    if (error != 0) {
        return error;
    }
    sort(&acl->rules, compare_filters);
    sort(&acl->users, compare_users);
    for (size_t i = 0; i < acl->users.n; i++) {
        if (i > 0 && compare_users(acl->users.at[i - 1], acl->users.at[i]) == 0) {
            return MKV_E_DUPLICATE_KEY;
        }
        give_roles(acl, acl->users.at[i]);
    }
    acl->finished = true;
    return 0;
}

/* --- What is in it ------------------------------------------------------------------------ */

const struct mkv_acl_user_row *mkv_acl_find_user(const struct mkv_acl *acl, struct mkv_bytes name)
{
    size_t low = 0;
    size_t high = acl->users.n;

    MKV_ASSERT(acl->finished);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct mkv_acl_user_row *row = mkv_acl_user_row(acl, middle);
        int order = mkv_bytes_compare(row->user.name, name);

        if (order == 0) {
            return row;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const struct mkv_acl_user *mkv_acl_user(const struct mkv_acl *acl, struct mkv_bytes name)
{
    const struct mkv_acl_user_row *row = mkv_acl_find_user(acl, name);

    return row == NULL ? NULL : &row->user;
}

const struct mkv_acl_user *mkv_acl_user_of_uid(const struct mkv_acl *acl, uint32_t uid)
{
    const struct mkv_acl_user *found = NULL;

    MKV_ASSERT(acl->finished);
    for (size_t i = 0; i < acl->users.n; i++) {
        const struct mkv_acl_user *user = &mkv_acl_user_row(acl, i)->user;

        if (user->has_uid && user->uid == uid) {
            if (found != NULL) {
                return NULL;
            }
            found = user;
        }
    }
    return found;
}

size_t mkv_acl_n_users(const struct mkv_acl *acl)
{
    return acl->users.n;
}

size_t mkv_acl_n_rules(const struct mkv_acl *acl)
{
    return acl->rules.n;
}

const struct mkv_acl_user *mkv_acl_user_at(const struct mkv_acl *acl, size_t i)
{
    return &mkv_acl_user_row(acl, i)->user;
}

const struct mkv_acl_rule *mkv_acl_rule_at(const struct mkv_acl *acl, size_t i)
{
    return &mkv_acl_rule_row(acl, i)->rule;
}

size_t mkv_acl_n_cut(const struct mkv_acl *acl)
{
    return acl->n_cut;
}
