/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topics as paths and back, by a filter and a path with the same wildcards.
 *
 *     tele/+/SENSOR  <->  dev.+.sensor          tele/attic/SENSOR     <->  dev.attic.sensor
 *     home/#         <->  copy.#                home/hall/lamp        <->  copy.hall.lamp
 *
 * What a '+' stands for in the filter, the '+' at the same position among those of the path stands
 * for; '#', at the end of both, is all that is left.  A level is a text element, so an element that
 * is no text, or has a character that no topic may have, has no topic.
 */
#ifndef MKV_GATE_PATTERN_H
#define MKV_GATE_PATTERN_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "notation/problem.h"

#define MKV_GATE_FILTER_MAX 1024U /* bytes of a filter and of a topic; longer: refused */
#define MKV_GATE_LEVELS_MAX 64U

/*
 * Whether @filter, an MQTT filter, and @path, the key of a path, can stand for each other.
 * BAD_TOPIC, BAD_PATH, with @problem.
 */
int mkv_gate_pattern_check(struct mkv_bytes filter,
                           struct mkv_bytes path,
                           struct mkv_problem *problem) MKV_MUST_CHECK;

/* Whether the text is UTF-8 without NUL and wildcards and can be published to. */
bool mkv_gate_topic_valid(struct mkv_bytes topic);

/* Both patterns have been checked from here on. */

bool mkv_gate_topic_matches(struct mkv_bytes filter, struct mkv_bytes topic);

/* Appends the key of a topic that matches.  PATH_TOO_LONG, BAD_UTF8, NO_MEMORY. */
int mkv_gate_topic_to_key(struct mkv_bytes filter,
                          struct mkv_bytes path,
                          struct mkv_bytes topic,
                          struct mkv_buf *key) MKV_MUST_CHECK;

/*
 * Whether @key is one of @path, or with @below is below one, where *ret_rest is what is left of it.
 */
bool mkv_gate_key_matches(struct mkv_bytes path,
                          struct mkv_bytes key,
                          bool below,
                          struct mkv_bytes *ret_rest);

/* Writes the topic of a key that matches, or lies below.  BAD_TOPIC: it has none; TOO_LARGE, NO_MEMORY. */
int mkv_gate_key_to_topic(struct mkv_bytes filter,
                          struct mkv_bytes path,
                          struct mkv_bytes key,
                          struct mkv_buf *topic) MKV_MUST_CHECK;

/* The elements of @path before its first wildcard. */
struct mkv_bytes mkv_gate_pattern_head(struct mkv_bytes path);

#endif
