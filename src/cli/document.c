/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/document.h"

#include "cli/format.h"
#include "cli/yaml_read.h"
#include "notation/json_read.h"
#include "notation/keys.h"
#include "wire/path.h"

int mkv_document_read(struct mkv_bytes text,
                      enum mkv_notation notation,
                      struct mkv_buf *document,
                      struct mkv_problem *problem)
{
    if (notation == MKV_NOTATION_JSON) {
        return mkv_json_read(text, true, document, problem);
    }
    if (notation == MKV_NOTATION_YAML) {
        return mkv_yaml_read(text, MKV_YAML_DOCUMENT, document, problem);
    }
    return mkv_problem_set(problem, MKV_E_BAD_ARGUMENT, "a document is JSON or YAML");
}

void mkv_leaves_init(struct mkv_leaves *leaves,
                     struct mkv_bytes document,
                     struct mkv_problem *problem)
{
    mkv_cbor_reader_init(&leaves->reader, document);
    leaves->begun = false;
    leaves->depth = 0;
    leaves->problem = problem;
    mkv_buf_init(&leaves->key, MKV_PATH_KEY_MAX);
}

void mkv_leaves_deinit(struct mkv_leaves *leaves)
{
    mkv_buf_deinit(&leaves->key);
}

/* Says what is wrong with the present node. */
static void refuse(struct mkv_leaves *leaves, int error)
{
    struct mkv_buf dotted;
    struct mkv_buf shown;

    mkv_cbor_fail(&leaves->reader, error);
    mkv_buf_init(&dotted, SIZE_MAX / 2);
    mkv_buf_init(&shown, SIZE_MAX / 2);
    if (mkv_path_to_dotted(mkv_buf_bytes(&leaves->key), &dotted) != 0 ||
        mkv_format_safe_text(mkv_buf_bytes(&dotted), &shown) != 0) {
        mkv_buf_clear(&shown); /* out of memory: the sentence has to do without the path */
    }
    (void)mkv_problem_set(leaves->problem, error, "at or below %.*s: %s",
                          (int)mkv_problem_cut(mkv_buf_bytes(&shown), 200),
                          shown.len > 0 ? (const char *)shown.at : "", mkv_error_text(error));
    mkv_buf_deinit(&dotted);
    mkv_buf_deinit(&shown);
}

static void append_index(struct mkv_leaves *leaves, uint64_t index)
{
    const struct mkv_element element = {.kind = MKV_ELEMENT_UINT, .number = index};
    int error = mkv_path_append(&leaves->key, &element);

    if (error != 0) {
        refuse(leaves, error);
    }
}

static void append_key(struct mkv_leaves *leaves)
{
    struct mkv_element element;

    mkv_element_from_cbor(&leaves->reader, &element);

    int error = leaves->reader.error;

    if (error == 0) {
        error = mkv_path_append(&leaves->key, &element);
    }
    if (error != 0) {
        refuse(leaves, error);
    }
}

/* Steps into the node that the reader stands at, if it is one; else the reader has not moved. */
static bool enter(struct mkv_leaves *leaves)
{
    struct mkv_cbor_reader ahead = leaves->reader;
    struct mkv_cbor_item head;

    mkv_cbor_next(&ahead, &head);
    if ((head.kind != MKV_CBOR_MAP && head.kind != MKV_CBOR_ARRAY) || head.number == 0) {
        return false;
    }
    if (leaves->depth == MKV_LEAVES_DEPTH_MAX) {
        refuse(leaves, MKV_E_PATH_TOO_LONG);
        return false;
    }
    leaves->reader = ahead;
    leaves->frames[leaves->depth++] = (struct mkv_leaves_frame){
        .map = head.kind == MKV_CBOR_MAP,
        .left = head.number,
        .key_len = leaves->key.len,
    };
    return true;
}

static bool take_leaf(struct mkv_leaves *leaves, struct mkv_bytes *ret_value)
{
    if (leaves->reader.error != 0) {
        return false;
    }

    struct mkv_bytes value = mkv_cbor_read_raw(&leaves->reader);
    int error = leaves->reader.error;

    if (error == 0 && value.len > MKV_VALUE_MAX) {
        error = MKV_E_TOO_LARGE;
    }
    if (error != 0) {
        refuse(leaves, error);
        return false;
    }
    *ret_value = value;
    return true;
}

/* Moves on to the next member of the innermost node; true if it is the node's own value. */
static bool next_member(struct mkv_leaves *leaves)
{
    struct mkv_leaves_frame *frame = &leaves->frames[leaves->depth - 1];

    mkv_buf_truncate(&leaves->key, frame->key_len);
    frame->left--;
    if (!frame->map) {
        append_index(leaves, frame->n++);
        return false;
    }
    if (mkv_cbor_peek(&leaves->reader) == MKV_CBOR_UNDEFINED) {
        struct mkv_cbor_item own;

        mkv_cbor_next(&leaves->reader, &own);
        return true;
    }
    append_key(leaves);
    return false;
}

bool mkv_leaves_next(struct mkv_leaves *leaves, struct mkv_bytes *ret_value)
{
    if (!leaves->begun) {
        leaves->begun = true;
        if (!enter(leaves)) {
            return take_leaf(leaves, ret_value);
        }
    }
    while (leaves->depth > 0 && leaves->reader.error == 0) {
        if (leaves->frames[leaves->depth - 1].left == 0) {
            leaves->depth--;
            continue;
        }
        if (next_member(leaves) || !enter(leaves)) {
            return take_leaf(leaves, ret_value);
        }
    }
    return false;
}

