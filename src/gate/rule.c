/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/rule.h"

#include <string.h>

#include "gate/pattern.h"
#include "wire/cbor.h"
#include "wire/path.h"

#define KEYS_MAX 16U

bool mkv_gate_name_valid(struct mkv_bytes name)
{
    static const char others[] = "._-";
    bool valid = name.len > 0 && name.len <= MKV_GATE_NAME_MAX;

    for (size_t i = 0; i < name.len && valid; i++) {
        uint8_t c = name.at[i];

        valid = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                (c != 0 && strchr(others, c) != NULL);
    }
    return valid;
}

bool mkv_gate_rule_reads(const struct mkv_gate_rule *rule)
{
    return (rule->dir & MKV_GATE_IN) != 0;
}

bool mkv_gate_rule_writes(const struct mkv_gate_rule *rule)
{
    return (rule->dir & MKV_GATE_OUT) != 0;
}

bool mkv_gate_rule_echoes(const struct mkv_gate_rule *rule)
{
    return rule->dir == MKV_GATE_BOTH && rule->set.len == 0;
}

struct mkv_bytes mkv_gate_rule_target(const struct mkv_gate_rule *rule)
{
    return rule->set.len > 0 ? rule->set : rule->topic;
}

/* --- One key of the map -------------------------------------------------------------------------- */

/* What is read before it can be used. */
struct parts {
    struct mkv_bytes fields; /* raw */
    bool has_topic;
    bool has_path;
    bool has_dir;
    bool has_codec;
};

static int refuse(struct mkv_problem *problem, const char *what)
{
    return mkv_problem_set(problem, MKV_E_BAD_ARGUMENT, "%s", what);
}

static int read_text(struct mkv_bytes item, struct mkv_bytes *ret)
{
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, item);
    *ret = mkv_cbor_read_text(&r);
    return mkv_cbor_finish(&r);
}

static int read_bool(const char *what,
                     struct mkv_bytes item,
                     bool *ret,
                     struct mkv_problem *problem)
{
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, item);
    *ret = mkv_cbor_read_bool(&r);
    return mkv_cbor_finish(&r) == 0
               ? 0
               : mkv_problem_set(problem, MKV_E_BAD_ARGUMENT, "%s: true or false is wanted", what);
}

static int read_dir(struct mkv_gate_rule *rule, struct mkv_bytes item, struct mkv_problem *problem)
{
    static const char *const names[] = {"in", "out", "both"};
    struct mkv_bytes text;

    if (read_text(item, &text) == 0) {
        for (unsigned i = 0; i < 3; i++) {
            if (mkv_bytes_equal(text, mkv_bytes_of(names[i]))) {
                rule->dir = (enum mkv_gate_dir)(i + 1);
                return 0;
            }
        }
    }
    return refuse(problem, "dir: in, out or both is wanted");
}

static int read_codec(struct mkv_gate_rule *rule,
                      struct mkv_bytes item,
                      struct mkv_problem *problem)
{
    struct mkv_bytes text;

    return read_text(item, &text) == 0 && mkv_gate_codec_of(text, &rule->codec) == 0
               ? 0
               : refuse(problem, "codec: json, text, number, bool, cbor or raw is wanted");
}

static int read_qos(struct mkv_gate_rule *rule, struct mkv_bytes item, struct mkv_problem *problem)
{
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, item);
    rule->qos = (int)mkv_cbor_read_uint_below(&r, 2);
    return mkv_cbor_finish(&r) == 0 ? 0 : refuse(problem, "qos: 0 or 1 is wanted");
}

static int read_topic(const char *what,
                      struct mkv_bytes item,
                      struct mkv_bytes *ret,
                      struct mkv_problem *problem)
{
    return read_text(item, ret) == 0 && ret->len > 0
               ? 0
               : mkv_problem_set(problem, MKV_E_BAD_ARGUMENT, "%s: a text is wanted", what);
}

