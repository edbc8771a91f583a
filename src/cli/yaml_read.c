/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/yaml_read.h"

#include <yaml.h>

#include "cli/plain_write.h"
#include "cli/yaml_scalar.h"
#include "notation/builder.h"
#include "notation/keys.h"
#include "notation/special.h"
#include "wire/cbor.h"

#define QUOTE_IT "quote it, or use -s to store the text as it is"

/* What a sequence stands for. */
enum special {
    PLAIN,
    TAGGED, /* !tag [N, VALUE] */
    PAIRS,  /* !map [[KEY, VALUE], ...] */
};

/* What this reader knows about each open sequence or mapping, besides the builder. */
struct frame {
    bool in_value; /* not a node of the document, but (in) a value */
    bool own;      /* the last key was "$value" */
    enum special special;
};

struct yaml_reader {
    struct mkv_bytes in;
    enum mkv_yaml_kind kind;
    yaml_parser_t parser;
    struct mkv_buf scratch;
    struct mkv_builder builder;
    struct frame frames[MKV_NEST_MAX];
    size_t root_end; /* in characters: where the value ends */
    struct mkv_problem *problem;
    int error;
};

#define REFUSE(r, mark, number, ...)                                                               \
    ((r)->error =                                                                                  \
         mkv_problem_at((r)->problem, (number), (r)->in, offset_of(r, (mark).index), __VA_ARGS__))

/* libyaml counts characters, we count bytes. */
static size_t offset_of(const struct yaml_reader *r, size_t n_characters)
{
    size_t i = 0;

    while (i < r->in.len && (n_characters > 0 || (r->in.at[i] & 0xc0U) == 0x80U)) {
        n_characters -= (r->in.at[i] & 0xc0U) != 0x80U ? 1 : 0;
        i++;
    }
    return i;
}

static const char *mend(const struct yaml_reader *r)
{
    return r->kind == MKV_YAML_ARGUMENT ? ": " QUOTE_IT : "";
}

static void refuse_syntax(struct yaml_reader *r)
{
    const yaml_parser_t *parser = &r->parser;

    switch (parser->error) {
    case YAML_MEMORY_ERROR:
        r->error =
            mkv_problem_set(r->problem, MKV_E_NO_MEMORY, "%s", mkv_error_text(MKV_E_NO_MEMORY));
        break;
    case YAML_READER_ERROR:
        r->error = mkv_problem_at(
            r->problem, MKV_E_BAD_UTF8, r->in, parser->problem_offset,
            "this cannot stand in YAML (%s): in double quotes it can be written as an "
            "escape, like \\x1b; -s stores any text",
            parser->problem);
        break;
    case YAML_NO_ERROR:
    case YAML_SCANNER_ERROR:
    case YAML_PARSER_ERROR:
    case YAML_COMPOSER_ERROR:
    case YAML_WRITER_ERROR:
    case YAML_EMITTER_ERROR:
        REFUSE(r, parser->problem_mark, MKV_E_MALFORMED, "not valid YAML: %s%s%s%s",
               parser->context != NULL ? parser->context : "", parser->context != NULL ? ", " : "",
               parser->problem != NULL ? parser->problem : "unknown error", mend(r));
        break;
    }
}

/* The innermost open sequence or mapping; NULL for none. */
static struct frame *top(struct yaml_reader *r)
{
    return r->builder.depth == 0 ? NULL : &r->frames[r->builder.depth - 1];
}

static bool in_value(struct yaml_reader *r)
{
    const struct frame *frame = top(r);

    return frame == NULL ? r->kind != MKV_YAML_DOCUMENT : frame->in_value || frame->own;
}

static bool is_element(struct yaml_reader *r)
{
    return mkv_builder_wants_key(&r->builder) && !top(r)->in_value;
}

static bool refuse_anchor(struct yaml_reader *r, const yaml_event_t *event, const void *anchor)
{
    if (anchor != NULL) {
        REFUSE(r, event->start_mark, MKV_E_MALFORMED,
               "anchors (&) and aliases (*) are not supported%s",
               r->kind == MKV_YAML_ARGUMENT ? ": " QUOTE_IT : ": write the value out");
    }
    return anchor != NULL;
}

