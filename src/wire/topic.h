/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MQTT topics (docs/protocol.md, section 3.4).
 *
 * The mapping of paths to topics is a bijection, and a topic counts only if encoding what it
 * decodes to gives the same bytes.  That is a security rule: a broker's access rules see topics,
 * so no entry may have two of them.
 */
#ifndef MKV_WIRE_TOPIC_H
#define MKV_WIRE_TOPIC_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"

enum mkv_profile {
    MKV_PROFILE_PLAIN = 0,
    MKV_PROFILE_PORTABLE = 1,
};

/* Whether @root can be a cluster's topic root: 1..256 bytes UTF-8, no wildcard, no control
 * character, not starting with '$' or '/', not ending in '/': 0 or BAD_TOPIC. */
int mkv_root_check(struct mkv_bytes root) MKV_MUST_CHECK;

/* Appends "<root>/d" and the path's levels.  TOO_LARGE beyond 65,535 bytes, NO_MEMORY. */
int mkv_topic_of_path(struct mkv_bytes root,
                      enum mkv_profile profile,
                      struct mkv_bytes key,
                      struct mkv_buf *topic) MKV_MUST_CHECK;

/* Appends the filter that matches the path and everything below it: the topic, "/#". */
int mkv_topic_filter(struct mkv_bytes root,
                     enum mkv_profile profile,
                     struct mkv_bytes key,
                     struct mkv_buf *filter) MKV_MUST_CHECK;

/*
 * Appends the key of the path whose topic this is.  BAD_TOPIC if it does not lie below
 * "<root>/d" or is not canonical, PATH_TOO_LONG, NO_MEMORY; @key is then as long as before.
 */
int mkv_topic_to_path(struct mkv_bytes root,
                      enum mkv_profile profile,
                      struct mkv_bytes topic,
                      struct mkv_buf *key) MKV_MUST_CHECK;

/* Appends "<root>/svc/<name>". */
int mkv_topic_of_svc(struct mkv_bytes root, const char *name, struct mkv_buf *topic) MKV_MUST_CHECK;

/* Whether @topic is "<root>/svc/<name>". */
bool mkv_topic_is_svc(struct mkv_bytes root, const char *name, struct mkv_bytes topic);

#endif
