/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/access.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/rights.h"

#define PLUGIN "moat-kv-guard.so"

static bool can_read(const char *name)
{
    return access(name, R_OK) == 0;
}

/* --- Files -------------------------------------------------------------------------------- */

static int write_all(int fd, struct mkv_bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.at, bytes.len);

        if (n < 0 && errno != EINTR) {
            return errno;
        }
        bytes = mkv_bytes_after(bytes, n > 0 ? (size_t)n : 0);
    }
    return fsync(fd) != 0 ? errno : 0;
}

/* Makes the file with these bytes, and nothing else; returns an errno. */
static int make_file(const char *name, int flags, mode_t mode, struct mkv_bytes bytes)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | flags, mode);
    int failure = fd < 0 ? errno : 0;

    if (fd >= 0) {
        failure = fchmod(fd, mode) != 0 ? errno : write_all(fd, bytes);
        failure = close(fd) != 0 && failure == 0 ? errno : failure;
    }
    return failure;
}

/* Puts the names in a file's directory on the disk; where that cannot be, nothing is lost but speed. */
static void sync_directory(const char *file)
{
    char name[MKV_ACCESS_NAME_MAX];
    int fd;

    (void)snprintf(name, sizeof(name), "%s", file);
    fd = open(dirname(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

/* --- The plugin --------------------------------------------------------------------------- */

/* Where it is installed, beside this program, or in the folder it was built in. */
static int find_plugin(struct mkv_access *access, struct mkv_why *why)
{
    static const char *const places[] = {"../" MKV_LIBDIR "/moat-kv/" PLUGIN, "../guard/" PLUGIN,
                                         PLUGIN};
    char self[MKV_ACCESS_NAME_MAX] = "";
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

    for (size_t i = 0; len > 0 && i < sizeof(places) / sizeof(places[0]); i++) {
        char program[MKV_ACCESS_NAME_MAX];

        memcpy(program, self, sizeof(program));

        int n =
            snprintf(access->plugin, sizeof(access->plugin), "%s/%s", dirname(program), places[i]);

        if (n > 0 && (size_t)n < sizeof(access->plugin) && can_read(access->plugin)) {
            return 0;
        }
    }
    (void)snprintf(access->plugin, sizeof(access->plugin), "%s", MKV_GUARD_PLUGIN);
    if (can_read(access->plugin)) {
        return 0;
    }
    return mkv_why_error(
        why, MKV_E_NOT_FOUND,
        "there is no '%s', without which anybody on this machine could use the "
        "embedded broker for anything: install it, or accept that by '--guard off'",
        MKV_GUARD_PLUGIN);
}

/* --- All of it ---------------------------------------------------------------------------- */

int mkv_access_init(struct mkv_access *access,
                    const struct mkv_daemon_config *config,
                    const struct mkv_ring *ring,
                    struct mkv_why *why)
{
    char directory[MKV_ACCESS_NAME_MAX];

    mkv_access_keys(access, ring);
    (void)snprintf(directory, sizeof(directory), "%s/guard", config->state);
    (void)snprintf(access->rights, sizeof(access->rights), "%s/" MKV_ACCESS_RIGHTS, config->state);
    if (mkdir(directory, 0750) != 0 && errno != EEXIST) {
        return mkv_why_error(why, MKV_E_IO, "cannot make '%s': %s", directory, strerror(errno));
    }
    return config->embedded ? find_plugin(access, why) : 0;
}

void mkv_access_keys(struct mkv_access *access, const struct mkv_ring *ring)
{
    mkv_ring_derive(ring, MKV_RING_GUARD, &access->keys);
}

void mkv_access_deinit(struct mkv_access *access)
{
    sodium_memzero(access, sizeof(*access));
}

static void add_users(struct mkv_rights_writer *w, const struct mkv_acl *acl, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct mkv_acl_user *user = mkv_acl_user_at(acl, i);
        struct mkv_rights_user row = {
            .name = user->name, .off = user->off, .n_roles = user->n_roles};

        memcpy(row.roles, user->roles, user->n_roles * sizeof(*row.roles));
        mkv_rights_add_user(w, &row);
    }
}

static void add_rules(struct mkv_rights_writer *w, const struct mkv_acl *acl, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct mkv_acl_rule *rule = mkv_acl_rule_at(acl, i);
        struct mkv_rights_rule row = {rule->role, rule->filter, rule->allowed, rule->denied};

        mkv_rights_add_rule(w, &row);
    }
}

static int encode(const struct mkv_access *access,
                  const struct mkv_daemon_config *config,
                  const struct mkv_acl *acl,
                  struct mkv_buf *out)
{
    struct mkv_rights rights = {
        .root = mkv_bytes_of(config->root),
        .profile = config->profile,
        .n_keys = access->keys.n,
        .n_users = acl == NULL ? 0 : (uint32_t)mkv_acl_n_users(acl),
        .n_rules = acl == NULL ? 0 : (uint32_t)mkv_acl_n_rules(acl),
    };
    struct mkv_rights_writer w;

    for (uint32_t i = 0; i < rights.n_keys; i++) {
        rights.keys[i] = mkv_bytes(access->keys.keys[i], MKV_RING_KEY_LEN);
    }
    mkv_rights_begin(&w, &rights, out);
    add_users(&w, acl, rights.n_users);
    add_rules(&w, acl, rights.n_rules);
    return mkv_rights_end(&w);
}

/* Returns an errno. */
static int replace(const char *name, struct mkv_bytes bytes)
{
    char temporary[MKV_ACCESS_NAME_MAX + 8];
    int failure;

    (void)snprintf(temporary, sizeof(temporary), "%s.new", name);
    failure = make_file(temporary, O_TRUNC, 0640, bytes);
    if (failure == 0 && rename(temporary, name) != 0) {
        failure = errno;
    }
    if (failure == 0) {
        sync_directory(name);
    }
    return failure;
}

int mkv_access_write(const struct mkv_access *access,
                     const struct mkv_daemon_config *config,
                     const struct mkv_acl *acl,
                     struct mkv_why *why)
{
    struct mkv_buf file;

    mkv_buf_init(&file, MKV_RIGHTS_MAX);

    int error = encode(access, config, acl, &file);
    int failure = error != 0 ? 0 : replace(access->rights, mkv_buf_bytes(&file));

    mkv_buf_deinit(&file);
    if (error == 0 && failure == 0) {
        return 0;
    }
    return mkv_why_error(why, error != 0 ? error : MKV_E_IO,
                         "cannot write '%s': %s; the broker goes on by the old rights",
                         access->rights, error != 0 ? mkv_error_text(error) : strerror(failure));
}

void mkv_access_login(const struct mkv_access *access,
                      const char *name,
                      uint32_t mark,
                      struct mkv_access_login *ret_login)
{
    (void)snprintf(ret_login->client_id, sizeof(ret_login->client_id), "%s:0:0:%08" PRIx32, name,
                   mark);
    mkv_credential_password(access->keys.keys[0], mkv_bytes_of(ret_login->client_id),
                            mkv_bytes_of(MKV_USER_SERVER), ret_login->password);
    ret_login->password[MKV_PASSWORD_LEN] = '\0';
}
