/* SPDX-License-Identifier: Apache-2.0 */
#include "acl_rig.h"

#include "base/buf.h"
#include "base/limits.h"
#include "lib/check.h"
#include "wire/path.h"

struct mkv_acl *acl;

struct mkv_bytes key_of(const char *dotted, struct mkv_buf *key)
{
    mkv_buf_init(key, MKV_PATH_KEY_MAX);
    assert_int_equal(mkv_path_from_dotted(mkv_bytes_of(dotted), key), 0);
    return mkv_buf_bytes(key);
}

int try_user(const char *name, const char *const *roles, uint32_t n_roles)
{
    struct mkv_acl_user user = {.name = mkv_bytes_of(name), .n_roles = n_roles};

    for (uint32_t i = 0; i < n_roles && i < MKV_ACL_USER_ROLES_MAX; i++) {
        user.roles[i] = mkv_bytes_of(roles[i]);
    }
    return mkv_acl_add_user(acl, &user);
}

int try_rule(const char *role, const char *filter, uint8_t allowed, uint8_t denied)
{
    struct mkv_buf key;
    struct mkv_acl_rule rule = {.role = mkv_bytes_of(role),
                                .filter = key_of(filter, &key),
                                .allowed = allowed,
                                .denied = denied};
    int error = mkv_acl_add_rule(acl, &rule);

    mkv_buf_deinit(&key);
    return error;
}

bool may(const char *user, const char *path, enum mkv_right right)
{
    struct mkv_buf key;
    bool allowed = mkv_acl_decide(acl, mkv_bytes_of(user), key_of(path, &key), right, NULL);

    mkv_buf_deinit(&key);
    return allowed;
}

enum mkv_acl_extent below(const char *user, const char *path)
{
    struct mkv_buf key;
    enum mkv_acl_extent extent =
        mkv_acl_below(acl, mkv_bytes_of(user), key_of(path, &key), MKV_RIGHT_READ);

    mkv_buf_deinit(&key);
    return extent;
}
