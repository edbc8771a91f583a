/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/pattern.h"

#include "wire/key.h"
#include "wire/path.h"
#include "wire/utf8.h"

enum wildcard {
    NONE,
    ONE,
    REST,
};

/* --- Parts ------------------------------------------------------------------------------------- */

/* Cuts the first level off; *rest gets a NULL when that was the last one. */
static struct mkv_bytes cut_level(struct mkv_bytes *rest)
{
    const uint8_t *slash = rest->len > 0 ? memchr(rest->at, '/', rest->len) : NULL;
    struct mkv_bytes level = *rest;

    if (slash == NULL) {
        *rest = (struct mkv_bytes){0};
        return level;
    }
    level.len = (size_t)(slash - rest->at);
    *rest = mkv_bytes_after(*rest, level.len + 1);
    return level;
}

static enum wildcard of_level(struct mkv_bytes level)
{
    if (level.len != 1) {
        return NONE;
    }
    return level.at[0] == '+' ? ONE : level.at[0] == '#' ? REST : NONE;
}

static enum wildcard of_element(struct mkv_bytes encoding)
{
    static const uint8_t one[] = {0x60, '+', 0x00, 0x01};
    static const uint8_t rest[] = {0x60, '#', 0x00, 0x01};

    if (mkv_bytes_equal(encoding, mkv_bytes(one, sizeof(one)))) {
        return ONE;
    }
    return mkv_bytes_equal(encoding, mkv_bytes(rest, sizeof(rest))) ? REST : NONE;
}

static bool has_wildcard(struct mkv_bytes text)
{
    return text.len > 0 &&
           (memchr(text.at, '+', text.len) != NULL || memchr(text.at, '#', text.len) != NULL);
}

bool mkv_gate_topic_valid(struct mkv_bytes topic)
{
    return topic.len > 0 && topic.len <= MKV_GATE_FILTER_MAX && mkv_utf8_valid(topic) &&
           memchr(topic.at, 0, topic.len) == NULL && !has_wildcard(topic);
}

/* --- Checking ---------------------------------------------------------------------------------- */

struct counts {
    unsigned n_ones;
    bool rest;
};

static int check_filter(struct mkv_bytes filter, struct counts *counts, struct mkv_problem *problem)
{
    struct mkv_bytes rest = filter;
    unsigned n = 0;

    if (filter.len == 0 || filter.len > MKV_GATE_FILTER_MAX || !mkv_utf8_valid(filter) ||
        memchr(filter.at, 0, filter.len) != NULL || filter.at[0] == '$') {
        return mkv_problem_set(problem, MKV_E_BAD_TOPIC,
                               "topic: 1 to %u bytes of text are wanted, not beginning with '$'",
                               MKV_GATE_FILTER_MAX);
    }
    while (rest.at != NULL) {
        struct mkv_bytes level = cut_level(&rest);
        enum wildcard wildcard = of_level(level);

        counts->n_ones += wildcard == ONE;
        counts->rest = wildcard == REST;
        if ((wildcard == NONE && has_wildcard(level)) || (counts->rest && rest.at != NULL)) {
            return mkv_problem_set(problem, MKV_E_BAD_TOPIC,
                                   "topic: '+' stands for a whole level, '#' for all at the end");
        }
        if (++n > MKV_GATE_LEVELS_MAX) {
            return mkv_problem_set(problem, MKV_E_BAD_TOPIC, "topic: more than %u levels",
                                   MKV_GATE_LEVELS_MAX);
        }
    }
    return 0;
}

static int check_path(struct mkv_bytes path, struct counts *counts, struct mkv_problem *problem)
{
    struct mkv_bytes rest = path;

    if (path.len > 0 && path.at[0] == 0x10) {
        return mkv_problem_set(problem, MKV_E_BAD_PATH,
                               "path: what begins with null is not for plain topics");
    }
    while (rest.len > 0) {
        enum wildcard wildcard = of_element(mkv_path_cut(&rest));

        counts->n_ones += wildcard == ONE;
        counts->rest = wildcard == REST;
        if (counts->rest && rest.len > 0) {
            return mkv_problem_set(problem, MKV_E_BAD_PATH, "path: '#' stands at the end");
        }
    }
    return 0;
}

