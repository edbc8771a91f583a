/* SPDX-License-Identifier: Apache-2.0 */
#include "client/token.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX 2048U
#define FOLDER   "/moat-kv"
#define FILENAME "/token.yaml"

int mkv_token_name(char out[MKV_TOKEN_NAME_MAX])
{
    const char *given = getenv("MOAT_KV_TOKEN");
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    int len;

    if (given != NULL) {
        len = snprintf(out, MKV_TOKEN_NAME_MAX, "%s", given);
    } else if (config != NULL && config[0] == '/') {
        len = snprintf(out, MKV_TOKEN_NAME_MAX, "%s" FOLDER FILENAME, config);
    } else if (home != NULL && home[0] == '/') {
        len = snprintf(out, MKV_TOKEN_NAME_MAX, "%s/.config" FOLDER FILENAME, home);
    } else {
        return MKV_E_BAD_STATE;
    }
    return len >= 0 && (size_t)len < MKV_TOKEN_NAME_MAX ? 0 : MKV_E_TOO_LARGE;
}

/* The rest of the line that begins with @key and a colon; borrowed.  Empty: there is none. */
static struct mkv_bytes find(struct mkv_bytes text, const char *key)
{
    size_t key_len = strlen(key);

    while (text.len > 0) {
        const uint8_t *end = memchr(text.at, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.at) : text.len;

        if (len > key_len + 2 && memcmp(text.at, key, key_len) == 0 &&
            memcmp(text.at + key_len, ": ", 2) == 0) {
            return mkv_bytes(text.at + key_len + 2, len - key_len - 2);
        }
        text = mkv_bytes_after(text, end != NULL ? len + 1 : len);
    }
    return mkv_bytes(NULL, 0);
}

static bool take_text(struct mkv_bytes text, const char *key, char *out, size_t size)
{
    struct mkv_bytes found = find(text, key);

    if (found.len == 0 || found.len >= size || memchr(found.at, 0, found.len) != NULL) {
        return false;
    }
    memcpy(out, found.at, found.len);
    out[found.len] = '\0';
    return true;
}

static bool take_hex(
    struct mkv_bytes text, const char *key, uint8_t *out, size_t min, size_t max, size_t *ret_len)
{
    struct mkv_bytes found = find(text, key);
    const char *end = NULL;

    return found.len > 0 &&
           sodium_hex2bin(out, max, (const char *)found.at, found.len, NULL, ret_len, &end) == 0 &&
           end == (const char *)found.at + found.len && *ret_len >= min;
}

static bool parse(struct mkv_bytes text, struct mkv_token *token)
{
    char number[16];
    char *end = NULL;
    size_t len;

    if (!take_text(text, "server", token->server, sizeof(token->server)) ||
        !take_text(text, "user", token->user, sizeof(token->user)) ||
        !take_text(text, "iterations", number, sizeof(number)) ||
        !take_hex(text, "fingerprint", token->pin, sizeof(token->pin), sizeof(token->pin), &len) ||
        !take_hex(text, "salt", token->salt, 1, sizeof(token->salt), &token->salt_len) ||
        !take_hex(text, "salted-password", token->salted, sizeof(token->salted),
                  sizeof(token->salted), &len)) {
        return false;
    }

    unsigned long iterations = strtoul(number, &end, 10);

    token->iterations = (uint32_t)iterations;
    return *end == '\0' && iterations > 0 && iterations <= MKV_SCRAM_ITERATIONS_MAX;
}

static int read_file(int fd, const char *name, struct mkv_token *token, struct mkv_why *why)
{
    uint8_t text[FILE_MAX];
    struct stat status;
    ssize_t len;

    if (fstat(fd, &status) != 0 || (status.st_mode & 077) != 0) {
        return mkv_why_error(why, MKV_E_NOT_AUTHORISED,
                             "'%s' may be read by others: 'chmod 600' it, and log in again if "
                             "somebody has read it",
                             name);
    }
    len = read(fd, text, sizeof(text));

    bool parsed =
        len > 0 && (size_t)len < sizeof(text) && parse(mkv_bytes(text, (size_t)len), token);

    sodium_memzero(text, sizeof(text));
    return parsed ? 0
                  : mkv_why_error(why, MKV_E_MALFORMED,
                                  "'%s' is no login: remove it, or log in again", name);
}

/* Whether there is none, or none of ours: in a folder that is closed to us. */
static bool is_none(const char *name)
{
    int error = errno;
    bool unseen =
        error == ENOENT || error == ENOTDIR || (error == EACCES && access(name, F_OK) != 0);

    errno = error;
    return unseen;
}

int mkv_token_read(const char *name, struct mkv_token *ret_token, struct mkv_why *why)
{
    struct mkv_token token = {.iterations = 0};
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int error;

    if (fd < 0) {
        return mkv_why_error(why, is_none(name) ? MKV_E_NOT_FOUND : MKV_E_IO,
                             "cannot read '%s': %s", name, strerror(errno));
    }
    error = read_file(fd, name, &token, why);
    (void)close(fd);
    if (error == 0) {
        *ret_token = token;
    }
    sodium_memzero(&token, sizeof(token));
    return error;
}

static void format(const struct mkv_token *token, char *out, size_t size)
{
    char pin[2 * MKV_TLS_FINGERPRINT_LEN + 1];
    char salt[2 * MKV_SCRAM_SALT_MAX + 1];
    char salted[2 * MKV_SCRAM_KEY_LEN + 1];

    (void)sodium_bin2hex(pin, sizeof(pin), token->pin, sizeof(token->pin));
    (void)sodium_bin2hex(salt, sizeof(salt), token->salt, token->salt_len);
    (void)sodium_bin2hex(salted, sizeof(salted), token->salted, sizeof(token->salted));
    (void)snprintf(out, size,
                   "server: %s\nuser: %s\nfingerprint: %s\niterations: %u\nsalt: %s\n"
                   "salted-password: %s\n",
                   token->server, token->user, pin, token->iterations, salt, salted);
    sodium_memzero(salted, sizeof(salted));
}

static void make_folders(const char *name)
{
    char path[MKV_TOKEN_NAME_MAX];

    (void)snprintf(path, sizeof(path), "%s", name);
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(path, 0700); /* if that fails, so does what follows */
        *at = '/';
    }
}

int mkv_token_write(const char *name, const struct mkv_token *token, struct mkv_why *why)
{
    char text[FILE_MAX];
    char temporary[MKV_TOKEN_NAME_MAX + 8];
    ssize_t len;
    int fd;

    make_folders(name);
    (void)snprintf(temporary, sizeof(temporary), "%s.new", name);
    (void)unlink(temporary);
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return mkv_why_error(why, MKV_E_IO, "cannot write '%s': %s", temporary, strerror(errno));
    }
    format(token, text, sizeof(text));
    len = write(fd, text, strlen(text));

    bool written = len == (ssize_t)strlen(text) && fsync(fd) == 0;

    sodium_memzero(text, sizeof(text));
    if (close(fd) != 0 || !written || rename(temporary, name) != 0) {
        mkv_why_set(why, "cannot write '%s': %s", name, strerror(errno));
        (void)unlink(temporary);
        return MKV_E_IO;
    }
    return 0;
}
