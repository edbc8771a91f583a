/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `moat-kvd credential`: what lets another program look at a guarded broker by hand.
 */
#ifndef MKV_DAEMON_CREDENTIAL_H
#define MKV_DAEMON_CREDENTIAL_H

#include "base/error.h"
#include "io/why.h"

/*
 * From the word "credential" on: prints options for mosquitto_sub and mosquitto_pub, good for a day.
 * BAD_ARGUMENT: wrong use; errors of mkv_keyring_read().
 */
int mkv_credential_command(int argc, char **argv, struct mkv_why *why) MKV_MUST_CHECK;

#endif
