/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <string.h>

#include "cli/say.h"
#include "cli/secret.h"
#include "cli/session.h"
#include "cli/verbs.h"

enum {
    OPT_FILE = 1,
    OPT_CA,
};

static const struct mkv_option options[] = {
    {OPT_FILE, 0, "password-file", "FILE", "its first line is the password; - for standard input"},
    {OPT_CA, 0, "ca", "FILE", "the server's certificate, or its authority's, as PEM"},
    {0, 0, NULL, NULL, NULL},
};

static enum mkv_exit judge_server(const struct mkv_cli *cli)
{
    const char *server = cli->servers.len > 0 ? (const char *)cli->servers.at : "";

    if (strncmp(server, "tls://", 6) == 0 && strchr(server, ',') == NULL) {
        return MKV_EXIT_OK;
    }
    return mkv_say(MKV_EXIT_USAGE, "login: name the server: --server tls://HOST[:PORT]");
}

static enum mkv_exit run(struct mkv_cli *cli)
{
    char password[MKV_SECRET_MAX] = "";
    enum mkv_exit status = judge_server(cli);

    if (status == MKV_EXIT_OK) {
        status = mkv_secret_ask(mkv_cli_value(cli, OPT_FILE), cli->words[0], false, password);
    }
    if (status == MKV_EXIT_OK) {
        cli->user = cli->words[0];
        cli->password = password;
        cli->ca = mkv_cli_value(cli, OPT_CA);
        status = mkv_session_open(cli);
    }
    sodium_memzero(password, sizeof(password));
    if (status == MKV_EXIT_OK) {
        int error = moatkv_save_login(cli->kv, NULL);

        if (error != 0) {
            status = mkv_say(MKV_EXIT_BAD_DATA,
                             "login: you were let in, but that cannot be kept in "
                             "~/.config/moat-kv/token.yaml: %s",
                             moatkv_strerror(error));
        }
    }
    mkv_session_close(cli);
    return status;
}

static const uint8_t exits[] = {MKV_EXIT_USAGE, MKV_EXIT_NO_CONNECTION, MKV_EXIT_NOT_AUTHORISED,
                                MKV_EXIT_BAD_DATA, 0};

const struct mkv_verb mkv_verb_login = {
    .name = "login",
    .words = "USER",
    .n_words_min = 1,
    .n_words_max = 1,
    .summary = "Logs in to a server by password, and keeps that for other commands",
    .more =
        "Asks for the password, and keeps what was made of it, with the fingerprint of the "
        "server's\n"
        "certificate, in ~/.config/moat-kv/token.yaml (or the file that MOAT_KV_TOKEN names), "
        "which\n"
        "nobody else can read. Remove it to log out. Without --ca the server's certificate is not\n"
        "checked this first time, but the server proves that it knows the password.\n",
    .options = options,
    .examples = {{"login ann --server tls://attic.example", "asks for the password"},
                 {"login ann --server tls://attic.example --ca tls.crt", "checks the certificate"},
                 {"login ann --server tls://192.0.2.7:27589 --password-file ~/.pw", "asks nobody"}},
    .exits = exits,
    .run = run,
};
