/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/entropy.h"

static const char help[] =
    "usage: moat-kvd key [rotate|join] [OPTION]...\n"
    "\n"
    "Prints the cluster's keys as a token, by which other servers join it:\n"
    "\n"
    "  moat-kvd key --state A | moat-kvd --state B --broker BROKER --join-file -\n"
    "\n"
    "  rotate   a new key comes into use first; the last two others still count. Then give the\n"
    "           token to all other servers. Servers that run take it at SIGHUP\n"
    "  join     takes the token of --join-file, and starts nothing\n"
    "\n"
    "The options are those of the server: --state, --root, --join-file, --config. Whoever has the\n"
    "token can be a server of the cluster: pass it on as you would a password.\n";

static void file_name(const char *state, char ret_name[MKV_KEYRING_NAME_MAX])
{
    (void)snprintf(ret_name, MKV_KEYRING_NAME_MAX, "%s/cluster.key", state);
}

/* --- Reading ------------------------------------------------------------------------------ */

/* At most @size bytes of it, since whoever has more is none of ours. */
static int read_fd(int fd, char *text, size_t size, size_t *ret_len)
{
    size_t len = 0;

    while (len < size) {
        ssize_t n = read(fd, text + len, size - len);

        if (n < 0 && errno != EINTR) {
            return errno;
        }
        if (n == 0) {
            break;
        }
        len += n > 0 ? (size_t)n : 0;
    }
    *ret_len = len;
    return 0;
}

static int check_mode(int fd, const char *name, struct mkv_why *why)
{
    struct stat status;

    if (fstat(fd, &status) != 0) {
        return mkv_why_error(why, MKV_E_IO, "cannot read '%s': %s", name, strerror(errno));
    }
    if ((status.st_mode & 077) != 0) {
        return mkv_why_error(why, MKV_E_NOT_AUTHORISED,
                             "others than its owner may read or change '%s', which has the "
                             "cluster's keys: chmod 600 %s; and if somebody may have seen them, "
                             "'moat-kvd key rotate'",
                             name, name);
    }
    return 0;
}

/* *ret_found is false, and the error 0, if there is no such file. */
static int read_file(const char *state,
                     struct mkv_ring *ret_ring,
                     bool *ret_found,
                     struct mkv_why *why)
{
    char name[MKV_KEYRING_NAME_MAX];
    char text[MKV_RING_FILE_MAX];
    size_t len = 0;
    int fd;
    int error;

    file_name(state, name);
    fd = open(name, O_RDONLY | O_CLOEXEC);
    *ret_found = fd >= 0;
    if (fd < 0) {
        return errno == ENOENT
                   ? 0
                   : mkv_why_error(why, MKV_E_IO, "cannot read '%s': %s", name, strerror(errno));
    }
    error = check_mode(fd, name, why);
    if (error == 0 && read_fd(fd, text, sizeof(text), &len) != 0) {
        error = mkv_why_error(why, MKV_E_IO, "cannot read '%s'", name);
    }
    (void)close(fd);
    if (error == 0 && mkv_ring_read(mkv_bytes(text, len), ret_ring) != 0) {
        error = mkv_why_error(why, MKV_E_MALFORMED,
                              "'%s' is damaged, and has been left as it is: put it back from a "
                              "backup, or remove it and start with --join-file and the token that "
                              "'moat-kvd key' prints at another server of the cluster",
                              name);
    }
    sodium_memzero(text, sizeof(text));
    return error;
}

int mkv_keyring_read(const char *state, struct mkv_ring *ret_ring, struct mkv_why *why)
{
    bool found = false;
    int error = read_file(state, ret_ring, &found, why);

    if (error == 0 && !found) {
        error = mkv_why_error(why, MKV_E_IO,
                              "there is no '%s/cluster.key': a server makes it when it first "
                              "serves; name its directory with --state",
                              state);
    }
    return error;
}

