/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/message.h"

#include "gate/pattern.h"
#include "wire/cbor.h"
#include "wire/path.h"

#define BYTES_MAX ((size_t)4 * MKV_VALUE_MAX)

void mkv_gate_changes_init(struct mkv_gate_changes *changes)
{
    changes->clears = false;
    mkv_buf_init(&changes->key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&changes->bytes, BYTES_MAX);
    mkv_buf_init(&changes->list, MKV_GATE_CHANGES_MAX * sizeof(struct mkv_gate_change));
}

void mkv_gate_changes_deinit(struct mkv_gate_changes *changes)
{
    mkv_buf_deinit(&changes->list);
    mkv_buf_deinit(&changes->bytes);
    mkv_buf_deinit(&changes->key);
}

size_t mkv_gate_changes_count(const struct mkv_gate_changes *changes)
{
    return changes->list.len / sizeof(struct mkv_gate_change);
}

void mkv_gate_changes_at(const struct mkv_gate_changes *changes,
                         size_t i,
                         struct mkv_bytes *ret_key,
                         struct mkv_bytes *ret_value)
{
    struct mkv_gate_change change;

    memcpy(&change, changes->list.at + i * sizeof(change), sizeof(change));
    *ret_key = mkv_bytes(changes->bytes.at + change.key_start, change.key_len);
    *ret_value = mkv_bytes(changes->bytes.at + change.value_start, change.value_len);
}

static int told(int error, struct mkv_problem *problem)
{
    if (error != 0 && problem->error == 0) {
        (void)mkv_problem_set(problem, error, "%s", mkv_error_text(error));
    }
    return error;
}

/* --- In ------------------------------------------------------------------------------------------ */

/* Adds @item, as @form makes it, under @key. */
static int add(struct mkv_gate_changes *changes,
               struct mkv_bytes key,
               struct mkv_bytes item,
               const struct mkv_gate_form *form,
               struct mkv_problem *problem)
{
    struct mkv_gate_change change = {.key_start = changes->bytes.len, .key_len = key.len};
    int error = mkv_buf_append(&changes->bytes, key);

    change.value_start = changes->bytes.len;
    if (error == 0) {
        error = mkv_gate_form_in(form, item, &changes->bytes, problem);
    }
    if (error == 0) {
        change.value_len = changes->bytes.len - change.value_start;
        error = mkv_buf_append(&changes->list, mkv_bytes(&change, sizeof(change)));
    }
    if (error == MKV_E_TOO_LARGE) {
        error = mkv_problem_set(problem, MKV_E_TOO_MANY,
                                "more than %u fields or 4 MiB in a message", MKV_GATE_CHANGES_MAX);
    }
    return error;
}

/* The form of what lies at @path in the object; NULL: it is not among the rule's fields. */
static const struct mkv_gate_form *form_of(const struct mkv_gate_rule *rule, struct mkv_bytes path)
{
    static const struct mkv_gate_form none;

    for (unsigned i = 0; i < rule->n_fields; i++) {
        const struct mkv_gate_field *field = &rule->fields[i];

        if (mkv_bytes_starts_with(
                path, mkv_bytes(rule->field_keys.at + field->key_start, field->key_len))) {
            return &field->form;
        }
    }
    return rule->n_fields == 0 ? &none : NULL;
}

/* An object that is being walked through. */
struct frame {
    uint64_t left;
    size_t key_len; /* of the path that it lies at */
};

struct walk {
    const struct mkv_gate_rule *rule;
    struct mkv_gate_changes *changes;
    struct mkv_problem *problem;
    struct mkv_cbor_reader r;
    struct mkv_buf key; /* of what is being looked at */
    size_t base_len;    /* of it, the part that is the topic's */
    unsigned depth;
    struct frame frames[MKV_CBOR_DEPTH_MAX];
};

static int open_object(struct walk *walk)
{
    if (walk->depth == MKV_CBOR_DEPTH_MAX) {
        return MKV_E_TOO_DEEP;
    }
    walk->frames[walk->depth].left = mkv_cbor_read_map(&walk->r, MKV_CBOR_ITEMS_MAX);
    walk->frames[walk->depth].key_len = walk->key.len;
    walk->depth += walk->r.error == 0;
    return walk->r.error;
}

