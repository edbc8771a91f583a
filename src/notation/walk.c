/* SPDX-License-Identifier: Apache-2.0 */
#include "notation/walk.h"

#include "notation/spans.h"

void mkv_doc_walk_init(struct mkv_doc_walk *walk,
                       struct mkv_bytes item,
                       enum mkv_doc_walk_keys keys)
{
    mkv_cbor_reader_init(&walk->reader, item);
    walk->keys = keys;
    walk->document = false;
    walk->begun = false;
    mkv_buf_init(&walk->text, SIZE_MAX / 2);
    mkv_buf_init(&walk->spans, SIZE_MAX / 2);
    walk->depth = 0;
}

void mkv_doc_walk_deinit(struct mkv_doc_walk *walk)
{
    mkv_buf_deinit(&walk->text);
    mkv_buf_deinit(&walk->spans);
}

int mkv_doc_walk_error(const struct mkv_doc_walk *walk)
{
    return walk->reader.error;
}

const struct mkv_doc_walk_frame *mkv_doc_walk_parent(const struct mkv_doc_walk *walk,
                                                     enum mkv_doc_walk_event event)
{
    unsigned depth = event == MKV_WALK_OPEN ? walk->depth - 1 : walk->depth;

    return depth == 0 ? NULL : &walk->frames[depth - 1];
}

/* Appends the chunks of a string whose head was read, up to and with the break. */
static void join_chunks(struct mkv_cbor_reader *r, struct mkv_buf *out)
{
    struct mkv_cbor_item chunk;

    mkv_cbor_next(r, &chunk);
    while (r->error == 0 && chunk.kind != MKV_CBOR_BREAK) {
        int error = mkv_buf_append(out, chunk.text);

        if (error != 0) {
            mkv_cbor_fail(r, error);
            return;
        }
        mkv_cbor_next(r, &chunk);
    }
}

/* Appends the key that @r stands at in its one shortest form; false if @keys does not allow it. */
static bool append_key(struct mkv_cbor_reader *r, enum mkv_doc_walk_keys keys, struct mkv_buf *out)
{
    struct mkv_cbor_item item;
    struct mkv_cbor_writer w;
    struct mkv_bytes kind = {0};

    mkv_cbor_next(r, &item);
    if (item.kind != MKV_CBOR_TEXT && keys == MKV_WALK_TEXT_KEYS) {
        return false;
    }
    mkv_cbor_writer_init(&w, out);
    switch (item.kind) {
    case MKV_CBOR_TEXT:
    case MKV_CBOR_BYTES:
        /* Equal content is what counts, so the head may be any one that tells both kinds apart. */
        kind = mkv_bytes(item.kind == MKV_CBOR_TEXT ? "t" : "b", 1);
        mkv_cbor_write_raw(&w, kind);
        mkv_cbor_write_raw(&w, item.text);
        if (item.indefinite) {
            join_chunks(r, out);
        }
        break;
    case MKV_CBOR_UINT:
        mkv_cbor_write_uint(&w, item.number);
        break;
    case MKV_CBOR_NINT:
        mkv_cbor_write_nint(&w, item.number);
        break;
    case MKV_CBOR_FLOAT:
        mkv_cbor_write_float_short(&w, item.real);
        break;
    case MKV_CBOR_FALSE:
    case MKV_CBOR_TRUE:
        mkv_cbor_write_bool(&w, item.kind == MKV_CBOR_TRUE);
        break;
    case MKV_CBOR_NULL:
        mkv_cbor_write_null(&w);
        break;
    case MKV_CBOR_ARRAY:
    case MKV_CBOR_MAP:
    case MKV_CBOR_TAG:
    case MKV_CBOR_UNDEFINED:
    case MKV_CBOR_SIMPLE:
    case MKV_CBOR_BREAK:
    case MKV_CBOR_END:
        return false;
    }
    if (w.error != 0) {
        mkv_cbor_fail(r, w.error);
    }
    return r->error == 0;
}

static bool at_end(const struct mkv_cbor_reader *r, const struct mkv_doc_walk_frame *frame)
{
    if (frame->indefinite) {
        return mkv_cbor_peek(r) == MKV_CBOR_BREAK;
    }
    return frame->left == 0;
}

/* Looks ahead over the map whose head was read.  What it finds wrong is found again by the walk. */
static bool keys_plain(struct mkv_doc_walk *walk, struct mkv_doc_walk_frame frame)
{
    struct mkv_cbor_reader r = walk->reader;
    struct mkv_span repeated;

    mkv_buf_clear(&walk->text);
    mkv_buf_clear(&walk->spans);
    while (!at_end(&r, &frame) && r.error == 0) {
        size_t start = walk->text.len;

        if (!append_key(&r, walk->keys, &walk->text)) {
            if (r.error == MKV_E_NO_MEMORY) { /* must not look like a map of another kind */
                mkv_cbor_fail(&walk->reader, r.error);
            }
            return false;
        }
        if (mkv_spans_push(&walk->spans, (struct mkv_span){start, walk->text.len - start}) != 0) {
            mkv_cbor_fail(&walk->reader, MKV_E_NO_MEMORY);
            return false;
        }
        mkv_cbor_skip(&r);
        frame.left -= frame.indefinite ? 0 : 2;
    }
    return !mkv_spans_repeat(walk->text.at, mkv_spans_at(&walk->spans),
                             mkv_spans_count(&walk->spans), &repeated);
}