static bool tag_is(const yaml_char_t *tag, const char *name)
{
    return tag != NULL && strcmp((const char *)tag, name) == 0;
}

/* A tag may hold any character, as it may be written with %XX. */
static void refuse_tag(struct yaml_reader *r, const yaml_event_t *event, const yaml_char_t *tag)
{
    mkv_buf_clear(&r->scratch);

    int error = mkv_plain_escape(mkv_bytes_of((const char *)tag), MKV_PLAIN_ONE_LINE, &r->scratch);
    struct mkv_bytes shown = mkv_buf_bytes(&r->scratch);

    if (error != 0) {
        REFUSE(r, event->start_mark, error, "%s", mkv_error_text(error));
        return;
    }
    REFUSE(r, event->start_mark, MKV_E_MALFORMED, "the tag \"%.*s\" is not known, or not here%s",
           (int)mkv_problem_cut(shown, 60), shown.len > 0 ? (const char *)shown.at : "", mend(r));
}

static void put_number(struct yaml_reader *r, const struct mkv_scalar *scalar)
{
    if (scalar->kind == MKV_SCALAR_REAL) {
        mkv_builder_float(&r->builder, scalar->real);
    } else if (scalar->integer.negative) {
        mkv_builder_nint(&r->builder, scalar->integer.number);
    } else {
        mkv_builder_uint(&r->builder, scalar->integer.number);
    }
}

static void put_resolved(struct yaml_reader *r,
                         const struct mkv_scalar *scalar,
                         struct mkv_bytes text)
{
    switch (scalar->kind) {
    case MKV_SCALAR_TEXT:
        mkv_builder_text(&r->builder, text);
        break;
    case MKV_SCALAR_NULL:
        mkv_builder_null(&r->builder);
        break;
    case MKV_SCALAR_FALSE:
    case MKV_SCALAR_TRUE:
        mkv_builder_bool(&r->builder, scalar->kind == MKV_SCALAR_TRUE);
        break;
    case MKV_SCALAR_INTEGER:
    case MKV_SCALAR_REAL:
        put_number(r, scalar);
        break;
    }
}

static bool resolve(struct yaml_reader *r,
                    const yaml_event_t *event,
                    struct mkv_bytes text,
                    struct mkv_scalar *scalar)
{
    int error = mkv_scalar_resolve(text, scalar);

    if (error == MKV_E_BAD_NUMBER) {
        REFUSE(r, event->start_mark, error,
               "this number is too large: integers go from -2^64 to 2^64-1, floats to 1.79e308; "
               "quote it to store it as text");
    } else if (error != 0) {
        REFUSE(r, event->start_mark, error, "%s", mkv_error_text(error));
    }
    return r->error == 0;
}

/* A text that is a key of a document, where "$value" is reserved. */
static void put_element(struct yaml_reader *r, struct mkv_bytes text)
{
    size_t n_dollars;

    if (mkv_key_word(text, &n_dollars) != MKV_KEY_VALUE) {
        mkv_builder_text(&r->builder, text);
    } else if (n_dollars > 1) {
        mkv_builder_text(&r->builder, mkv_bytes_after(text, 1));
    } else {
        mkv_builder_simple(&r->builder, 23);
        top(r)->own = true;
    }
}

static void put_text(struct yaml_reader *r, struct mkv_bytes text)
{
    if (is_element(r)) {
        put_element(r, text);
    } else {
        mkv_builder_text(&r->builder, text);
    }
}

static void put_plain(struct yaml_reader *r, const yaml_event_t *event, struct mkv_bytes text)
{
    struct mkv_scalar scalar;

    if (!resolve(r, event, text, &scalar)) {
        return;
    }
    if (scalar.kind == MKV_SCALAR_TEXT) {
        put_text(r, text);
    } else {
        put_resolved(r, &scalar, text);
    }
}