static int read_path(struct mkv_gate_rule *rule, struct mkv_bytes item, struct mkv_problem *problem)
{
    struct mkv_bytes text;

    if (read_text(item, &text) != 0) {
        return refuse(problem, "path: a text like dev.+.state is wanted");
    }

    mkv_buf_clear(&rule->path);

    int error = mkv_path_from_dotted(text, &rule->path);

    return error == 0 || error == MKV_E_NO_MEMORY
               ? error
               : mkv_problem_set(problem, error, "path: %s", mkv_error_text(error));
}

static bool is(struct mkv_bytes key, const char *name)
{
    return mkv_bytes_equal(key, mkv_bytes_of(name));
}

/* {topic: homeassistant/status, payload: online} */
static int read_birth(struct mkv_gate_rule *rule,
                      struct mkv_bytes item,
                      struct mkv_problem *problem)
{
    struct mkv_cbor_reader r;
    uint64_t n;

    mkv_cbor_reader_init(&r, item);
    n = mkv_cbor_read_map(&r, 2);
    for (uint64_t i = 0; i < n && r.error == 0; i++) {
        struct mkv_bytes key = mkv_cbor_read_text(&r);
        struct mkv_bytes text = mkv_cbor_read_text(&r);

        if (is(key, "topic")) {
            rule->birth_topic = text;
        } else if (is(key, "payload")) {
            rule->birth_payload = text;
        } else {
            r.error = MKV_E_BAD_ARGUMENT;
        }
    }
    if (mkv_cbor_finish(&r) != 0 || rule->birth_payload.len == 0 ||
        !mkv_gate_topic_valid(rule->birth_topic) || rule->birth_topic.at[0] == '$') {
        return refuse(problem,
                      "birth: {topic: a topic without wildcards, payload: a text} is wanted");
    }
    return 0;
}

static int read_part(struct mkv_gate_rule *rule,
                     struct mkv_bytes key,
                     struct mkv_bytes item,
                     struct parts *parts,
                     struct mkv_problem *problem)
{
    struct mkv_bytes note;

    if (is(key, "topic")) {
        parts->has_topic = true;
        return read_topic("topic", item, &rule->topic, problem);
    }
    if (is(key, "path")) {
        parts->has_path = true;
        return read_path(rule, item, problem);
    }
    if (is(key, "dir")) {
        parts->has_dir = true;
        return read_dir(rule, item, problem);
    }
    if (is(key, "codec")) {
        parts->has_codec = true;
        return read_codec(rule, item, problem);
    }
    if (is(key, "fields")) {
        parts->fields = item;
        return 0;
    }
    if (is(key, "note")) {
        return read_topic("note", item, &note, problem);
    }
    if (is(key, "birth")) {
        return read_birth(rule, item, problem);
    }
    return is(key, "set")      ? read_topic("set", item, &rule->set, problem)
           : is(key, "qos")    ? read_qos(rule, item, problem)
           : is(key, "retain") ? read_bool("retain", item, &rule->retain, problem)
           : is(key, "off")    ? read_bool("off", item, &rule->off, problem)
           : is(key, "enum")   ? mkv_gate_form_enum(&rule->form, item, problem)
           : is(key, "scale")
               ? mkv_gate_form_scale(&rule->form, item, problem)
               : mkv_problem_set(problem, MKV_E_BAD_ARGUMENT,
                                 "'%.*s' is no part of a rule: topic, set, path, dir, codec, qos, "
                                 "retain, fields, scale, enum, birth, off, note",
                                 (int)mkv_problem_cut(key, 40), (const char *)key.at);
}

/* --- Fields ---------------------------------------------------------------------------------------- */

static int add_field(struct mkv_gate_rule *rule, struct mkv_bytes name, struct mkv_problem *problem)
{
    struct mkv_gate_field *field = &rule->fields[rule->n_fields];
    struct mkv_buf key;
    int error;

    if (rule->n_fields == MKV_GATE_FIELDS_MAX) {
        return mkv_problem_set(problem, MKV_E_TOO_MANY, "fields: more than %u",
                               MKV_GATE_FIELDS_MAX);
    }
    mkv_buf_init(&key, MKV_PATH_KEY_MAX);
    error = mkv_path_from_dotted(name, &key);
    if (error == 0 && key.len == 0) {
        error = MKV_E_BAD_PATH;
    }
    *field = (struct mkv_gate_field){.key_start = rule->field_keys.len, .key_len = key.len};
    if (error == 0) {
        error = mkv_buf_append(&rule->field_keys, mkv_buf_bytes(&key));
        rule->n_fields++;
    } else {
        error =
            mkv_problem_set(problem, error, "fields: a name is no path: %s", mkv_error_text(error));
    }
    mkv_buf_deinit(&key);
    return error;
}

