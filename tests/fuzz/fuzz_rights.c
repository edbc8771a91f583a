/* SPDX-License-Identifier: Apache-2.0 */
/* Files of rights with a good hash: what is accepted is as the header says, and is read again. */
#include <sodium.h>

#include "base/assert.h"
#include "fuzz.h"
#include "wire/path.h"
#include "wire/rights.h"

static void check_users(const struct mkv_rights *rights)
{
    struct mkv_bytes rest = rights->users;
    struct mkv_rights_user user;
    uint32_t n = 0;

    while (mkv_rights_next_user(&rest, &user)) {
        MKV_ASSERT(mkv_user_valid(user.name) && user.n_roles <= MKV_RIGHTS_ROLES_MAX);
        for (uint32_t i = 0; i < user.n_roles; i++) {
            MKV_ASSERT(mkv_user_valid(user.roles[i]));
        }
        n++;
    }
    MKV_ASSERT(n == rights->n_users);
}

static void check_rules(const struct mkv_rights *rights)
{
    struct mkv_bytes rest = rights->rules;
    struct mkv_rights_rule rule;
    uint32_t n = 0;

    while (mkv_rights_next_rule(&rest, &rule)) {
        MKV_ASSERT(mkv_user_valid(rule.role) && mkv_path_check(rule.filter) == 0);
        MKV_ASSERT(rule.allowed < 64 && rule.denied < 64);
        n++;
    }
    MKV_ASSERT(n == rights->n_rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mkv_bytes content = mkv_bytes(data, size);
    uint8_t hash[MKV_RIGHTS_HASH_LEN];
    struct mkv_rights rights;
    struct mkv_buf file;

    mkv_buf_init(&file, size + sizeof(hash));
    (void)crypto_generichash(hash, sizeof(hash), content.at, content.len, NULL, 0);
    MKV_ASSERT(mkv_buf_append(&file, mkv_bytes(hash, sizeof(hash))) == 0);
    MKV_ASSERT(mkv_buf_append(&file, content) == 0);
    if (mkv_rights_decode(mkv_buf_bytes(&file), &rights) == 0) {
        MKV_ASSERT(mkv_root_check(rights.root) == 0 && rights.n_keys >= 1);
        check_users(&rights);
        check_rules(&rights);
    }
    mkv_buf_deinit(&file);
    return 0;
}