static void put_binary(struct yaml_reader *r, const yaml_event_t *event, struct mkv_bytes text)
{
    mkv_buf_clear(&r->scratch);

    int error = mkv_base64_read(text, &r->scratch);

    if (error != 0) {
        REFUSE(r, event->start_mark, error, "!!binary needs base64 of the standard alphabet");
        return;
    }
    mkv_builder_bytes(&r->builder, mkv_buf_bytes(&r->scratch));
}

static void put_simple(struct yaml_reader *r, const yaml_event_t *event, struct mkv_bytes text)
{
    struct mkv_scalar scalar;

    if (!resolve(r, event, text, &scalar)) {
        return;
    }

    uint64_t n = scalar.integer.number;

    /* 20, 21, 22 are false, true and null, which have words of their own; 24..31 do not exist. */
    if (scalar.kind != MKV_SCALAR_INTEGER || scalar.integer.negative || n > 255 ||
        (n >= 20 && n < 32 && n != 23)) {
        REFUSE(r, event->start_mark, MKV_E_BAD_NUMBER,
               "!simple needs a number: one of 0-19, 23, 32-255");
    } else if (is_element(r)) {
        REFUSE(r, event->start_mark, MKV_E_BAD_ELEMENT, "%s", mkv_error_text(MKV_E_BAD_ELEMENT));
    } else {
        mkv_builder_simple(&r->builder, (uint8_t)n);
    }
}

/* !!int and the like say what a scalar must be; it still has to look like one. */
static void put_asserted(struct yaml_reader *r, const yaml_event_t *event, struct mkv_bytes text)
{
    const yaml_char_t *tag = event->data.scalar.tag;
    struct mkv_scalar scalar;

    if (!resolve(r, event, text, &scalar)) {
        return;
    }

    bool is_bool = scalar.kind == MKV_SCALAR_FALSE || scalar.kind == MKV_SCALAR_TRUE;

    if (tag_is(tag, YAML_FLOAT_TAG) && scalar.kind == MKV_SCALAR_INTEGER) {
        double magnitude = (double)scalar.integer.number;

        scalar.kind = MKV_SCALAR_REAL;
        scalar.real = scalar.integer.negative ? -1.0 - magnitude : magnitude;
    }
    if ((tag_is(tag, YAML_INT_TAG) && scalar.kind == MKV_SCALAR_INTEGER) ||
        (tag_is(tag, YAML_FLOAT_TAG) && scalar.kind == MKV_SCALAR_REAL) ||
        (tag_is(tag, YAML_BOOL_TAG) && is_bool) ||
        (tag_is(tag, YAML_NULL_TAG) && scalar.kind == MKV_SCALAR_NULL)) {
        put_resolved(r, &scalar, text);
    } else {
        refuse_tag(r, event, tag);
    }
}

/* As an argument, a plain scalar over several lines would lose its line ends to folding. */
static bool refuse_folding(struct yaml_reader *r, const yaml_event_t *event)
{
    bool folded = r->kind == MKV_YAML_ARGUMENT &&
                  event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                  event->start_mark.line != event->end_mark.line;

    if (folded) {
        REFUSE(r, event->start_mark, MKV_E_MALFORMED,
               "YAML would join these lines into one: use -s to store the text as it is");
    }
    return folded;
}

static void read_scalar(struct yaml_reader *r, const yaml_event_t *event)
{
    const yaml_char_t *tag = event->data.scalar.tag;
    struct mkv_bytes text = mkv_bytes(event->data.scalar.value, event->data.scalar.length);

    if (refuse_anchor(r, event, event->data.scalar.anchor) || refuse_folding(r, event)) {
        return;
    }
    if (mkv_builder_wants_key(&r->builder)) {
        top(r)->own = false;
    }
    if (tag == NULL && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        put_plain(r, event, text);
    } else if (tag == NULL || tag_is(tag, YAML_STR_TAG) || tag_is(tag, "!")) {
        put_text(r, text);
    } else if (tag_is(tag, MKV_YAML_BINARY_TAG)) {
        put_binary(r, event, text);
    } else if (tag_is(tag, "!simple")) {
        put_simple(r, event, text);
    } else {
        put_asserted(r, event, text);
    }
}

