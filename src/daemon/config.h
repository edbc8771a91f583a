/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of moat-kvd: defaults, then the configuration file, then the command line.
 */
#ifndef MKV_DAEMON_CONFIG_H
#define MKV_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/limits.h"
#include "io/address.h"
#include "io/clock.h"
#include "io/why.h"
#include "wire/frame.h"
#include "wire/svc.h"
#include "wire/topic.h"

#define MKV_DAEMON_LISTEN_MAX  8U
#define MKV_DAEMON_BROKERS_MAX 8U
#define MKV_DAEMON_TEXT_MAX    256U

#define MKV_DAEMON_CONFIG_FILE                                                                     \
    "/etc/moat-kv/moat-kvd.yaml" /* read if there is one, and none is named */

struct mkv_daemon_config {
    char name[MKV_NAME_MAX + 1];
    char state[MKV_DAEMON_TEXT_MAX]; /* directory, absolute */
    bool embedded;                   /* run a broker of our own ... */
    uint16_t embedded_port;          /* ... on this port of 127.0.0.1; 0: any free one */
    bool broker_default;             /* nobody has named one */
    uint32_t n_brokers;              /* otherwise: addresses of another, in this order */
    struct mkv_address brokers[MKV_DAEMON_BROKERS_MAX];
    uint32_t n_listen;
    struct mkv_address listen[MKV_DAEMON_LISTEN_MAX];
    uint32_t n_advertise;
    struct mkv_address advertise[MKV_ADDRESSES_MAX]; /* where others reach it, beside these */
    mode_t socket_mode; /* of unix sockets that are listened on; 0: the listener's default */
    char tls_certificate[MKV_DAEMON_TEXT_MAX]; /* PEM files; the names are set if there is a ... */
    char tls_key[MKV_DAEMON_TEXT_MAX];         /* ... tls:// address among those listened on */
    char tls_ca[MKV_DAEMON_TEXT_MAX];          /* of clients; empty: they need no certificates */
    char root[MKV_DAEMON_TEXT_MAX];
    enum mkv_profile profile;
    uint32_t qos;       /* 0 or 1: of updates, and of what we subscribe to */
    enum mkv_mode mode; /* MKV_MODE_SERVERS, or one in which the broker retains */
    int64_t ack_window_ms;
    enum mkv_clock_trust clock;
    uint64_t store_max;             /* bytes; 0: the store's default */
    uint32_t links_per_address;     /* 0: the default of io/door.h */
    uint32_t handshakes_per_second; /* likewise */
    int64_t ping_ms;                /* how often servers tell each other that they are there */
    bool guard;                     /* credentials for the broker; the embedded one checks */
    char join_file
        [MKV_DAEMON_TEXT_MAX]; /* has a token of the cluster; "-": standard input; or empty */
    bool mac; /* updates must show by a MAC whose they are; the same at all servers of a cluster */
    bool accept_restored;
    bool verbose;
};

enum mkv_config_verdict {
    MKV_CONFIG_RUN,
    MKV_CONFIG_HELP,    /* --help: print it, end well */
    MKV_CONFIG_VERSION, /* --version: likewise */
    MKV_CONFIG_WRONG,   /* @why says what is wrong and how to mend it */
};

enum mkv_config_verdict mkv_config_read(int argc,
                                        char **argv,
                                        struct mkv_daemon_config *ret_config,
                                        struct mkv_why *why);

/* The text of --help. */
extern const char mkv_config_help[];

#endif
