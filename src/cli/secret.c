/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/secret.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/say.h"

/* Without its end of line.  False: there is none, or it is too long. */
static bool read_line(FILE *in, char out[MKV_SECRET_MAX])
{
    if (fgets(out, MKV_SECRET_MAX, in) == NULL) {
        return false;
    }

    size_t len = strcspn(out, "\r\n");
    bool whole = out[len] != '\0' || feof(in);

    out[len] = '\0';
    return whole && len > 0;
}

static enum mkv_exit from_file(const char *name, char ret_secret[MKV_SECRET_MAX])
{
    bool is_input = strcmp(name, "-") == 0;
    FILE *file = is_input ? stdin : fopen(name, "re");

    if (file == NULL) {
        return mkv_say(MKV_EXIT_BAD_DATA, "cannot read the password from '%s': %s", name,
                       strerror(errno));
    }

    bool found = read_line(file, ret_secret);

    if (!is_input) {
        (void)fclose(file);
    }
    return found ? MKV_EXIT_OK
                 : mkv_say(MKV_EXIT_BAD_DATA, "there is no password of 1 to %u bytes in '%s'",
                           MKV_SECRET_MAX - 1, name);
}

/* What is typed is not shown; the terminal is as before afterwards. */
static bool ask_once(FILE *terminal, const char *prompt, const char *user, char out[MKV_SECRET_MAX])
{
    struct termios before;
    struct termios silent;
    bool found;

    if (tcgetattr(fileno(terminal), &before) != 0) {
        return false;
    }
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    (void)fprintf(terminal, "%s of %s: ", prompt, user);
    (void)fflush(terminal);
    (void)tcsetattr(fileno(terminal), TCSAFLUSH, &silent);
    found = read_line(terminal, out);
    (void)tcsetattr(fileno(terminal), TCSAFLUSH, &before);
    (void)fprintf(terminal, "\n");
    return found;
}

static enum mkv_exit from_terminal(const char *user, bool twice, char ret_secret[MKV_SECRET_MAX])
{
    char again[MKV_SECRET_MAX] = "";
    FILE *terminal = fopen("/dev/tty", "r+e");

    if (terminal == NULL) {
        return mkv_say(MKV_EXIT_USAGE,
                       "there is no terminal to ask for the password: write it into a file and say "
                       "--password-file FILE");
    }

    bool found = ask_once(terminal, twice ? "New password" : "Password", user, ret_secret);
    bool same = !twice || (found && ask_once(terminal, "Again, the password", user, again) &&
                           strcmp(again, ret_secret) == 0);

    (void)fclose(terminal);
    sodium_memzero(again, sizeof(again));
    if (!found) {
        return mkv_say(MKV_EXIT_USAGE, "no password was given");
    }
    return same ? MKV_EXIT_OK : mkv_say(MKV_EXIT_USAGE, "these were two different passwords");
}

enum mkv_exit mkv_secret_ask(const char *file,
                             const char *user,
                             bool twice,
                             char ret_secret[MKV_SECRET_MAX])
{
    return file != NULL ? from_file(file, ret_secret) : from_terminal(user, twice, ret_secret);
}