/* {scale: [0.1, 0]}, {enum: {...}}, or {} */
static int read_form(struct mkv_bytes item, struct mkv_gate_form *form, struct mkv_problem *problem)
{
    struct mkv_cbor_reader r;
    uint64_t n;
    int error = 0;

    mkv_cbor_reader_init(&r, item);
    n = mkv_cbor_read_map(&r, KEYS_MAX);
    for (uint64_t i = 0; i < n && r.error == 0 && error == 0; i++) {
        struct mkv_bytes key = mkv_cbor_read_text(&r);
        struct mkv_bytes value = mkv_cbor_read_raw(&r);

        error = r.error != 0       ? 0
                : is(key, "scale") ? mkv_gate_form_scale(form, value, problem)
                : is(key, "enum")  ? mkv_gate_form_enum(form, value, problem)
                                   : MKV_E_BAD_ARGUMENT;
    }
    if (error == 0) {
        error = mkv_cbor_finish(&r);
    }
    return error == 0 || problem->error != 0
               ? error
               : refuse(problem, "fields: {NAME: {scale: ..., enum: ...}} is wanted");
}

static int read_field_list(struct mkv_gate_rule *rule,
                           struct mkv_bytes item,
                           bool map,
                           struct mkv_problem *problem)
{
    struct mkv_cbor_reader r;
    uint64_t n;
    int error = 0;

    mkv_cbor_reader_init(&r, item);
    n = map ? mkv_cbor_read_map(&r, MKV_GATE_FIELDS_MAX)
            : mkv_cbor_read_array(&r, MKV_GATE_FIELDS_MAX);
    for (uint64_t i = 0; i < n && r.error == 0 && error == 0; i++) {
        struct mkv_bytes name = mkv_cbor_read_text(&r);
        struct mkv_bytes value = map ? mkv_cbor_read_raw(&r) : (struct mkv_bytes){0};

        if (r.error == 0) {
            error = add_field(rule, name, problem);
        }
        if (error == 0 && r.error == 0 && map) {
            error = read_form(value, &rule->fields[rule->n_fields - 1].form, problem);
        }
    }
    if (error == 0) {
        error = mkv_cbor_finish(&r);
    }
    if (error == 0 && n == 0) {
        error = MKV_E_BAD_ARGUMENT;
    }
    return error == 0 || problem->error != 0
               ? error
               : refuse(problem, "fields: true, [names] or {name: {scale: ..., enum: ...}} with 1 "
                                 "to 64 names is wanted");
}

static int read_fields(struct mkv_gate_rule *rule,
                       struct mkv_bytes item,
                       struct mkv_problem *problem)
{
    struct mkv_cbor_reader r;

    mkv_cbor_reader_init(&r, item);
    switch (mkv_cbor_peek(&r)) {
    case MKV_CBOR_FALSE:
        return 0;
    case MKV_CBOR_TRUE:
        rule->has_fields = true;
        return 0;
    default:
        rule->has_fields = true;
        return read_field_list(rule, item, mkv_cbor_peek(&r) == MKV_CBOR_MAP, problem);
    }
}

/* --- The whole --------------------------------------------------------------------------------------- */