static bool is_filled_object(const struct mkv_cbor_reader *r)
{
    return mkv_cbor_peek(r) == MKV_CBOR_MAP && r->rest.at[0] != 0xa0 && r->rest.at[0] != 0xbf;
}

/* One member of the innermost object. */
static int take_member(struct walk *walk)
{
    const struct mkv_gate_form *form;
    struct mkv_bytes item;
    struct mkv_element element;
    int error;

    mkv_buf_truncate(&walk->key, walk->frames[walk->depth - 1].key_len);
    mkv_element_from_cbor(&walk->r, &element);
    error = walk->r.error != 0 ? walk->r.error : mkv_path_append(&walk->key, &element);
    if (error != 0) {
        return error;
    }
    if (is_filled_object(&walk->r)) {
        return open_object(walk);
    }
    item = mkv_cbor_read_raw(&walk->r);
    form = form_of(walk->rule, mkv_bytes_after(mkv_buf_bytes(&walk->key), walk->base_len));
    if (walk->r.error != 0 || form == NULL) {
        return walk->r.error;
    }
    return add(walk->changes, mkv_buf_bytes(&walk->key), item, form, walk->problem);
}

static int read_fields(const struct mkv_gate_rule *rule,
                       struct mkv_bytes item,
                       struct mkv_gate_changes *changes,
                       struct mkv_problem *problem)
{
    struct walk walk = {.rule = rule, .changes = changes, .problem = problem};
    int error;

    mkv_cbor_reader_init(&walk.r, item);
    if (mkv_cbor_peek(&walk.r) != MKV_CBOR_MAP) {
        return mkv_problem_set(problem, MKV_E_BAD_ARGUMENT, "no object, but the rule has fields");
    }
    mkv_buf_init(&walk.key, MKV_PATH_KEY_MAX);
    error = mkv_buf_append(&walk.key, mkv_buf_bytes(&changes->key));
    walk.base_len = walk.key.len;
    if (error == 0) {
        error = open_object(&walk);
    }
    while (walk.depth > 0 && error == 0) {
        struct frame *frame = &walk.frames[walk.depth - 1];

        if (frame->left == 0) {
            walk.depth--;
        } else {
            frame->left--;
            error = take_member(&walk);
        }
    }
    mkv_buf_deinit(&walk.key);
    return error;
}

static int read_value(const struct mkv_gate_rule *rule,
                      struct mkv_bytes payload,
                      struct mkv_gate_changes *changes,
                      struct mkv_problem *problem)
{
    struct mkv_buf item;
    int error;

    mkv_buf_init(&item, BYTES_MAX);
    error = mkv_gate_decode(rule->codec, payload, &item, problem);
    if (error == 0) {
        error = rule->has_fields ? read_fields(rule, mkv_buf_bytes(&item), changes, problem)
                                 : add(changes, mkv_buf_bytes(&changes->key), mkv_buf_bytes(&item),
                                       &rule->form, problem);
    }
    mkv_buf_deinit(&item);
    return error;
}

int mkv_gate_read(const struct mkv_gate_rule *rule,
                  struct mkv_bytes topic,
                  struct mkv_bytes payload,
                  struct mkv_gate_changes *changes,
                  struct mkv_problem *problem)
{
    int error;

    problem->error = 0;
    mkv_buf_clear(&changes->key);
    mkv_buf_clear(&changes->bytes);
    mkv_buf_clear(&changes->list);
    changes->clears = payload.len == 0;
    error = mkv_gate_topic_to_key(rule->topic, mkv_buf_bytes(&rule->path), topic, &changes->key);
    if (error == 0 && !changes->clears) {
        error = read_value(rule, payload, changes, problem);
    }
    if (error != 0) {
        mkv_buf_clear(&changes->list);
    }
    return told(error, problem);
}

/* --- Out ----------------------------------------------------------------------------------------- */

bool mkv_gate_concerns(const struct mkv_gate_rule *rule, struct mkv_bytes key)
{
    struct mkv_bytes rest;

    if (!mkv_gate_key_matches(mkv_buf_bytes(&rule->path), key, rule->has_fields, &rest)) {
        return false;
    }
    return !rule->has_fields || (rest.len > 0 && form_of(rule, rest) != NULL);
}

