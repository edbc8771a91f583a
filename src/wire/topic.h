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

/* How text is escaped; a constant of the cluster.  The numbers travel in the session frame. */
enum mkv_profile {
    MKV_PROFILE_PLAIN = 0,
    MKV_PROFILE_PORTABLE = 1, /* avoids '.', '*' and ' ' as well, for brokers that need it */
};

/*
 * Whether @root can be a cluster's topic root: 1..256 bytes UTF-8, no wildcard, no control
 * character or noncharacter, not starting with '$' or '/', not ending in '/': 0 or BAD_TOPIC.  The
 * functions below do not ask again.
 */
int mkv_root_check(struct mkv_bytes root) MKV_MUST_CHECK;

/*
 * Whether such a root may be used under @profile: the portable one wants none of '.', '*', ' ',
 * which brokers like NATS and RabbitMQ would change or refuse.
 */
bool mkv_root_suits(struct mkv_bytes root, enum mkv_profile profile);

/*
 * Appends "<root>/d" and the levels of the path, whose @key is valid.  TOO_LARGE beyond 65,535
 * bytes, NO_MEMORY; @topic is then as long as before.
 */
int mkv_topic_of_path(struct mkv_bytes root,
                      enum mkv_profile profile,
                      struct mkv_bytes key,
                      struct mkv_buf *topic) MKV_MUST_CHECK;

/*
 * Appends the filter that matches the path and everything below it: the topic, "/#".  Errors as
 * above.
 */
int mkv_topic_filter(struct mkv_bytes root,
                     enum mkv_profile profile,
                     struct mkv_bytes key,
                     struct mkv_buf *filter) MKV_MUST_CHECK;

/*
 * Appends the key of the path whose topic this is to @key, which is a valid one, usually empty.
 * BAD_TOPIC if it does not lie at or below "<root>/d" or is not canonical, PATH_TOO_LONG,
 * NO_MEMORY; @key is then as long as before.
 */
int mkv_topic_to_path(struct mkv_bytes root,
                      enum mkv_profile profile,
                      struct mkv_bytes topic,
                      struct mkv_buf *key) MKV_MUST_CHECK;

/* Appends "<root>/svc/<name>".  Errors as of mkv_topic_of_path(). */
int mkv_topic_of_svc(struct mkv_bytes root, const char *name, struct mkv_buf *topic) MKV_MUST_CHECK;

/* Whether @topic is "<root>/d", or lies below it. */
bool mkv_topic_is_data(struct mkv_bytes root, struct mkv_bytes topic);

/* Whether @topic is that of [null], where the cluster keeps what is its own, or lies below it. */
bool mkv_topic_is_meta(struct mkv_bytes root, struct mkv_bytes topic);

/* Whether @topic is "<root>/svc/<name>". */
bool mkv_topic_is_svc(struct mkv_bytes root, const char *name, struct mkv_bytes topic);

#endif
