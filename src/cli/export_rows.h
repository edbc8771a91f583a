/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one user may do, as far as a broker understands it: receive, and send.
 */
#ifndef MKV_CLI_EXPORT_ROWS_H
#define MKV_CLI_EXPORT_ROWS_H

#include "base/error.h"
#include "core/acl.h"

enum mkv_export_say {
    MKV_EXPORT_NOTHING,
    MKV_EXPORT_ALLOW,
    MKV_EXPORT_DENY,
};

enum mkv_export_way {
    MKV_EXPORT_SEND,    /* w, c or d; below null a */
    MKV_EXPORT_RECEIVE, /* r */
};

/* A filter, and what all rules of the user with this filter say together. */
struct mkv_export_row {
    struct mkv_bytes filter; /* borrowed from the table */
    enum mkv_export_say say[2];
    bool partly; /* of w, c and d some are allowed here and others denied */
};

struct mkv_export_rows {
    struct mkv_export_row *at; /* owned: the most specific ones first */
    size_t n;
};

/* NO_MEMORY. */
int mkv_export_rows_make(const struct mkv_acl *acl,
                         const struct mkv_acl_user *user,
                         struct mkv_export_rows *ret_rows) MKV_MUST_CHECK;
void mkv_export_rows_free(struct mkv_export_rows *rows);

/* Whether both filters match some path. */
bool mkv_filters_meet(struct mkv_bytes a, struct mkv_bytes b);

/* Whether the first element is null, or a wildcard. */
bool mkv_filter_is_meta(struct mkv_bytes filter);
bool mkv_filter_is_wild(struct mkv_bytes filter);

/* A row but @row that denies and meets it; one that is more specific if @before.  NULL: there is none. */
const struct mkv_export_row *mkv_export_denial(const struct mkv_export_rows *rows,
                                               const struct mkv_export_row *row,
                                               enum mkv_export_way way,
                                               bool before);

#endif
