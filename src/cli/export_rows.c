/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/export_rows.h"

#include <stdlib.h>

#include "base/mem.h"
#include "wire/path.h"

static const uint8_t null_key[] = {0x10};
static const uint8_t one_key[] = {0x60, '+', 0x00, 0x01};
static const uint8_t rest_key[] = {0x60, '#', 0x00, 0x01};

#define IS(element, key) mkv_bytes_equal(element, mkv_bytes(key, sizeof(key)))

static const uint8_t sending = MKV_RIGHT_WRITE | MKV_RIGHT_CREATE | MKV_RIGHT_DELETE;

static bool has_role(const struct mkv_acl_user *user, struct mkv_bytes role)
{
    for (uint32_t i = 0; i < user->n_roles; i++) {
        if (mkv_bytes_equal(user->roles[i], role)) {
            return true;
        }
    }
    return false;
}

bool mkv_filter_is_meta(struct mkv_bytes filter)
{
    return IS(mkv_path_cut(&filter), null_key);
}

bool mkv_filter_is_wild(struct mkv_bytes filter)
{
    struct mkv_bytes first = mkv_path_cut(&filter);

    return IS(first, one_key) || IS(first, rest_key);
}

bool mkv_filters_meet(struct mkv_bytes a, struct mkv_bytes b)
{
    bool first = true;

    for (;;) {
        struct mkv_bytes x = mkv_path_cut(&a);
        struct mkv_bytes y = mkv_path_cut(&b);
        bool wild = IS(x, one_key) || IS(y, one_key);

        if (first && (IS(x, null_key) != IS(y, null_key))) {
            return false; /* no wildcard stands for it there */
        }
        if (IS(x, rest_key) || IS(y, rest_key)) {
            return true;
        }
        if (x.len == 0 || y.len == 0) {
            return x.len == y.len;
        }
        if (!wild && !mkv_bytes_equal(x, y)) {
            return false;
        }
        first = false;
    }
}

static enum mkv_export_say say(uint8_t allowed, uint8_t denied, uint8_t rights)
{
    if ((allowed & ~denied & rights) != 0) {
        return MKV_EXPORT_ALLOW;
    }
    return (denied & rights) == rights ? MKV_EXPORT_DENY : MKV_EXPORT_NOTHING;
}

static void judge(struct mkv_export_row *row, uint8_t allowed, uint8_t denied)
{
    bool meta = mkv_filter_is_meta(row->filter);
    uint8_t rights = meta ? (uint8_t)MKV_RIGHT_ADMIN : sending;

    row->say[MKV_EXPORT_SEND] = say(allowed, denied, rights);
    row->say[MKV_EXPORT_RECEIVE] = say(allowed, denied, MKV_RIGHT_READ);
    row->partly = !meta && (denied & sending) != 0 && (denied & sending) != sending;
}

/* 3: itself, 2: `+`, 1: the end, 0: `#`. */
static int rank(struct mkv_bytes element)
{
    if (element.len == 0) {
        return 1;
    }
    return IS(element, rest_key) ? 0 : IS(element, one_key) ? 2 : 3;
}

/* The more specific one first; where both name an element, by their order. */
static int compare(const void *a, const void *b)
{
    const struct mkv_export_row *row = a;
    const struct mkv_export_row *other = b;
    struct mkv_bytes left = row->filter;
    struct mkv_bytes right = other->filter;

    while (left.len > 0 || right.len > 0) {
        struct mkv_bytes x = mkv_path_cut(&left);
        struct mkv_bytes y = mkv_path_cut(&right);

        if (rank(x) != rank(y)) {
            return rank(y) - rank(x);
        }
        if (!mkv_bytes_equal(x, y)) {
            return mkv_bytes_compare(x, y);
        }
    }
    return 0;
}

int mkv_export_rows_make(const struct mkv_acl *acl,
                         const struct mkv_acl_user *user,
                         struct mkv_export_rows *ret_rows)
{
    size_t n_rules = mkv_acl_n_rules(acl);
    struct mkv_export_rows rows = {.at = mkv_mem_alloc((n_rules + 1) * sizeof(*rows.at))};
    uint8_t allowed = 0;
    uint8_t denied = 0;

    if (rows.at == NULL) {
        return MKV_E_NO_MEMORY;
    }
    for (size_t i = 0; i < n_rules; i++) { /* those of one filter are neighbours */
        const struct mkv_acl_rule *rule = mkv_acl_rule_at(acl, i);

        if (!has_role(user, rule->role)) {
            continue;
        }
        if (rows.n == 0 || !mkv_bytes_equal(rows.at[rows.n - 1].filter, rule->filter)) {
            rows.at[rows.n++].filter = rule->filter;
            allowed = 0;
            denied = 0;
        }
        allowed |= rule->allowed;
        denied |= rule->denied;
        judge(&rows.at[rows.n - 1], allowed, denied);
    }
    qsort(rows.at, rows.n, sizeof(*rows.at), compare);
    *ret_rows = rows;
    return 0;
}

void mkv_export_rows_free(struct mkv_export_rows *rows)
{
    mkv_mem_free(rows->at);
    *rows = (struct mkv_export_rows){0};
}

const struct mkv_export_row *mkv_export_denial(const struct mkv_export_rows *rows,
                                               const struct mkv_export_row *row,
                                               enum mkv_export_way way,
                                               bool before)
{
    for (size_t i = 0; i < rows->n; i++) {
        const struct mkv_export_row *other = &rows->at[i];

        if (other == row && before) {
            return NULL;
        }
        if (other != row && other->say[way] == MKV_EXPORT_DENY &&
            mkv_filters_meet(other->filter, row->filter)) {
            return other;
        }
    }
    return NULL;
}
