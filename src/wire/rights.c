/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/rights.h"

#include <sodium.h>

#include "base/assert.h"
#include "wire/header.h"
#include "wire/path.h"

#define VERSION      1U
#define USER_PARTS   3U /* name, off, roles */
#define RULE_PARTS   4U /* role, filter, allowed, denied */
#define RIGHTS_BOUND 64U

enum {
    KEY_VERSION = 0,
    KEY_ROOT = 1,
    KEY_PROFILE = 2,
    KEY_KEYS = 3,
    KEY_USERS = 4,
    KEY_RULES = 5,
    N_KEYS = 6,
};

static void hash_of(struct mkv_bytes content, uint8_t ret_hash[MKV_RIGHTS_HASH_LEN])
{
    (void)crypto_generichash(ret_hash, MKV_RIGHTS_HASH_LEN, content.at, content.len, NULL, 0);
}

static void read_keys(struct mkv_cbor_reader *r, struct mkv_rights *rights)
{
    uint64_t n = mkv_cbor_read_array(r, MKV_GUARD_KEYS_MAX);

    if (n == 0) {
        mkv_cbor_fail(r, MKV_E_MALFORMED);
    }
    for (uint64_t i = 0; i < n && r->error == 0; i++) {
        rights->keys[i] = mkv_cbor_read_bytes(r);
        if (rights->keys[i].len != MKV_GUARD_KEY_LEN) {
            mkv_cbor_fail(r, MKV_E_MALFORMED);
        }
    }
    rights->n_keys = (uint32_t)n;
}

static void read_parts(struct mkv_cbor_reader *r, uint64_t n)
{
    if (mkv_cbor_read_array(r, UINT64_MAX) != n) {
        mkv_cbor_fail(r, MKV_E_MALFORMED);
    }
}

static struct mkv_bytes read_name(struct mkv_cbor_reader *r)
{
    struct mkv_bytes name = mkv_cbor_read_text(r);

    if (!mkv_user_valid(name)) {
        mkv_cbor_fail(r, MKV_E_BAD_NAME);
    }
    return name;
}

static void read_user(struct mkv_cbor_reader *r, struct mkv_rights_user *user)
{
    read_parts(r, USER_PARTS);
    user->name = read_name(r);
    user->off = mkv_cbor_read_bool(r);
    user->n_roles = (uint32_t)mkv_cbor_read_array(r, MKV_RIGHTS_ROLES_MAX);
    for (uint32_t i = 0; i < user->n_roles && r->error == 0; i++) {
        user->roles[i] = read_name(r);
    }
}

static void read_rule(struct mkv_cbor_reader *r, struct mkv_rights_rule *rule)
{
    read_parts(r, RULE_PARTS);
    rule->role = read_name(r);
    rule->filter = mkv_cbor_read_bytes(r);
    rule->allowed = (uint8_t)mkv_cbor_read_uint_below(r, RIGHTS_BOUND);
    rule->denied = (uint8_t)mkv_cbor_read_uint_below(r, RIGHTS_BOUND);

    int error = r->error != 0 ? 0 : mkv_path_check(rule->filter);

    if (error != 0) {
        mkv_cbor_fail(r, error);
    }
}

/* What the reader has taken since it stood at @start. */
static struct mkv_bytes taken(const struct mkv_cbor_reader *r, struct mkv_bytes start)
{
    return mkv_bytes(start.at, start.len - r->rest.len);
}

static void read_users(struct mkv_cbor_reader *r, struct mkv_rights *rights)
{
    uint64_t n = mkv_cbor_read_array(r, MKV_RIGHTS_USERS_MAX);
    struct mkv_bytes start = r->rest;
    struct mkv_rights_user user;

    for (uint64_t i = 0; i < n && r->error == 0; i++) {
        read_user(r, &user);
    }
    rights->n_users = (uint32_t)n;
    rights->users = taken(r, start);
}

static void read_rules(struct mkv_cbor_reader *r, struct mkv_rights *rights)
{
    uint64_t n = mkv_cbor_read_array(r, MKV_RIGHTS_RULES_MAX);
    struct mkv_bytes start = r->rest;
    struct mkv_rights_rule rule;

    for (uint64_t i = 0; i < n && r->error == 0; i++) {
        read_rule(r, &rule);
    }
    rights->n_rules = (uint32_t)n;
    rights->rules = taken(r, start);
}

static void read_key(struct mkv_cbor_reader *r, uint64_t key, struct mkv_rights *rights)
{
    if (key == KEY_VERSION) {
        if (mkv_cbor_read_uint(r) != VERSION) {
            mkv_cbor_fail(r, MKV_E_FORMAT);
        }
    } else if (key == KEY_ROOT) {
        rights->root = mkv_cbor_read_text(r);
        if (mkv_root_check(rights->root) != 0) {
            mkv_cbor_fail(r, MKV_E_BAD_TOPIC);
        }
    } else if (key == KEY_PROFILE) {
        rights->profile =
            (enum mkv_profile)mkv_cbor_read_uint_below(r, (uint64_t)MKV_PROFILE_PORTABLE + 1);
    } else if (key == KEY_KEYS) {
        read_keys(r, rights);
    } else if (key == KEY_USERS) {
        read_users(r, rights);
    } else if (key == KEY_RULES) {
        read_rules(r, rights);
    } else {
        mkv_cbor_skip(r);
    }
}

