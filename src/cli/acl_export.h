/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users and rules in the words of brokers that do not run the guard.
 *
 * No broker can say all of it.  What is written never allows more than the rules do; where it allows less, or
 * leaves something to the servers, a comment says so.
 */
#ifndef MKV_CLI_ACL_EXPORT_H
#define MKV_CLI_ACL_EXPORT_H

#include "base/error.h"
#include "cli/out.h"
#include "core/acl.h"
#include "wire/topic.h"

enum mkv_export_target {
    MKV_EXPORT_MOSQUITTO, /* acl_file: denials go first, wherever they stand */
    MKV_EXPORT_EMQX, /* acl.conf: the first line that matches decides; asked when one subscribes */
    MKV_EXPORT_NATS, /* permissions: denials go first */
};

/* BAD_ARGUMENT: there is no such word. */
int mkv_export_target_of(const char *word, enum mkv_export_target *ret_target) MKV_MUST_CHECK;

struct mkv_export {
    const struct mkv_acl *acl; /* borrowed */
    enum mkv_export_target target;
    struct mkv_bytes root; /* of the topics; borrowed */
    enum mkv_profile profile;
    struct mkv_out *out; /* borrowed */
};

/* NO_MEMORY, TOO_LARGE. */
int mkv_export_all(const struct mkv_export *to) MKV_MUST_CHECK;

#endif