static bool inside_document(const struct mkv_doc_walk *walk, enum mkv_cbor_kind kind)
{
    if (kind == MKV_CBOR_TAG || walk->role == MKV_WALK_KEY) {
        return false;
    }
    if (walk->depth == 0) {
        return walk->document;
    }

    const struct mkv_doc_walk_frame *parent = &walk->frames[walk->depth - 1];

    return parent->document && !(walk->role == MKV_WALK_MEMBER && parent->own);
}

static uint64_t items_of(const struct mkv_cbor_item *item)
{
    if (item->kind == MKV_CBOR_TAG) {
        return 1;
    }
    return item->kind == MKV_CBOR_MAP ? 2 * item->number : item->number;
}

static enum mkv_doc_walk_event open_item(struct mkv_doc_walk *walk)
{
    const struct mkv_cbor_item *item = &walk->item;

    if (walk->depth == MKV_WALK_DEPTH_MAX) {
        mkv_cbor_fail(&walk->reader, MKV_E_TOO_DEEP);
        return MKV_WALK_END;
    }
    if (item->kind != MKV_CBOR_TAG && item->number > walk->reader.rest.len) {
        mkv_cbor_fail(&walk->reader, MKV_E_TRUNCATED); /* each item has a byte at least */
        return MKV_WALK_END;
    }

    struct mkv_doc_walk_frame *frame = &walk->frames[walk->depth];

    *frame = (struct mkv_doc_walk_frame){
        .kind = item->kind,
        .role = walk->role,
        .indefinite = item->indefinite,
        .document = inside_document(walk, item->kind),
        .left = item->indefinite ? 0 : items_of(item),
        .plain = true,
    };
    if (frame->kind == MKV_CBOR_MAP && !frame->document) {
        frame->plain = keys_plain(walk, *frame);
    }
    walk->depth++;
    walk->frame = *frame;
    return walk->reader.error == 0 ? MKV_WALK_OPEN : MKV_WALK_END;
}

static enum mkv_doc_walk_event close_frame(struct mkv_doc_walk *walk)
{
    walk->frame = walk->frames[--walk->depth];
    walk->role = walk->frame.role;
    if (walk->frame.indefinite) {
        mkv_cbor_next(&walk->reader, &walk->item);
    }
    return MKV_WALK_CLOSE;
}

/* What the next item is to the innermost frame, which counts it. */
static void take_role(struct mkv_doc_walk *walk)
{
    if (walk->depth == 0) {
        walk->role = MKV_WALK_ROOT;
        walk->first = true;
        return;
    }

    struct mkv_doc_walk_frame *frame = &walk->frames[walk->depth - 1];

    if (frame->kind == MKV_CBOR_ARRAY) {
        walk->role = MKV_WALK_ELEMENT;
    } else if (frame->kind == MKV_CBOR_TAG) {
        walk->role = MKV_WALK_TAGGED;
    } else {
        walk->role = frame->n % 2 == 0 ? MKV_WALK_KEY : MKV_WALK_MEMBER;
    }
    walk->first = frame->n == 0;
    frame->n++;
    frame->left -= frame->indefinite ? 0 : 1;
}

static enum mkv_doc_walk_event next_item(struct mkv_doc_walk *walk)
{
    struct mkv_cbor_item *item = &walk->item;

    mkv_cbor_next(&walk->reader, item);
    if (walk->reader.error != 0) {
        return MKV_WALK_END;
    }
    if (item->kind == MKV_CBOR_BREAK || item->kind == MKV_CBOR_END) {
        mkv_cbor_fail(&walk->reader, MKV_E_MALFORMED);
        return MKV_WALK_END;
    }
    take_role(walk);
    if (walk->role == MKV_WALK_KEY) {
        walk->frames[walk->depth - 1].own = item->kind == MKV_CBOR_UNDEFINED;
    }
    if (item->kind == MKV_CBOR_ARRAY || item->kind == MKV_CBOR_MAP || item->kind == MKV_CBOR_TAG) {
        return open_item(walk);
    }
    if (item->indefinite) {
        mkv_buf_clear(&walk->text);
        join_chunks(&walk->reader, &walk->text);
        item->text = mkv_buf_bytes(&walk->text);
    }
    return walk->reader.error == 0 ? MKV_WALK_ITEM : MKV_WALK_END;
}

enum mkv_doc_walk_event mkv_doc_walk_next(struct mkv_doc_walk *walk)
{
    if (walk->reader.error != 0 || (walk->begun && walk->depth == 0)) {
        return MKV_WALK_END;
    }
    walk->begun = true;
    if (walk->depth > 0 && at_end(&walk->reader, &walk->frames[walk->depth - 1])) {
        return close_frame(walk);
    }
    return next_item(walk);
}