/* --- Writing ------------------------------------------------------------------------------ */

static int write_fd(int fd, struct mkv_bytes text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.at, text.len);

        if (n < 0 && errno != EINTR) {
            return errno;
        }
        text = mkv_bytes_after(text, n > 0 ? (size_t)n : 0);
    }
    return fsync(fd) != 0 ? errno : 0;
}

/* Returns an errno. */
static int make_file(const char *name, struct mkv_bytes text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int failure = fd < 0 ? errno : 0;

    if (fd >= 0) {
        failure = fchmod(fd, 0600) != 0 ? errno : write_fd(fd, text);
        failure = close(fd) != 0 && failure == 0 ? errno : failure;
    }
    return failure;
}

static int sync_directory(const char *state)
{
    int fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failure = fd < 0 || fsync(fd) != 0 ? errno : 0;

    if (fd >= 0) {
        (void)close(fd);
    }
    return failure;
}

int mkv_keyring_save(const char *state, const struct mkv_ring *ring, struct mkv_why *why)
{
    char name[MKV_KEYRING_NAME_MAX];
    char temporary[MKV_KEYRING_NAME_MAX + 8];
    struct mkv_buf text;
    int failure;

    mkv_buf_init(&text, MKV_RING_FILE_MAX);
    file_name(state, name);
    (void)snprintf(temporary, sizeof(temporary), "%s.new", name);
    failure =
        mkv_ring_write(ring, &text) != 0 ? ENOMEM : make_file(temporary, mkv_buf_bytes(&text));
    if (failure == 0 && rename(temporary, name) != 0) {
        failure = errno;
    }
    if (failure == 0) {
        failure = sync_directory(state);
    }
    if (text.len > 0) {
        sodium_memzero(text.at, text.len);
    }
    mkv_buf_deinit(&text);
    return failure == 0
               ? 0
               : mkv_why_error(why, MKV_E_IO, "cannot write '%s': %s", name, strerror(failure));
}

/* --- Tokens ------------------------------------------------------------------------------- */

