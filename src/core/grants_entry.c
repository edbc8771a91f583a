/* SPDX-License-Identifier: Apache-2.0 */
#include "core/grants_entry.h"

#include "base/limits.h"
#include "wire/cbor.h"
#include "wire/path.h"

static int top_key(const char *word, struct mkv_buf *key)
{
    struct mkv_element null = {.kind = MKV_ELEMENT_NULL};
    struct mkv_element element = {.kind = MKV_ELEMENT_TEXT, .text = mkv_bytes_of(word)};
    int error = mkv_path_append(key, &null);

    return error != 0 ? error : mkv_path_append(key, &element);
}

int mkv_users_key(struct mkv_buf *key)
{
    return top_key("users", key);
}

int mkv_rules_key(struct mkv_buf *key)
{
    return top_key("acl", key);
}

static int name_key(const char *word, struct mkv_bytes name, struct mkv_buf *key)
{
    struct mkv_element element = {.kind = MKV_ELEMENT_TEXT, .text = name};
    int error = mkv_acl_name_valid(name) ? top_key(word, key) : MKV_E_BAD_NAME;

    return error != 0 ? error : mkv_path_append(key, &element);
}

int mkv_user_key(struct mkv_bytes name, struct mkv_buf *key)
{
    return name_key("users", name, key);
}

int mkv_role_key(struct mkv_bytes role, struct mkv_buf *key)
{
    return name_key("acl", role, key);
}

int mkv_rule_key(struct mkv_bytes role, struct mkv_bytes filter, struct mkv_buf *key)
{
    int error = mkv_role_key(role, key);

    if (error == 0) {
        error = mkv_buf_append(key, filter);
    }
    return error != 0 ? error : mkv_path_check(mkv_buf_bytes(key));
}

/* The name behind [null, @word], and what follows it in the key.  Its key is its text, nothing is escaped. */
static bool cut_name(struct mkv_bytes key,
                     const char *word,
                     struct mkv_bytes *ret_name,
                     struct mkv_bytes *ret_rest)
{
    static const uint8_t null_key[] = {0x10};
    static const uint8_t text_end[] = {0x00, 0x01};
    struct mkv_bytes null = mkv_path_cut(&key);
    struct mkv_bytes top = mkv_path_cut(&key);
    struct mkv_bytes name = mkv_path_cut(&key);
    const size_t around = 1 + sizeof(text_end);

    if (!mkv_bytes_equal(null, mkv_bytes(null_key, sizeof(null_key))) ||
        top.len != strlen(word) + around || top.at[0] != 0x60 ||
        memcmp(top.at + 1, word, strlen(word)) != 0 || name.len < around || name.at[0] != 0x60) {
        return false;
    }
    *ret_name = mkv_bytes(name.at + 1, name.len - around);
    *ret_rest = key;
    return mkv_acl_name_valid(*ret_name);
}

/* --- Users -------------------------------------------------------------------------------- */

int mkv_user_write(const struct mkv_acl_user *user, struct mkv_buf *value)
{
    struct mkv_cbor_writer w;

    mkv_cbor_writer_init(&w, value);
    mkv_cbor_write_map(&w, 1 + (uint64_t)user->has_uid + (uint64_t)user->off);
    mkv_cbor_write_text(&w, mkv_bytes_of("roles"));
    mkv_cbor_write_array(&w, user->n_roles);
    for (uint32_t i = 0; i < user->n_roles; i++) {
        mkv_cbor_write_text(&w, user->roles[i]);
    }
    if (user->has_uid) {
        mkv_cbor_write_text(&w, mkv_bytes_of("uid"));
        mkv_cbor_write_uint(&w, user->uid);
    }
    if (user->off) {
        mkv_cbor_write_text(&w, mkv_bytes_of("off"));
        mkv_cbor_write_bool(&w, true);
    }
    return w.error;
}

static void read_roles(struct mkv_cbor_reader *r, struct mkv_acl_user *user)
{
    user->n_roles = (uint32_t)mkv_cbor_read_array(r, MKV_ACL_USER_ROLES_MAX);
    for (uint32_t i = 0; i < user->n_roles && r->error == 0; i++) {
        user->roles[i] = mkv_cbor_read_text(r);
        if (!mkv_acl_name_valid(user->roles[i])) {
            mkv_cbor_fail(r, MKV_E_BAD_NAME);
        }
    }
}

bool mkv_user_read(struct mkv_bytes key, struct mkv_bytes value, struct mkv_acl_user *ret_user)
{
    struct mkv_acl_user user = {.n_roles = 0};
    struct mkv_bytes rest;
    struct mkv_cbor_reader r;
    bool has_roles = false;

    if (!cut_name(key, "users", &user.name, &rest) || rest.len > 0) {
        return false;
    }
    mkv_cbor_reader_init(&r, value);
    for (uint64_t n = mkv_cbor_read_map(&r, MKV_HEADER_KEYS_MAX); n > 0 && r.error == 0; n--) {
        struct mkv_bytes word = mkv_cbor_read_text(&r);

        if (mkv_bytes_equal(word, mkv_bytes_of("roles"))) {
            read_roles(&r, &user);
            has_roles = true;
        } else if (mkv_bytes_equal(word, mkv_bytes_of("uid"))) {
            user.uid = (uint32_t)mkv_cbor_read_uint_below(&r, UINT64_C(1) << 32);
            user.has_uid = true;
        } else if (mkv_bytes_equal(word, mkv_bytes_of("off"))) {
            user.off = mkv_cbor_read_bool(&r);
        } else {
            mkv_cbor_skip(&r);
        }
    }
    *ret_user = user;
    return mkv_cbor_finish(&r) == 0 && has_roles;
}

/* --- Rules -------------------------------------------------------------------------------- */

enum mkv_entry_shape mkv_rule_read(struct mkv_bytes key,
                                   struct mkv_bytes value,
                                   struct mkv_acl_rule *ret_rule)
{
    struct mkv_acl_rule rule = {.denied = MKV_RIGHTS_ALL};
    struct mkv_cbor_reader r;
    struct mkv_bytes text;

    if (!cut_name(key, "acl", &rule.role, &rule.filter)) {
        return MKV_ENTRY_NONE;
    }
    mkv_cbor_reader_init(&r, value);
    text = mkv_cbor_read_text(&r);
    if (mkv_cbor_finish(&r) != 0 || mkv_acl_rights_parse(text, &rule.allowed, &rule.denied) != 0) {
        *ret_rule = rule;
        return MKV_ENTRY_UNREADABLE;
    }
    *ret_rule = rule;
    return MKV_ENTRY_FINE;
}