static int check_fields(const struct mkv_gate_rule *rule, struct mkv_problem *problem)
{
    static const uint8_t rest[] = {0x60, '#', 0x00, 0x01};
    size_t n = rule->path.len;

    if (!rule->has_fields) {
        return 0;
    }
    if (rule->codec != MKV_GATE_JSON && rule->codec != MKV_GATE_CBOR) {
        return refuse(problem, "fields: only with codec json or cbor");
    }
    if (rule->retain && mkv_gate_rule_writes(rule)) {
        return refuse(problem,
                      "fields: not with retain where it writes, since each message has one "
                      "field, and the last one would stay");
    }
    if (rule->form.scaled || rule->form.pairs.len > 0) {
        return refuse(problem, "scale and enum stand at the fields: fields: {NAME: {scale: ...}}");
    }
    if (n >= sizeof(rest) && memcmp(rule->path.at + n - sizeof(rest), rest, sizeof(rest)) == 0) {
        return refuse(problem,
                      "fields: not with '#' in the path, since nobody could tell where the "
                      "path ends and the field begins");
    }
    return 0;
}

static int check(const struct mkv_gate_rule *rule,
                 const struct parts *parts,
                 struct mkv_problem *problem)
{
    struct mkv_bytes path = mkv_buf_bytes(&rule->path);
    int error;

    if (!parts->has_topic || !parts->has_path || !parts->has_dir || !parts->has_codec) {
        return refuse(problem, "topic, path, dir and codec are wanted");
    }
    if (rule->set.len > 0 && rule->dir != MKV_GATE_BOTH) {
        return refuse(problem, "set: only with dir both; with out the topic itself is written");
    }
    if (rule->birth_topic.len > 0 && rule->dir != MKV_GATE_OUT) {
        return refuse(problem, "birth: only with dir out");
    }
    error = mkv_gate_pattern_check(rule->topic, path, problem);
    if (error == 0 && rule->set.len > 0) {
        error = mkv_gate_pattern_check(rule->set, path, problem);
    }
    return error != 0 ? error : check_fields(rule, problem);
}

static int read_map(struct mkv_gate_rule *rule, struct mkv_problem *problem)
{
    struct parts parts = {0};
    struct mkv_cbor_reader r;
    uint64_t n;
    int error = 0;

    mkv_cbor_reader_init(&r, mkv_buf_bytes(&rule->value));
    n = mkv_cbor_read_map(&r, KEYS_MAX);
    for (uint64_t i = 0; i < n && r.error == 0 && error == 0; i++) {
        struct mkv_bytes key = mkv_cbor_read_text(&r);
        struct mkv_bytes item = mkv_cbor_read_raw(&r);

        if (r.error == 0) {
            error = read_part(rule, key, item, &parts, problem);
        }
    }
    if (error == 0 && mkv_cbor_finish(&r) != 0) {
        error = refuse(problem, "a rule is a map, like {topic: a/+, path: b.+, dir: in, codec: "
                                "json}");
    }
    if (error == 0 && parts.fields.len > 0) {
        error = read_fields(rule, parts.fields, problem);
    }
    return error != 0 ? error : check(rule, &parts, problem);
}

int mkv_gate_rule_init(struct mkv_gate_rule *rule,
                       struct mkv_bytes name,
                       struct mkv_bytes value,
                       struct mkv_problem *problem)
{
    int error;

    *rule = (struct mkv_gate_rule){.qos = 1};
    mkv_buf_init(&rule->value, MKV_GATE_RULE_MAX);
    mkv_buf_init(&rule->path, MKV_PATH_KEY_MAX);
    mkv_buf_init(&rule->field_keys, (size_t)MKV_GATE_FIELDS_MAX * MKV_PATH_KEY_MAX);
    problem->error = 0;
    if (!mkv_gate_name_valid(name)) {
        return mkv_problem_set(problem, MKV_E_BAD_NAME,
                               "a rule's name has 1 to 64 characters of A-Z a-z 0-9 . _ -");
    }
    memcpy(rule->name, name.at, name.len);
    error = mkv_buf_append(&rule->value, value);
    if (error == 0) {
        error = read_map(rule, problem);
    }
    if (error != 0 && problem->error == 0) {
        (void)mkv_problem_set(problem, error, "%s",
                              error == MKV_E_TOO_LARGE ? "a rule has up to 16,384 bytes"
                                                       : mkv_error_text(error));
    }
    return error;
}

void mkv_gate_rule_deinit(struct mkv_gate_rule *rule)
{
    mkv_buf_deinit(&rule->field_keys);
    mkv_buf_deinit(&rule->path);
    mkv_buf_deinit(&rule->value);
}