/* {"color": {"x": ITEM}} for the path color.x */
static int wrap(const struct mkv_gate_rule *rule,
                struct mkv_bytes rest,
                struct mkv_bytes item,
                struct mkv_buf *out,
                struct mkv_problem *problem)
{
    struct mkv_cbor_writer w;
    struct mkv_buf scratch;
    struct mkv_element element;
    int error = 0;

    mkv_cbor_writer_init(&w, out);
    mkv_buf_init(&scratch, MKV_PATH_KEY_MAX);
    while (rest.len > 0 && error == 0) {
        error = mkv_element_decode(mkv_path_cut(&rest), &scratch, &element);
        if (error == 0 && rule->codec == MKV_GATE_JSON && element.kind != MKV_ELEMENT_TEXT) {
            error = mkv_problem_set(problem, MKV_E_BAD_ARGUMENT,
                                    "JSON has texts as keys only, and this field is none");
        }
        if (error == 0) {
            mkv_cbor_write_map(&w, 1);
            mkv_element_to_cbor(&element, &w);
        }
    }
    mkv_cbor_write_raw(&w, item);
    mkv_buf_deinit(&scratch);
    return error != 0 ? error : w.error;
}

/* The item that the codec is to write. */
static int form_item(const struct mkv_gate_rule *rule,
                     struct mkv_bytes rest,
                     struct mkv_bytes value,
                     struct mkv_buf *item,
                     struct mkv_problem *problem)
{
    struct mkv_buf formed;
    int error;

    if (!rule->has_fields) {
        return mkv_gate_form_out(&rule->form, value, item, problem);
    }
    mkv_buf_init(&formed, BYTES_MAX);
    error = mkv_gate_form_out(form_of(rule, rest), value, &formed, problem);
    if (error == 0) {
        error = wrap(rule, rest, mkv_buf_bytes(&formed), item, problem);
    }
    mkv_buf_deinit(&formed);
    return error;
}

static int write_value(const struct mkv_gate_rule *rule,
                       struct mkv_bytes rest,
                       struct mkv_bytes value,
                       struct mkv_buf *payload,
                       struct mkv_problem *problem)
{
    struct mkv_buf item;
    int error;

    mkv_buf_init(&item, BYTES_MAX);
    error = form_item(rule, rest, value, &item, problem);
    if (error == 0) {
        error = mkv_gate_encode(rule->codec, mkv_buf_bytes(&item), payload, problem);
    }
    if (error == 0 && payload->len == 0 && (rule->retain || mkv_gate_rule_echoes(rule))) {
        error = mkv_problem_set(problem, MKV_E_BAD_ARGUMENT,
                                "an empty message would be a deletion, so an empty value cannot be "
                                "told");
    }
    mkv_buf_deinit(&item);
    return error;
}

int mkv_gate_write(const struct mkv_gate_rule *rule,
                   struct mkv_bytes key,
                   const struct mkv_bytes *value,
                   struct mkv_buf *topic,
                   struct mkv_buf *payload,
                   struct mkv_problem *problem)
{
    struct mkv_bytes path = mkv_buf_bytes(&rule->path);
    struct mkv_bytes rest;
    int error;

    problem->error = 0;
    mkv_buf_clear(topic);
    mkv_buf_clear(payload);
    if (!mkv_gate_concerns(rule, key) || (value == NULL && !rule->retain)) {
        return 0;
    }
    (void)mkv_gate_key_matches(path, key, true, &rest); /* it does, or it would not concern us */
    error = mkv_gate_key_to_topic(mkv_gate_rule_target(rule), path, key, topic);
    if (error == MKV_E_BAD_TOPIC) {
        error = mkv_problem_set(problem, error,
                                "no topic can have this path: an element is no text, or has one of "
                                "/ + # in it, or it is too long");
    }
    if (error == 0 && value != NULL) {
        error = write_value(rule, rest, *value, payload, problem);
    }
    if (error != 0) {
        mkv_buf_clear(topic);
    }
    return told(error, problem);
}