void mkv_document_writer_init(struct mkv_document_writer *w, struct mkv_buf *document)
{
    mkv_builder_init(&w->builder, document);
    w->builder.dense_arrays = true;
    w->begun = false;
    w->n_open = 0;
    mkv_buf_init(&w->open, MKV_PATH_KEY_MAX);
    mkv_buf_init(&w->key, MKV_PATH_KEY_MAX);
    mkv_buf_init(&w->value, MKV_VALUE_MAX);
    mkv_buf_init(&w->element, (size_t)2 * MKV_PATH_KEY_MAX);
}

void mkv_document_writer_deinit(struct mkv_document_writer *w)
{
    mkv_builder_deinit(&w->builder);
    mkv_buf_deinit(&w->open);
    mkv_buf_deinit(&w->key);
    mkv_buf_deinit(&w->value);
    mkv_buf_deinit(&w->element);
}

static void fail(struct mkv_document_writer *w, int error)
{
    if (w->builder.writer.error == 0) {
        w->builder.writer.error = error;
    }
}

/* Opens the node whose key in its parent has been written; it is @key. */
static void open_node(struct mkv_document_writer *w, struct mkv_bytes key)
{
    mkv_builder_open(&w->builder, MKV_BUILDER_MAP);
    mkv_buf_clear(&w->open);
    fail(w, mkv_buf_append(&w->open, key));
    w->n_open++;
}

/* Closes what the row that waits is not below of. */
static void close_nodes(struct mkv_document_writer *w, unsigned n_left)
{
    while (w->n_open > n_left) {
        mkv_builder_close(&w->builder);
        w->n_open--;
        if (w->n_open > 0) {
            mkv_buf_truncate(&w->open, mkv_path_head(mkv_buf_bytes(&w->open), w->n_open - 1).len);
        }
    }
}

static void put_element(struct mkv_document_writer *w, struct mkv_bytes encoding)
{
    mkv_buf_clear(&w->element);
    fail(w, mkv_key_element(encoding, &w->element));
    mkv_builder_raw(&w->builder, mkv_buf_bytes(&w->element));
}

/* Opens all nodes above the row that waits, and writes the last element of its path. */
static void open_ancestors(struct mkv_document_writer *w)
{
    struct mkv_bytes key = mkv_buf_bytes(&w->key);
    unsigned shared = mkv_path_shared(mkv_buf_bytes(&w->open), key);

    if (key.len == 0) {
        return;
    }
    if (w->n_open == 0) {
        open_node(w, mkv_bytes(key.at, 0));
        shared = 0;
    }
    close_nodes(w, shared + 1);

    struct mkv_bytes rest = mkv_bytes_after(key, mkv_path_head(key, shared).len);

    while (rest.len > 0) {
        put_element(w, mkv_path_cut(&rest));
        if (rest.len > 0) {
            open_node(w, mkv_bytes(key.at, key.len - rest.len));
        }
    }
}

/* Whether @value would be taken for a node if it stood there as it is. */
static bool looks_like_node(struct mkv_bytes value)
{
    struct mkv_cbor_reader r;
    struct mkv_cbor_item head;

    mkv_cbor_reader_init(&r, value);
    mkv_cbor_next(&r, &head);
    if (head.kind != MKV_CBOR_MAP && head.kind != MKV_CBOR_ARRAY) {
        return false;
    }
    return head.indefinite ? mkv_cbor_peek(&r) != MKV_CBOR_BREAK : head.number > 0;
}

static void put_own(struct mkv_document_writer *w)
{
    mkv_builder_simple(&w->builder, 23);
    mkv_builder_raw(&w->builder, mkv_buf_bytes(&w->value));
}

/* Writes the row that waits; @has_children says whether the next one is below it. */
static void flush(struct mkv_document_writer *w, bool has_children)
{
    open_ancestors(w);
    if (has_children) {
        open_node(w, mkv_buf_bytes(&w->key));
        put_own(w);
    } else if (looks_like_node(mkv_buf_bytes(&w->value))) {
        mkv_builder_open(&w->builder, MKV_BUILDER_MAP);
        put_own(w);
        mkv_builder_close(&w->builder);
    } else {
        mkv_builder_raw(&w->builder, mkv_buf_bytes(&w->value));
    }
}

int mkv_document_writer_add(struct mkv_document_writer *w,
                            struct mkv_bytes key,
                            struct mkv_bytes value)
{
    if (w->begun) {
        struct mkv_bytes before = mkv_buf_bytes(&w->key);

        if (mkv_bytes_compare(before, key) >= 0) {
            return MKV_E_BAD_ARGUMENT;
        }
        flush(w, mkv_bytes_starts_with(key, before));
    }
    w->begun = true;
    mkv_buf_clear(&w->key);
    mkv_buf_clear(&w->value);
    fail(w, mkv_buf_append(&w->key, key));
    fail(w, mkv_buf_append(&w->value, value));
    return w->builder.writer.error;
}

int mkv_document_writer_finish(struct mkv_document_writer *w)
{
    if (!w->begun) {
        return MKV_E_NOT_FOUND;
    }
    flush(w, false);
    close_nodes(w, 0);
    return w->builder.writer.error;
}