static void open_collection(struct yaml_reader *r,
                            const yaml_event_t *event,
                            enum mkv_builder_kind kind,
                            enum special special)
{
    struct frame frame = {.in_value = in_value(r) || special != PLAIN, .special = special};

    if (is_element(r)) {
        REFUSE(r, event->start_mark, MKV_E_BAD_ELEMENT, "a key here must be a scalar, for %s",
               mkv_error_text(MKV_E_BAD_ELEMENT));
    } else if (special == PAIRS && !in_value(r)) {
        REFUSE(r, event->start_mark, MKV_E_MALFORMED,
               "!map is a value and no part of a tree: write {$value: !map ...}");
    }
    if (r->error != 0) {
        return;
    }
    mkv_builder_open(&r->builder, kind);
    if (r->builder.writer.error == 0) {
        *top(r) = frame;
    }
}

static void refuse_block(struct yaml_reader *r, const yaml_event_t *event, const char *what)
{
    if (r->kind == MKV_YAML_ARGUMENT && r->builder.depth == 0) {
        REFUSE(r, event->start_mark, MKV_E_MALFORMED, "%s; for text, " QUOTE_IT, what);
    }
}

static void read_sequence(struct yaml_reader *r, const yaml_event_t *event)
{
    const yaml_char_t *tag = event->data.sequence_start.tag;
    enum special special = tag_is(tag, "!tag") ? TAGGED : tag_is(tag, "!map") ? PAIRS : PLAIN;

    if (refuse_anchor(r, event, event->data.sequence_start.anchor)) {
        return;
    }
    if (special == PLAIN && tag != NULL && !tag_is(tag, YAML_SEQ_TAG)) {
        refuse_tag(r, event, tag);
    } else if (event->data.sequence_start.style == YAML_BLOCK_SEQUENCE_STYLE) {
        refuse_block(r, event, "a list is written in brackets here, as [1, 2]");
    }
    if (r->error == 0) {
        open_collection(r, event, MKV_BUILDER_ARRAY, special);
    }
}

static void read_mapping(struct yaml_reader *r, const yaml_event_t *event)
{
    const yaml_char_t *tag = event->data.mapping_start.tag;

    if (refuse_anchor(r, event, event->data.mapping_start.anchor)) {
        return;
    }
    if (tag != NULL && !tag_is(tag, YAML_MAP_TAG)) {
        refuse_tag(r, event, tag);
    } else if (event->data.mapping_start.style == YAML_BLOCK_MAPPING_STYLE) {
        refuse_block(r, event, "a map is written in braces here, as {key: value}");
    }
    if (r->error == 0) {
        open_collection(r, event, MKV_BUILDER_MAP, PLAIN);
    }
}

/* Appends to the scratch buffer what the innermost sequence, a special one, stands for. */
static int translate(struct yaml_reader *r, enum special special)
{
    struct mkv_bytes content = mkv_builder_content(&r->builder);
    struct mkv_cbor_writer w;
    struct mkv_buf pairs;

    mkv_buf_clear(&r->scratch);
    if (special == TAGGED) {
        return mkv_special_tag(content, &r->scratch);
    }
    mkv_buf_init(&pairs, SIZE_MAX / 2);
    mkv_cbor_writer_init(&w, &pairs);
    mkv_cbor_write_array(&w, r->builder.frames[r->builder.depth - 1].n);
    mkv_cbor_write_raw(&w, content);

    int error = w.error != 0 ? w.error : mkv_special_map(mkv_buf_bytes(&pairs), &r->scratch);

    mkv_buf_deinit(&pairs);
    return error;
}

static void close_collection(struct yaml_reader *r, const yaml_event_t *event)
{
    enum special special = top(r)->special;

    if (special == PLAIN) {
        mkv_builder_close(&r->builder);
        return;
    }

    int error = translate(r, special);

    if (error != 0) {
        REFUSE(r, event->start_mark, error, "the sequence that ends here must have the form %s",
               special == TAGGED ? "!tag [NUMBER, VALUE]" : "!map [[KEY, VALUE], ...]");
        return;
    }
    mkv_builder_drop(&r->builder);
    mkv_builder_raw(&r->builder, mkv_buf_bytes(&r->scratch));
}

