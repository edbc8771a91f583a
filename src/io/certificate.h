/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate that a server makes for itself, for those who have no authority of their own.
 */
#ifndef MKV_IO_CERTIFICATE_H
#define MKV_IO_CERTIFICATE_H

#include <stdint.h>

#include "base/error.h"
#include "io/tls.h"
#include "io/why.h"

#define MKV_CERTIFICATE_HOSTS_MAX 16U
#define MKV_CERTIFICATE_DAYS      3650

struct mkv_certificate_options {
    const char *name;                             /* its common name; 1 to 64 bytes */
    uint32_t n_hosts;                             /* at most MKV_CERTIFICATE_HOSTS_MAX */
    const char *hosts[MKV_CERTIFICATE_HOSTS_MAX]; /* names and addresses that it is for */
};

/*
 * Makes a key (P-256) and a certificate that it signs itself, and writes both as PEM: the key's file
 * with mode 0600.  Files that are there are left alone: LOCKED.  BAD_ARGUMENT (a host that is none),
 * IO, NO_MEMORY; text in @why.
 */
int mkv_certificate_make(const struct mkv_certificate_options *options,
                         const char *certificate,
                         const char *key,
                         struct mkv_why *why) MKV_MUST_CHECK;

/* The fingerprint of the first certificate in a file.  IO, BAD_ARGUMENT. */
int mkv_certificate_fingerprint(const char *certificate,
                                uint8_t ret_print[MKV_TLS_FINGERPRINT_LEN],
                                struct mkv_why *why) MKV_MUST_CHECK;

#endif