int mkv_rights_decode(struct mkv_bytes in, struct mkv_rights *ret_rights)
{
    struct mkv_rights rights = {0};
    struct mkv_header h;
    uint8_t hash[MKV_RIGHTS_HASH_LEN];
    uint64_t key;

    if (in.len > MKV_RIGHTS_MAX) {
        return MKV_E_TOO_LARGE;
    }
    if (in.len <= MKV_RIGHTS_HASH_LEN) {
        return MKV_E_TRUNCATED;
    }

    struct mkv_bytes content = mkv_bytes_after(in, MKV_RIGHTS_HASH_LEN);

    hash_of(content, hash);
    if (memcmp(hash, in.at, sizeof(hash)) != 0) {
        return MKV_E_CORRUPT;
    }
    mkv_header_init(&h, content);
    while (mkv_header_next(&h, &key)) {
        read_key(&h.cbor, key, &rights);
    }

    int error = mkv_header_finish(&h);

    for (key = 0; key < N_KEYS && error == 0; key++) {
        error = mkv_header_has(&h, key) ? 0 : MKV_E_MALFORMED;
    }
    if (error == 0) {
        *ret_rights = rights;
    }
    return error;
}

bool mkv_rights_next_user(struct mkv_bytes *rest, struct mkv_rights_user *ret_user)
{
    struct mkv_cbor_reader r;

    if (rest->len == 0) {
        return false;
    }
    mkv_cbor_reader_init(&r, *rest);
    read_user(&r, ret_user);
    MKV_ASSERT(r.error == 0); /* mkv_rights_decode() has read them all */
    *rest = r.rest;
    return true;
}

bool mkv_rights_next_rule(struct mkv_bytes *rest, struct mkv_rights_rule *ret_rule)
{
    struct mkv_cbor_reader r;

    if (rest->len == 0) {
        return false;
    }
    mkv_cbor_reader_init(&r, *rest);
    read_rule(&r, ret_rule);
    MKV_ASSERT(r.error == 0);
    *rest = r.rest;
    return true;
}

/* The head of the rules, behind the last user. */
static void begin_rules(struct mkv_rights_writer *w)
{
    if (w->n_users == 0) {
        mkv_cbor_write_uint(&w->cbor, KEY_RULES);
        mkv_cbor_write_array(&w->cbor, w->n_rules);
    }
}

void mkv_rights_begin(struct mkv_rights_writer *w,
                      const struct mkv_rights *rights,
                      struct mkv_buf *out)
{
    static const uint8_t no_hash[MKV_RIGHTS_HASH_LEN] = {0};

    mkv_cbor_writer_init(&w->cbor, out);
    w->start = out->len;
    w->n_users = rights->n_users;
    w->n_rules = rights->n_rules;
    mkv_cbor_write_raw(&w->cbor, mkv_bytes(no_hash, sizeof(no_hash)));
    mkv_cbor_write_map(&w->cbor, N_KEYS);
    mkv_cbor_write_uint(&w->cbor, KEY_VERSION);
    mkv_cbor_write_uint(&w->cbor, VERSION);
    mkv_cbor_write_uint(&w->cbor, KEY_ROOT);
    mkv_cbor_write_text(&w->cbor, rights->root);
    mkv_cbor_write_uint(&w->cbor, KEY_PROFILE);
    mkv_cbor_write_uint(&w->cbor, rights->profile);
    mkv_cbor_write_uint(&w->cbor, KEY_KEYS);
    mkv_cbor_write_array(&w->cbor, rights->n_keys);
    for (uint32_t i = 0; i < rights->n_keys; i++) {
        mkv_cbor_write_bytes(&w->cbor, rights->keys[i]);
    }
    mkv_cbor_write_uint(&w->cbor, KEY_USERS);
    mkv_cbor_write_array(&w->cbor, rights->n_users);
    begin_rules(w);
}

void mkv_rights_add_user(struct mkv_rights_writer *w, const struct mkv_rights_user *user)
{
    MKV_ASSERT(w->n_users > 0);
    w->n_users--;
    mkv_cbor_write_array(&w->cbor, USER_PARTS);
    mkv_cbor_write_text(&w->cbor, user->name);
    mkv_cbor_write_bool(&w->cbor, user->off);
    mkv_cbor_write_array(&w->cbor, user->n_roles);
    for (uint32_t i = 0; i < user->n_roles; i++) {
        mkv_cbor_write_text(&w->cbor, user->roles[i]);
    }
    begin_rules(w);
}

void mkv_rights_add_rule(struct mkv_rights_writer *w, const struct mkv_rights_rule *rule)
{
    MKV_ASSERT(w->n_users == 0 && w->n_rules > 0);
    w->n_rules--;
    mkv_cbor_write_array(&w->cbor, RULE_PARTS);
    mkv_cbor_write_text(&w->cbor, rule->role);
    mkv_cbor_write_bytes(&w->cbor, rule->filter);
    mkv_cbor_write_uint(&w->cbor, rule->allowed);
    mkv_cbor_write_uint(&w->cbor, rule->denied);
}

int mkv_rights_end(struct mkv_rights_writer *w)
{
    struct mkv_buf *out = w->cbor.out;

    if (w->cbor.error == 0 && out->len - w->start > MKV_RIGHTS_MAX) {
        w->cbor.error = MKV_E_TOO_LARGE;
    }
    if (w->cbor.error != 0) {
        mkv_buf_truncate(out, w->start);
        return w->cbor.error;
    }
    MKV_ASSERT(w->n_users == 0 && w->n_rules == 0);

    struct mkv_bytes file = mkv_bytes_after(mkv_buf_bytes(out), w->start);

    hash_of(mkv_bytes_after(file, MKV_RIGHTS_HASH_LEN), out->at + w->start);
    return 0;
}
