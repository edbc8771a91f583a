/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "daemon/cert.h"
#include "daemon/config.h"
#include "daemon/credential.h"
#include "daemon/daemon.h"
#include "daemon/keyring.h"

/* Exit codes of the command line contract (docs/architecture.md). */
enum {
    EXIT_FINE = 0,
    EXIT_WRONG_USE = 2,
    EXIT_CANNOT_RUN = 3,
};

static int run_command(int (*command)(int argc, char **argv, struct mkv_why *why),
                       int argc,
                       char **argv)
{
    struct mkv_why why = {{0}};
    int error = command(argc, argv, &why);

    if (error == 0) {
        return EXIT_FINE;
    }
    (void)fprintf(stderr, "moat-kvd: %s\n", why.text);
    return error == MKV_E_BAD_ARGUMENT ? EXIT_WRONG_USE : EXIT_CANNOT_RUN;
}

int main(int argc, char **argv)
{
    struct mkv_daemon_config config;
    struct mkv_why why = {{0}};

    if (argc > 1 && strcmp(argv[1], "cert") == 0) {
        return run_command(mkv_cert_command, argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "key") == 0) {
        return run_command(mkv_keyring_command, argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "credential") == 0) {
        return run_command(mkv_credential_command, argc - 1, argv + 1);
    }
    switch (mkv_config_read(argc, argv, &config, &why)) {
    case MKV_CONFIG_HELP:
        (void)fputs(mkv_config_help, stdout);
        return EXIT_FINE;
    case MKV_CONFIG_VERSION:
        (void)puts(MKV_DAEMON_SOFTWARE);
        return EXIT_FINE;
    case MKV_CONFIG_WRONG:
        (void)fprintf(stderr, "moat-kvd: %s\n", why.text);
        return EXIT_WRONG_USE;
    case MKV_CONFIG_RUN:
        break;
    }
    if (mkv_daemon_run(&config, &why) != 0) {
        (void)fprintf(stderr, "moat-kvd: %s\n", why.text);
        return EXIT_CANNOT_RUN;
    }
    return EXIT_FINE;
}