static int read_token(const char *name, struct mkv_ring_token *ret_token, struct mkv_why *why)
{
    bool is_stdin = strcmp(name, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    char text[MKV_RING_TOKEN_MAX + 1];
    size_t len = 0;
    int failure = fd < 0 ? errno : read_fd(fd, text, sizeof(text), &len);
    int error = failure == 0 ? 0
                             : mkv_why_error(why, MKV_E_IO, "cannot read the token '%s': %s", name,
                                             strerror(failure));

    if (!is_stdin && fd >= 0) {
        (void)close(fd);
    }
    if (error == 0 && mkv_ring_token_read(mkv_bytes(text, len), ret_token) != 0) {
        error = mkv_why_error(why, MKV_E_MALFORMED,
                              "%s is no token, or there is a mistake in it: take the whole line "
                              "that 'moat-kvd key' prints",
                              is_stdin ? "what came on standard input" : name);
    }
    sodium_memzero(text, sizeof(text));
    return error;
}

/* *ring becomes what this server has then. */
static int take_token(const struct mkv_daemon_config *config,
                      struct mkv_ring *ring,
                      struct mkv_why *why)
{
    struct mkv_ring_token token = {0};
    struct mkv_ring before = *ring;
    int error = read_token(config->join_file, &token, why);

    if (error == 0 && token.root[0] != '\0' && strcmp(token.root, config->root) != 0) {
        error = mkv_why_error(why, MKV_E_UNEXPECTED,
                              "the token is for a cluster with the root '%s', but this server has "
                              "--root %s",
                              token.root, config->root);
    }
    if (error == 0 && mkv_ring_join(ring, &token.ring) != 0) {
        error = mkv_why_error(why, MKV_E_UNEXPECTED,
                              "this server has keys of another cluster than the token's: use "
                              "another --state; or, if it is to join that cluster with what it "
                              "has, remove '%s/cluster.key' first",
                              config->state);
    }
    if (error == 0 && sodium_memcmp(&before, ring, sizeof(before)) != 0) {
        error = mkv_keyring_save(config->state, ring, why);
    }
    mkv_ring_forget(&before);
    mkv_ring_forget(&token.ring);
    return error;
}

int mkv_keyring_open(const struct mkv_daemon_config *config,
                     struct mkv_ring *ret_ring,
                     bool *ret_founds,
                     struct mkv_why *why)
{
    struct mkv_ring ring = {0};
    bool found = false;
    int error = read_file(config->state, &ring, &found, why);

    if (error == 0 && config->join_file[0] != '\0') {
        error = take_token(config, &ring, why);
    } else if (error == 0 && !found) {
        ring.n = 1;
        mkv_entropy_fill(ring.keys[0], sizeof(ring.keys[0]));
    }
    *ret_founds = !found && config->join_file[0] == '\0';
    *ret_ring = ring;
    mkv_ring_forget(&ring);
    return error;
}

/* --- The command -------------------------------------------------------------------------- */

static int rotate(const char *state, struct mkv_ring *ring, struct mkv_why *why)
{
    uint8_t key[MKV_RING_KEY_LEN];
    int error;

    mkv_entropy_fill(key, sizeof(key));
    mkv_ring_add(ring, key);
    error = mkv_keyring_save(state, ring, why);
    sodium_memzero(key, sizeof(key));
    return error;
}

static int print_token(const struct mkv_daemon_config *config,
                       const struct mkv_ring *ring,
                       struct mkv_why *why)
{
    struct mkv_ring_token token = {.ring = *ring};
    struct mkv_buf text;
    int error;

    (void)snprintf(token.root, sizeof(token.root), "%s", config->root);
    mkv_buf_init(&text, MKV_RING_TOKEN_MAX);
    error = mkv_ring_token_write(&token, &text);
    if (error == 0) {
        (void)printf("%.*s\n", (int)text.len, (const char *)text.at);
        sodium_memzero(text.at, text.len);
    } else {
        mkv_why_set(why, "cannot make a token: %s", mkv_error_text(error));
    }
    mkv_buf_deinit(&text);
    mkv_ring_forget(&token.ring);
    return error;
}

static int join(const struct mkv_daemon_config *config, struct mkv_ring *ring, struct mkv_why *why)
{
    bool founds;

    if (config->join_file[0] == '\0') {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "key join: name the token's file by --join-file");
    }
    return mkv_keyring_open(config, ring, &founds, why);
}

static int run(const char *verb, const struct mkv_daemon_config *config, struct mkv_why *why)
{
    struct mkv_ring ring = {0};
    int error;

    mkv_entropy_init();
    if (strcmp(verb, "join") == 0) {
        error = join(config, &ring, why);
    } else {
        error = mkv_keyring_read(config->state, &ring, why);
        if (error == 0 && strcmp(verb, "rotate") == 0) {
            error = rotate(config->state, &ring, why);
        }
        if (error == 0) {
            error = print_token(config, &ring, why);
        }
    }
    mkv_ring_forget(&ring);
    return error;
}

int mkv_keyring_command(int argc, char **argv, struct mkv_why *why)
{
    struct mkv_daemon_config config;
    const char *verb = "";

    if (argc > 1 && (strcmp(argv[1], "rotate") == 0 || strcmp(argv[1], "join") == 0)) {
        verb = argv[1];
        argc--;
        argv++;
    }
    switch (mkv_config_read(argc, argv, &config, why)) {
    case MKV_CONFIG_RUN:
        return run(verb, &config, why);
    case MKV_CONFIG_WRONG:
        return MKV_E_BAD_ARGUMENT;
    case MKV_CONFIG_HELP:
    case MKV_CONFIG_VERSION:
        break;
    }
    (void)fputs(help, stdout);
    return 0;
}
