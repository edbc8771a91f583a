/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>

#include "cli/passwd.h"
#include "cli/say.h"
#include "cli/secret.h"
#include "cli/session.h"
#include "cli/verbs.h"

enum {
    OPT_FILE = 1
};

static const struct mkv_option options[] = {
    {OPT_FILE, 0, "password-file", "FILE", "its first line is the password; - for standard input"},
    {0, 0, NULL, NULL, NULL},
};

struct setting {
    bool done;
    int status;
};

static void on_done(void *user, int status)
{
    struct setting *setting = user;

    setting->done = true;
    setting->status = status;
}

static enum mkv_exit set_password(struct mkv_cli *cli, const char *user, const char *password)
{
    struct setting setting = {0};
    int error = moatkv_passwd(cli->kv, user, password, on_done, &setting);

    if (error == MOATKV_E_BAD_ARGUMENT) {
        return mkv_say(MKV_EXIT_USAGE,
                       "passwd: a password has 1 to 1,024 bytes and no control characters");
    }
    if (error != 0) {
        return mkv_session_fail(cli, error, "passwd");
    }

    enum mkv_exit status = mkv_session_wait(cli, &setting.done);

    if (status == MKV_EXIT_OK && setting.status != 0) {
        status = mkv_session_fail(cli, setting.status, "passwd");
    }
    return status;
}

enum mkv_exit mkv_passwd(struct mkv_cli *cli, const char *user, const char *file)
{
    char password[MKV_SECRET_MAX] = "";
    enum mkv_exit status = mkv_secret_ask(file, user, true, password);

    if (status == MKV_EXIT_OK) {
        status = mkv_session_open(cli);
    }
    if (status == MKV_EXIT_OK) {
        status = set_password(cli, user, password);
    }
    sodium_memzero(password, sizeof(password));
    mkv_session_close(cli);
    return status;
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    return mkv_passwd(cli, cli->words[0], mkv_cli_value(cli, OPT_FILE));
}

static const uint8_t exits[] = {MKV_EXIT_USAGE,    MKV_EXIT_NO_CONNECTION, MKV_EXIT_NOT_AUTHORISED,
                                MKV_EXIT_BAD_DATA, MKV_EXIT_NOT_WRITING,   0};

const struct mkv_verb mkv_verb_passwd = {
    .name = "passwd",
    .words = "USER",
    .n_words_min = 1,
    .n_words_max = 1,
    .summary = "Sets a user's password",
    .more = "The server never gets the password itself. The others of its cluster get to know what "
            "it has:\n"
            "the password is good there a second or so later, or when they can be reached again.\n",
    .options = options,
    .examples = {{"passwd ann", "asks twice"},
                 {"passwd ann --password-file -", "the first line of standard input"},
                 {"passwd ann --server unix:/run/moat-kv/link", "at this server"}},
    .exits = exits,
    .run = run,
};