int mkv_gate_pattern_check(struct mkv_bytes filter,
                           struct mkv_bytes path,
                           struct mkv_problem *problem)
{
    struct counts topics = {0};
    struct counts paths = {0};
    int error = check_filter(filter, &topics, problem);

    if (error == 0) {
        error = check_path(path, &paths, problem);
    }
    if (error == 0 && (topics.n_ones != paths.n_ones || topics.rest != paths.rest)) {
        error = mkv_problem_set(problem, MKV_E_BAD_PATH,
                                "topic and path have different wildcards: as many '+', and '#' in "
                                "both or in none");
    }
    return error;
}

struct mkv_bytes mkv_gate_pattern_head(struct mkv_bytes path)
{
    struct mkv_bytes rest = path;
    size_t n = 0;

    while (rest.len > 0) {
        struct mkv_bytes element = mkv_path_cut(&rest);

        if (of_element(element) != NONE) {
            break;
        }
        n += element.len;
    }
    return mkv_bytes(path.at, n);
}

/* --- Topic to path ----------------------------------------------------------------------------- */

/* What the wildcards of a pattern stand for: levels, or encodings of elements. */
struct caught {
    struct mkv_bytes ones[MKV_GATE_LEVELS_MAX];
    unsigned n;
    struct mkv_bytes rest; /* of a topic, a NULL if nothing is left */
};

static bool catch_topic(struct mkv_bytes filter, struct mkv_bytes topic, struct caught *caught)
{
    caught->n = 0;
    caught->rest = (struct mkv_bytes){0};
    if (topic.len > 0 && topic.at[0] == '$') {
        return false;
    }
    while (filter.at != NULL) {
        struct mkv_bytes wanted = cut_level(&filter);
        enum wildcard wildcard = of_level(wanted);
        struct mkv_bytes level;

        if (wildcard == REST) {
            caught->rest = topic;
            return true;
        }
        if (topic.at == NULL) {
            return false;
        }
        level = cut_level(&topic);
        if (wildcard == ONE) {
            caught->ones[caught->n++] = level;
        } else if (!mkv_bytes_equal(level, wanted)) {
            return false;
        }
    }
    return topic.at == NULL;
}

bool mkv_gate_topic_matches(struct mkv_bytes filter, struct mkv_bytes topic)
{
    struct caught caught;

    return topic.len > 0 && catch_topic(filter, topic, &caught);
}

static int append_text(struct mkv_buf *key, struct mkv_bytes text)
{
    const struct mkv_element element = {.kind = MKV_ELEMENT_TEXT, .text = text};

    return mkv_path_append(key, &element);
}

static int append_rest(struct mkv_buf *key, struct mkv_bytes rest)
{
    int error = 0;

    while (rest.at != NULL && error == 0) {
        error = append_text(key, cut_level(&rest));
    }
    return error;
}

static int append_encoding(struct mkv_buf *key, struct mkv_bytes encoding)
{
    uint8_t room[MKV_PATH_KEY_MAX];
    struct mkv_element element = mkv_key_unpack(encoding, room);

    return mkv_path_append(key, &element);
}

int mkv_gate_topic_to_key(struct mkv_bytes filter,
                          struct mkv_bytes path,
                          struct mkv_bytes topic,
                          struct mkv_buf *key)
{
    size_t start = key->len;
    struct caught caught;
    unsigned n = 0;
    int error = catch_topic(filter, topic, &caught) ? 0 : MKV_E_BAD_TOPIC;

