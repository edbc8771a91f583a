/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `moat-kvd cert`: makes the certificate with which this server's tls:// addresses begin.
 */
#ifndef MKV_DAEMON_CERT_H
#define MKV_DAEMON_CERT_H

#include "daemon/config.h"
#include "io/why.h"

/* Where a server looks for its own if none is named; @state is its directory. */
void mkv_cert_names(const char *state,
                    char ret_certificate[MKV_DAEMON_TEXT_MAX],
                    char ret_key[MKV_DAEMON_TEXT_MAX]);

/*
 * For a server that listens on tls://: both files are named, or neither and then they are where `moat-kvd cert`
 * puts them.  BAD_ARGUMENT: one of two is named, or there is none; @why has the mend.
 */
int mkv_cert_find(struct mkv_daemon_config *config, struct mkv_why *why) MKV_MUST_CHECK;

/* @argv[0] is "cert".  Prints what it did.  BAD_ARGUMENT, LOCKED, IO; text in @why. */
int mkv_cert_command(int argc, char **argv, struct mkv_why *why) MKV_MUST_CHECK;

#endif
