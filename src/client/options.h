/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the application, or its environment, wants of a handle.
 */
#ifndef MKV_CLIENT_OPTIONS_H
#define MKV_CLIENT_OPTIONS_H

#include <moatkv/client.h>

#include "base/limits.h"
#include "client/identity.h"
#include "io/address.h"
#include "io/why.h"
#include "wire/svc.h"

#define MKV_SOFTWARE_MAX 200U

enum mkv_option {
    MKV_OPTION_SERVERS,
    MKV_OPTION_BROKER,
    MKV_OPTION_ROOT,
    MKV_OPTION_TOKEN,
    MKV_OPTION_COUNT,
};

struct moatkv_options {
    uint32_t n_servers;
    bool named; /* and not the default */
    char servers[MKV_ADDRESSES_MAX][MKV_ADDRESS_TEXT_MAX];
    char broker[MKV_ADDRESS_TEXT_MAX]; /* "": none */
    char root[MKV_ROOT_MAX + 1];
    char software[MKV_SOFTWARE_MAX + 1];
    struct mkv_identity_options login;
    bool bad[MKV_OPTION_COUNT]; /* the environment's value is, and nothing was set instead */
    struct mkv_why why;         /* of the last thing that was wrong */
};

/* The defaults; a bad value in the environment is noted in @bad and @why. */
void mkv_options_init(struct moatkv_options *options);

/* Whether a bad value of the environment stands unreplaced. */
bool mkv_options_bad(const struct moatkv_options *options);

#endif
