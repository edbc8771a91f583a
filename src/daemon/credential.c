/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/credential.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "daemon/config.h"
#include "daemon/keyring.h"
#include "io/broker.h"
#include "io/entropy.h"
#include "wire/credential.h"

#define LIFE_S  86400
#define SEQ_CUT 12 /* bits less: so drawn, it is no session's that there has been or will be */

static const char help[] =
    "usage: moat-kvd credential [USER] [OPTION]...\n"
    "\n"
    "Prints options for mosquitto_sub and mosquitto_pub, by which they reach this server's "
    "broker:\n"
    "\n"
    "  mosquitto_sub $(moat-kvd credential) -t 'moat/main/d/#' -F '%t %x'\n"
    "\n"
    "For a day, with all rights, or with those of USER. Who may list this machine's processes "
    "sees\n"
    "them while such a program runs.\n"
    "\n"
    "The options are those of the server: --name, --state, --broker, --config.\n";

/* Where the broker is: what a server that runs on these settings has. */
static void print_broker(const struct mkv_daemon_config *config)
{
    const struct mkv_address *address = &config->brokers[0];

    if (config->embedded) {
        (void)printf("--unix %s/" MKV_BROKER_SOCKET, config->state);
    } else if (address->scheme == MKV_ADDRESS_UNIX) {
        (void)printf("--unix %s", address->path);
    } else {
        (void)printf("-h %s -p %u", address->host, (unsigned)address->port);
    }
}

static int print_all(const struct mkv_daemon_config *config, const char *user, struct mkv_why *why)
{
    struct mkv_ring ring = {0};
    struct mkv_ring keys;
    char id[MKV_CLIENT_ID_MAX + 1];
    char password[MKV_PASSWORD_LEN];
    int error = mkv_keyring_read(config->state, &ring, why);

    if (error != 0) {
        return error;
    }
    mkv_ring_derive(&ring, MKV_RING_GUARD, &keys);
    (void)snprintf(id, sizeof(id), "%s:%" PRIu64 ":%" PRId64, config->name,
                   (mkv_entropy_u64() >> SEQ_CUT) | 1, (int64_t)time(NULL) + LIFE_S);
    mkv_credential_password(keys.keys[0], mkv_bytes_of(id), mkv_bytes_of(user), password);
    print_broker(config);
    (void)printf(" -i %s -u %s -P %.*s\n", id, user, (int)sizeof(password), password);
    mkv_ring_forget(&keys);
    mkv_ring_forget(&ring);
    return 0;
}

static int check_user(const char *user, struct mkv_why *why)
{
    if (mkv_user_valid(mkv_bytes_of(user))) {
        return 0;
    }
    return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                         "'%s' is no user name: that has 1 to %u characters of A-Z a-z 0-9 . _ @ -",
                         user, MKV_USER_MAX);
}

int mkv_credential_command(int argc, char **argv, struct mkv_why *why)
{
    struct mkv_daemon_config config;
    const char *user = MKV_USER_OWN;

    if (argc > 1 && argv[1][0] != '-') {
        user = argv[1];
        if (check_user(user, why) != 0) {
            return MKV_E_BAD_ARGUMENT;
        }
        argc--;
        argv++;
    }
    switch (mkv_config_read(argc, argv, &config, why)) {
    case MKV_CONFIG_RUN:
        mkv_entropy_init();
        return print_all(&config, user, why);
    case MKV_CONFIG_WRONG:
        return MKV_E_BAD_ARGUMENT;
    case MKV_CONFIG_HELP:
    case MKV_CONFIG_VERSION:
        break;
    }
    (void)fputs(help, stdout);
    return 0;
}