    while (path.len > 0 && error == 0) {
        struct mkv_bytes element = mkv_path_cut(&path);

        switch (of_element(element)) {
        case ONE:
            error = append_text(key, caught.ones[n++]);
            break;
        case REST:
            error = append_rest(key, caught.rest);
            break;
        case NONE:
        default:
            error = append_encoding(key, element);
            break;
        }
    }
    if (error != 0) {
        mkv_buf_truncate(key, start);
    }
    return error;
}

/* --- Path to topic ----------------------------------------------------------------------------- */

static bool catch_key(struct mkv_bytes path,
                      struct mkv_bytes key,
                      struct caught *caught,
                      struct mkv_bytes *ret_below)
{
    caught->n = 0;
    caught->rest = (struct mkv_bytes){0};
    *ret_below = (struct mkv_bytes){0};
    while (path.len > 0) {
        struct mkv_bytes wanted = mkv_path_cut(&path);
        enum wildcard wildcard = of_element(wanted);
        struct mkv_bytes element;

        if (wildcard == REST) {
            caught->rest = key;
            return true;
        }
        if (key.len == 0) {
            return false;
        }
        element = mkv_path_cut(&key);
        if (wildcard == ONE) {
            caught->ones[caught->n++] = element;
        } else if (!mkv_bytes_equal(element, wanted)) {
            return false;
        }
    }
    *ret_below = key;
    return true;
}

bool mkv_gate_key_matches(struct mkv_bytes path,
                          struct mkv_bytes key,
                          bool below,
                          struct mkv_bytes *ret_rest)
{
    struct caught caught;
    struct mkv_bytes rest;

    if ((key.len > 0 && key.at[0] == 0x10) || !catch_key(path, key, &caught, &rest)) {
        return false;
    }
    *ret_rest = rest;
    return below || rest.len == 0;
}

struct topic_writer {
    struct mkv_buf *topic;
    bool begun; /* a level, perhaps an empty one, is there */
};

static int append_level(struct topic_writer *w, struct mkv_bytes level)
{
    int error = w->begun ? mkv_buf_append_u8(w->topic, '/') : 0;

    w->begun = true;
    return error != 0 ? error : mkv_buf_append(w->topic, level);
}

static int append_element(struct topic_writer *w, struct mkv_bytes encoding)
{
    uint8_t room[MKV_PATH_KEY_MAX];
    struct mkv_element element = mkv_key_unpack(encoding, room);

    if (element.kind != MKV_ELEMENT_TEXT || has_wildcard(element.text) ||
        (element.text.len > 0 && (memchr(element.text.at, '/', element.text.len) != NULL ||
                                  memchr(element.text.at, 0, element.text.len) != NULL))) {
        return MKV_E_BAD_TOPIC;
    }
    return append_level(w, element.text);
}

static int build_topic(struct mkv_bytes filter, const struct caught *caught, struct topic_writer *w)
{
    struct mkv_bytes rest = caught->rest;
    unsigned n = 0;
    int error = 0;

    while (filter.at != NULL && error == 0) {
        struct mkv_bytes level = cut_level(&filter);

        switch (of_level(level)) {
        case ONE:
            error = append_element(w, caught->ones[n++]);
            break;
        case REST:
            while (rest.len > 0 && error == 0) {
                error = append_element(w, mkv_path_cut(&rest));
            }
            break;
        case NONE:
        default:
            error = append_level(w, level);
            break;
        }
    }
    return error;
}

int mkv_gate_key_to_topic(struct mkv_bytes filter,
                          struct mkv_bytes path,
                          struct mkv_bytes key,
                          struct mkv_buf *topic)
{
    struct topic_writer w = {.topic = topic};
    struct caught caught;
    struct mkv_bytes below;
    int error = catch_key(path, key, &caught, &below) ? 0 : MKV_E_BAD_TOPIC;

    mkv_buf_clear(topic);
    if (error == 0) {
        error = build_topic(filter, &caught, &w);
    }
    if (error == 0 && !mkv_gate_topic_valid(mkv_buf_bytes(topic))) {
        error = MKV_E_BAD_TOPIC;
    }
    return error;
}