/* As an argument, everything there is must be part of the value. */
static void check_rest(struct yaml_reader *r)
{
    size_t i = offset_of(r, r->root_end);

    while (i < r->in.len && (r->in.at[i] == ' ' || r->in.at[i] == '\t' || r->in.at[i] == '\n' ||
                             r->in.at[i] == '\r')) {
        i++;
    }
    if (r->kind == MKV_YAML_ARGUMENT && i < r->in.len) {
        r->error = mkv_problem_at(r->problem, MKV_E_TRAILING, r->in, i,
                                  "what follows here would not be part of the value: " QUOTE_IT);
    }
}

static void read_node(struct yaml_reader *r, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        read_scalar(r, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        read_sequence(r, event);
        break;
    case YAML_MAPPING_START_EVENT:
        read_mapping(r, event);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        close_collection(r, event);
        break;
    case YAML_ALIAS_EVENT:
        (void)refuse_anchor(r, event, event->data.alias.anchor);
        break;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    if (r->error == 0 && r->builder.writer.error != 0) {
        int error = r->builder.writer.error;

        REFUSE(r, event->start_mark, error, "%s",
               error == MKV_E_DUPLICATE_KEY ? "the mapping that ends here has a key twice"
                                            : mkv_error_text(error));
    }
    r->root_end = r->builder.depth == 0 ? event->end_mark.index : 0;
}

static bool next_event(struct yaml_reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event) == 0) {
        refuse_syntax(r);
        return false;
    }
    return true;
}

/* Everything between the start and the end of the one document. */
static void read_document(struct yaml_reader *r)
{
    yaml_event_t event;
    bool more = true;

    while (more && next_event(r, &event)) {
        if (event.type == YAML_DOCUMENT_END_EVENT) {
            check_rest(r);
            more = false;
        } else {
            read_node(r, &event);
            more = r->error == 0;
        }
        yaml_event_delete(&event);
    }
}

/* The stream's start and end, and that there is one document and no more. */
static void read_stream(struct yaml_reader *r)
{
    yaml_event_t event;
    unsigned n_documents = 0;
    bool more = true;

    while (more && r->error == 0 && next_event(r, &event)) {
        if (event.type == YAML_DOCUMENT_START_EVENT && n_documents++ > 0) {
            REFUSE(r, event.start_mark, MKV_E_TRAILING,
                   "a second document begins here: one at a time, please");
        } else if (event.type == YAML_DOCUMENT_START_EVENT) {
            read_document(r);
        } else if (event.type == YAML_STREAM_END_EVENT) {
            more = false;
        }
        yaml_event_delete(&event);
    }
    if (r->error == 0 && n_documents == 0) {
        r->error = mkv_problem_set(r->problem, MKV_E_TRUNCATED, "there is no value%s",
                                   r->in.len > 0 && memchr(r->in.at, '#', r->in.len) != NULL
                                       ? ", only a comment: for text, " QUOTE_IT
                                       : ": write null, or \"\" for an empty text");
    }
}

int mkv_yaml_read(struct mkv_bytes text,
                  enum mkv_yaml_kind kind,
                  struct mkv_buf *item,
                  struct mkv_problem *problem)
{
    static const uint8_t nothing[1] = {0};
    struct yaml_reader r;

    if (yaml_parser_initialize(&r.parser) == 0) {
        return mkv_problem_set(problem, MKV_E_NO_MEMORY, "%s", mkv_error_text(MKV_E_NO_MEMORY));
    }
    r.in = text;
    r.kind = kind;
    r.root_end = 0;
    r.problem = problem;
    r.error = 0;
    mkv_buf_init(&r.scratch, SIZE_MAX / 2);
    mkv_builder_init(&r.builder, item);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, text.len > 0 ? text.at : nothing, text.len);
    read_stream(&r);
    mkv_builder_deinit(&r.builder);
    mkv_buf_deinit(&r.scratch);
    yaml_parser_delete(&r.parser);
    return r.error;
}
