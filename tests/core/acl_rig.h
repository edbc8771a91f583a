/* SPDX-License-Identifier: Apache-2.0 */
/* One table of users and rules, which all of a program's cases use in turn; paths and filters are dotted. */
#ifndef MKV_TESTS_CORE_ACL_RIG_H
#define MKV_TESTS_CORE_ACL_RIG_H

#include "base/buf.h"
#include "core/acl.h"

#define R MKV_RIGHT_READ
#define W MKV_RIGHT_WRITE

extern struct mkv_acl *acl;

/* The key of a path or filter; @key has to be deinited. */
struct mkv_bytes key_of(const char *dotted, struct mkv_buf *key);
/* What the table says to one more. */
int try_user(const char *name, const char *const *roles, uint32_t n_roles);
int try_rule(const char *role, const char *filter, uint8_t allowed, uint8_t denied);

/* Once it is finished. */
bool may(const char *user, const char *path, enum mkv_right right);
/* What may be read below @path. */
enum mkv_acl_extent below(const char *user, const char *path);

#endif
