/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what where (docs/protocol.md, section 13): users have roles, a role is a set of
 * rules, and a rule says which rights hold on the paths that its filter matches.
 *
 *     role guest    #                 re      reads and lists everything
 *     role guest    cellar.#          -re     but for the cellar
 *     role nurse    ward.+.pulse      w       writes one value of each child of ward
 *
 * Of the rules that match a path and name the right, the most specific one decides; without one the
 * right is denied.  Filters are compared element by element from the left: the element itself,
 * then `+`, then the end, then `#`.  So two rules are equally specific on a path only if they have the
 * same filter, and then a denial decides.
 *
 * The table is made once from what users and rules there are, and then only asked; whoever wants it
 * changed makes another.  A question costs some binary searches for each element of the path.
 *
 * It knows nothing of those who may do everything anyway (servers, the owner of a server): that is
 * the caller's business.  The empty name is nobody's here.
 */
#ifndef MKV_CORE_ACL_H
#define MKV_CORE_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

#define MKV_ACL_NAME_MAX       64U    /* bytes of the name of a user or role */
#define MKV_ACL_USERS_MAX      4096U  /* more: those are nobody */
#define MKV_ACL_ROLES_MAX      1024U  /* with rules; more, or ... */
#define MKV_ACL_RULES_MAX      16384U /* ... more: see mkv_acl_add_rule() */
#define MKV_ACL_USER_ROLES_MAX 16U    /* more: no such user */

enum mkv_right {
    MKV_RIGHT_READ = 1,    /* r: read and watch */
    MKV_RIGHT_WRITE = 2,   /* w: change */
    MKV_RIGHT_CREATE = 4,  /* c: set what is not there */
    MKV_RIGHT_DELETE = 8,  /* d */
    MKV_RIGHT_LIST = 16,   /* e: see which children there are */
    MKV_RIGHT_ADMIN = 32,  /* a: change what begins with null */
    MKV_RIGHTS_ALL = 0x3f, /* their sum */
};

/* All of it borrowed. */
struct mkv_acl_user {
    struct mkv_bytes name;
    uint32_t n_roles;
    struct mkv_bytes roles[MKV_ACL_USER_ROLES_MAX];
    bool has_uid; /* connections of this Unix user id to a unix socket are this user's */
    uint32_t uid;
    bool off; /* has no rights for the time being */
};

/* All of it borrowed.  A right that is both allowed and denied is denied. */
struct mkv_acl_rule {
    struct mkv_bytes role;
    struct mkv_bytes filter; /* an ordered key (wire/path.h); `+` and `#` in it are wildcards */
    uint8_t allowed;         /* sums of rights; what is in neither is left to other rules */
    uint8_t denied;
};

/* 1 to 64 bytes of A-Z a-z 0-9 . _ @ - */
bool mkv_acl_name_valid(struct mkv_bytes name);

/*
 * The text of a rule: letters of the rights allowed, then optionally `-` and letters of those denied.  As
 * MoaT-KV 2 has them, `n` is read as `c`, and `x` (not denied) as nothing.  MALFORMED: anything
 * else, also what names no right at all; then the rule has to deny all of them.
 */
int mkv_acl_rights_parse(struct mkv_bytes text,
                         uint8_t *ret_allowed,
                         uint8_t *ret_denied) MKV_MUST_CHECK;

#define MKV_ACL_RIGHTS_TEXT 14U /* with the NUL at its end */

/* The inverse: the letters in the order rwcdea. */
void mkv_acl_rights_format(uint8_t allowed, uint8_t denied, char ret_text[MKV_ACL_RIGHTS_TEXT]);

/* --- Making it ---------------------------------------------------------------------------- */

struct mkv_acl;

/* NO_MEMORY. */
int mkv_acl_new(struct mkv_acl **ret_acl) MKV_MUST_CHECK;

/* NULL is fine. */
void mkv_acl_free(struct mkv_acl *acl);

/*
 * Both copy what they are given, and come before mkv_acl_finish(), in any order.  BAD_NAME,
 * MALFORMED (more roles than a user may have; rights that are none), BAD_PATH, PATH_TOO_LONG (the
 * filter), NO_MEMORY: not added.  TOO_MANY: not added, and counted as cut.  If it is a rule, its role and
 * all with greater names are cut: they have no rules, and their users are off, since nobody knows what
 * the missing rules would have denied.
 *
 * A `#` that is not the last element of its filter ends it, and then the rule denies everything: what its
 * author wanted nobody knows.
 */
int mkv_acl_add_user(struct mkv_acl *acl, const struct mkv_acl_user *user) MKV_MUST_CHECK;
int mkv_acl_add_rule(struct mkv_acl *acl, const struct mkv_acl_rule *rule) MKV_MUST_CHECK;

/*
 * Makes it ready to be asked.  Several rules of one role with the same filter count all.  DUPLICATE_KEY:
 * two users of one name; NO_MEMORY.  After an error it is good for mkv_acl_free() alone.
 */
int mkv_acl_finish(struct mkv_acl *acl) MKV_MUST_CHECK;

/* --- Asking it ---------------------------------------------------------------------------- */

/* The user, valid as long as @acl; NULL if there is none. */
const struct mkv_acl_user *mkv_acl_user(const struct mkv_acl *acl, struct mkv_bytes name);

/* The only user who has this Unix user id; NULL also if several claim it. */
const struct mkv_acl_user *mkv_acl_user_of_uid(const struct mkv_acl *acl, uint32_t uid);

/*
 * Whether the user of that name may do that on the path @key.  *ret_rule (NULL is fine) is the rule that
 * decided, valid as long as @acl, its role empty if there was none: then the right is denied, as it is to
 * everybody who is no user, or off.
 */
bool mkv_acl_decide(const struct mkv_acl *acl,
                    struct mkv_bytes user,
                    struct mkv_bytes key,
                    enum mkv_right right,
                    struct mkv_acl_rule *ret_rule);

enum mkv_acl_extent {
    MKV_ACL_NONE, /* denied on @key and on everything below, whatever may be there */
    MKV_ACL_SOME, /* it depends; or that could not be told in short */
    MKV_ACL_ALL,  /* allowed on all of it */
};

/* The same for a path and everything below it. */
enum mkv_acl_extent mkv_acl_below(const struct mkv_acl *acl,
                                  struct mkv_bytes user,
                                  struct mkv_bytes key,
                                  enum mkv_right right);

/*
 * All that is in it: users by name; rules by filter, those of one filter by role.  Valid as long as @acl.
 * Users who have lost their rights since the table is not whole are off.
 */
size_t mkv_acl_n_users(const struct mkv_acl *acl);
size_t mkv_acl_n_rules(const struct mkv_acl *acl);
const struct mkv_acl_user *mkv_acl_user_at(const struct mkv_acl *acl, size_t i);
const struct mkv_acl_rule *mkv_acl_rule_at(const struct mkv_acl *acl, size_t i);

/* How many users and rules found no place. */
size_t mkv_acl_n_cut(const struct mkv_acl *acl);

#endif
