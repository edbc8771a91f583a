/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/cert.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/certificate.h"
#include "io/home.h"

static const char help[] =
    "usage: moat-kvd cert [--state DIR] [--host HOST]...\n"
    "\n"
    "Makes a key and a certificate for tls:// addresses in the server's state directory. The\n"
    "certificate is signed by itself: give a copy of 'tls.crt' to the clients (--ca), or let them\n"
    "learn it by 'moat-kv login'. Files that are there are left alone.\n"
    "\n"
    "  --state DIR   the server's state directory (default: as for the server)\n"
    "  --host HOST   a name or IP address by which clients reach this machine; may be given up to\n"
    "                16 times (default: the machine's name)\n";

struct request {
    bool help;
    char state[MKV_DAEMON_TEXT_MAX];
    struct mkv_certificate_options options;
};

void mkv_cert_names(const char *state,
                    char ret_certificate[MKV_DAEMON_TEXT_MAX],
                    char ret_key[MKV_DAEMON_TEXT_MAX])
{
    int len = (int)(MKV_DAEMON_TEXT_MAX - sizeof("/tls.crt"));

    (void)snprintf(ret_certificate, MKV_DAEMON_TEXT_MAX, "%.*s/tls.crt", len, state);
    (void)snprintf(ret_key, MKV_DAEMON_TEXT_MAX, "%.*s/tls.key", len, state);
}

static int take_option(struct request *request, int code, struct mkv_why *why)
{
    switch (code) {
    case 'h':
        request->help = true;
        return 0;
    case 's':
        if (strlen(optarg) >= sizeof(request->state) - sizeof("/tls.crt")) {
            return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "the state directory's name is too long");
        }
        (void)snprintf(request->state, sizeof(request->state), "%s", optarg);
        return 0;
    case 'H':
        if (request->options.n_hosts == MKV_CERTIFICATE_HOSTS_MAX) {
            return mkv_why_error(why, MKV_E_BAD_ARGUMENT, "at most %u hosts",
                                 MKV_CERTIFICATE_HOSTS_MAX);
        }
        request->options.hosts[request->options.n_hosts++] = optarg;
        return 0;
    default:
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "cert: unknown option, or one without its value (see moat-kvd cert "
                             "--help)");
    }
}

static int read_arguments(int argc, char **argv, struct request *request, struct mkv_why *why)
{
    static const struct option options[] = {{"state", required_argument, NULL, 's'},
                                            {"host", required_argument, NULL, 'H'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int error = 0;
    int code;

    optind = 0;
    opterr = 0;
    while (error == 0 && (code = getopt_long(argc, argv, "", options, NULL)) != -1) {
        error = take_option(request, code, why);
    }
    if (error == 0 && optind < argc) {
        error =
            mkv_why_error(why, MKV_E_BAD_ARGUMENT, "cert: '%s' is not expected here", argv[optind]);
    }
    if (error == 0 && request->state[0] == '\0') {
        error = mkv_home_state(request->state, sizeof(request->state), why);
    }
    return error;
}

static void print_fingerprint(const char *certificate)
{
    uint8_t print[MKV_TLS_FINGERPRINT_LEN];

    if (mkv_certificate_fingerprint(certificate, print, NULL) != 0) {
        return;
    }
    (void)printf("SHA-256 ");
    for (unsigned i = 0; i < sizeof(print); i++) {
        (void)printf("%02x", print[i]);
    }
    (void)printf("\n");
}

int mkv_cert_command(int argc, char **argv, struct mkv_why *why)
{
    static char host[256];
    char certificate[MKV_DAEMON_TEXT_MAX];
    char key[MKV_DAEMON_TEXT_MAX];
    struct request request = {.options = {.name = "moat-kv"}};
    int error = read_arguments(argc, argv, &request, why);

    if (error != 0 || request.help) {
        (void)fputs(error == 0 ? help : "", stdout);
        return error;
    }
    if (request.options.n_hosts == 0) {
        (void)gethostname(host, sizeof(host) - 1);
        request.options.hosts[request.options.n_hosts++] = host;
    }
    if (mkdir(request.state, 0700) != 0 && errno != EEXIST) {
        return mkv_why_error(why, MKV_E_IO, "cannot make the directory '%s': %s", request.state,
                             strerror(errno));
    }
    mkv_cert_names(request.state, certificate, key);
    error = mkv_certificate_make(&request.options, certificate, key, why);
    if (error == 0) {
        (void)printf("%s\n%s\n", certificate, key);
        print_fingerprint(certificate);
    }
    return error;
}

static bool listens_on_tls(const struct mkv_daemon_config *config)
{
    for (uint32_t i = 0; i < config->n_listen; i++) {
        if (config->listen[i].scheme == MKV_ADDRESS_TLS) {
            return true;
        }
    }
    return false;
}

int mkv_cert_find(struct mkv_daemon_config *config, struct mkv_why *why)
{
    if ((config->tls_certificate[0] == '\0') != (config->tls_key[0] == '\0')) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "--tls-cert and --tls-key belong together: name both files");
    }
    if (!listens_on_tls(config)) {
        return 0;
    }
    if (config->tls_certificate[0] == '\0') {
        mkv_cert_names(config->state, config->tls_certificate, config->tls_key);
    }
    if (access(config->tls_certificate, R_OK) != 0) {
        return mkv_why_error(why, MKV_E_BAD_ARGUMENT,
                             "there is no certificate '%s' for tls://: 'moat-kvd cert --state %s "
                             "--host NAME' makes one, or name yours by --tls-cert and --tls-key",
                             config->tls_certificate, config->state);
    }
    return 0;
}
